import torch
from torch import Tensor

from emnist.data.augmentation.boxes import random_boxes
from emnist.data.augmentation.mixing import Mixing


class CutMix(Mixing):
    """A rectangle of every image shows another, at the same place (Yun et al., 2019).

    The sides of the rectangle are in the ratio of the image's. What falls beyond an edge is cut off, so that the images
    themselves keep a larger share than the one drawn.
    """

    def mix(self, images: Tensor, others: Tensor, share: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        _, _, height, width = images.shape
        side = (1 - share).sqrt()
        inside = random_boxes(side * height, side * width, images.shape, generator)
        kept = 1 - inside.float().mean((2, 3), keepdim=True)
        return torch.where(inside.to(images.device), others, images), kept
