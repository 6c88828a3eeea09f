import torch
import torch.nn.functional as F
from torch import Tensor

from emnist.checks import Share
from emnist.data.augmentation.augmentation import Augmentation, uniform


class Stroke(Augmentation):
    """Thinner or thicker strokes: every image between itself and its erosion or dilation by one pixel.

    Grey morphology with a square of 3 × 3 pixels (Serra, 1982). `thinner` and `thicker` are the most that is mixed in
    of the erosion and of the dilation: 1 takes, or adds, a pixel on each side of a stroke.
    """

    strengths = ("thinner", "thicker")

    def __init__(self, thinner: Share, thicker: Share):
        self.thinner, self.thicker = thinner, thicker

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        change = uniform(len(images), generator, -self.thinner, self.thicker).to(images.device)
        # max_pool2d pads with -∞, so what is outside the image neither thickens nor thins.
        thicker = F.max_pool2d(images, 3, stride=1, padding=1)
        thinner = -F.max_pool2d(-images, 3, stride=1, padding=1)
        return images.lerp(torch.where(change > 0, thicker, thinner), change.abs())
