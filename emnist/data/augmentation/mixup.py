import torch
from torch import Tensor

from emnist.data.augmentation.mixing import Mixing


class Mixup(Mixing):
    """Every image becomes a weighted mean of itself and another (Zhang et al., 2018)."""

    def mix(self, images: Tensor, others: Tensor, share: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        return others.lerp(images, share.to(images.device)), share
