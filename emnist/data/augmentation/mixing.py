from abc import ABC, abstractmethod

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from emnist.checks import NonNegative


class Mixing(ABC):
    """Mixes every image of a batch with another, and their labels as much.

    The share of the image itself has the distribution Beta(`alpha`, `alpha`): 1 is uniform; near 0, one of the two has
    nearly all; at 0, images stay as they are.
    """

    on_cpu = True

    def __init__(self, num_classes: int, alpha: NonNegative):
        self.num_classes, self.alpha = num_classes, alpha

    def __call__(self, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Images float [B, C, H, W] and labels int64 [B] → images, and the share of each class, float [B, classes]."""
        targets = F.one_hot(labels, self.num_classes).float()
        if self.alpha == 0:
            return images, targets
        # torch's own takes no generator.
        beta = np.random.default_rng(torch.randint(2**32, (2,), generator=generator).numpy()).beta
        share = torch.from_numpy(beta(self.alpha, self.alpha, len(images))).float().view(-1, 1, 1, 1)
        others = torch.randperm(len(images), generator=generator).to(images.device)
        images, share = self.mix(images, images[others], share, generator)
        share = share.to(images.device).flatten(1)
        return images, share * targets + (1 - share) * targets[others]

    @abstractmethod
    def mix(self, images: Tensor, others: Tensor, share: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """The mixed images, and the share [B, 1, 1, 1] that each has kept; `share`, on the CPU, is the one aimed at."""
