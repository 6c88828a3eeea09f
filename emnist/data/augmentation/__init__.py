"""Random changes of training images: a whole batch at a time, each image in its own way.

Every kind takes float [B, C, H, W] from 0 = paper to 255 = ink and returns the same shape and range. Random numbers are
drawn where the generator is, so a GPU sees other changes than the CPU, of the same distribution. Where all strengths of
a kind are 0, it returns its input. None mirrors: the mirror image of a character is another character, or none.
"""

from emnist.checks import construct
from emnist.data.augmentation.augmentation import Augmentation
from emnist.data.augmentation.combined import Combined
from emnist.data.augmentation.cutmix import CutMix
from emnist.data.augmentation.kinds import KINDS
from emnist.data.augmentation.mixing import Mixing
from emnist.data.augmentation.mixup import Mixup
from emnist.data.augmentation.random import Random
from emnist.errors import unknown

SEVERAL = {"combined": Combined, "random": Random}
MIXING = {"mixup": Mixup, "cutmix": CutMix}


def build_augmentation(num_classes: int, /, name: str, **strengths) -> Augmentation | Mixing | None:
    """The augmentation of that name, or None. Raises UserError for invalid arguments."""
    if name == "none":
        return None
    if name in MIXING:
        return construct("augmentation", MIXING[name], num_classes, **strengths)
    kinds = KINDS | SEVERAL
    if name not in kinds:
        raise unknown("augmentation.name", name, ["none", *kinds, *MIXING])
    return construct("augmentation", kinds[name], **strengths)
