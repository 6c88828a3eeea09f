from abc import abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from emnist.data.augmentation.augmentation import Augmentation


class Geometry(Augmentation):
    """Moves pixels: sampled bilinearly, zero outside."""

    @property
    def moves(self) -> bool:
        return any(getattr(self, name) for name in self.strengths)

    @abstractmethod
    def warp(self, points: Tensor, generator: torch.Generator) -> Tensor:
        """The places in an image that its pixels are taken from, moved once more.

        float [B, H, W, 2], x and y from -1 to 1 as in `grid_sample` → the same.
        """

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        return move(images, [self], generator)


def move(images: Tensor, kinds: Sequence[Geometry], generator: torch.Generator) -> Tensor:
    """All these kinds with one `grid_sample`, which blurs once and not for each of them."""
    kinds = [kind for kind in kinds if kind.moves]
    if not kinds:
        return images
    points = resting(images)
    for kind in kinds:
        points = kind.warp(points, generator)
    return F.grid_sample(images, points, align_corners=False)


def resting(images: Tensor) -> Tensor:
    """The places of the pixels themselves: float32 [B, H, W, 2]."""
    batch, _, height, width = images.shape
    y, x = (torch.linspace(-1, 1, size, device=images.device) * (size - 1) / size for size in (height, width))
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), 2).expand(batch, -1, -1, -1)
