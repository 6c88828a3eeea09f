"""augmentation.json: how far a run's augmentation moves its training images, against how far images are apart."""

from typing import ClassVar

from emnist.runs.stored import Stored


class Movement(Stored):
    """Contents of augmentation.json, written by every run that augments.

    Distances are Euclidean, in levels of grey (0 to 255) at all pixels. They are medians over images; None where no
    class has two images.
    """

    FORMAT: ClassVar[str] = "emnist.augmentation/1"

    images: int  # training images, drawn at random, each augmented once
    among: int  # training images in which their nearest ones were looked for
    moved: float  # from an image to itself, augmented
    to_class: float | None  # from an image as it is to the nearest other of its class
    relative: float | None  # the first over the second
    other_class: float  # share of the images, as they are, whose nearest other image is of another class
    other_class_augmented: float  # likewise, augmented; of mixed images, the class with the largest share counts
