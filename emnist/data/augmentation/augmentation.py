from abc import ABC, abstractmethod

import torch
from torch import Tensor

INK = 255.0


class Augmentation(ABC):
    """A random change of every image of a batch."""

    strengths: tuple[str, ...] = ()  # the arguments that are all 0 where nothing changes
    on_cpu = False  # whether its generator must be the CPU's

    @abstractmethod
    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """float [B, C, H, W], 0 to 255 → the same; the input is left as it is."""


def uniform(batch: int, generator: torch.Generator, low: float = 0, high: float = 1) -> Tensor:
    """A number for each image: float32 [B, 1, 1, 1], where the generator is."""
    return torch.rand(batch, 1, 1, 1, generator=generator, device=generator.device) * (high - low) + low
