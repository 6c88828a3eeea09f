import torch
from torch import Tensor

from emnist.checks import NonNegative
from emnist.data.augmentation.augmentation import Augmentation, uniform


class Blur(Augmentation):
    """Gaussian blur; each image has its own standard deviation, uniform from 0 to `sigma` pixels."""

    strengths = ("sigma",)

    def __init__(self, sigma: NonNegative):
        self.sigma = sigma

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        sigma = (uniform(len(images), generator) * self.sigma).to(images.device)
        rows, columns = (band(size, sigma) for size in images.shape[2:])
        # A product with a matrix for each image: convolutions with a kernel for each take ten times as long.
        return rows @ images @ columns


def band(size: int, sigma: Tensor) -> Tensor:
    """What each pixel of a side adds to each other: symmetric, [B, 1, size, size] for sigma [B, 1, 1, 1]."""
    pixels = torch.arange(size, device=sigma.device)
    distance = pixels.unsqueeze(1) - pixels
    kernel = torch.arange(-size, size + 1, device=sigma.device)  # all of it, so that it adds up to 1
    scale = -0.5 / sigma.square().clamp_min(1e-4)  # a sigma of 0.01 pixels is none
    return (scale * distance.square()).exp() / (scale * kernel.square()).exp().sum(3, keepdim=True)
