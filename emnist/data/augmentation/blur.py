import torch
from torch import Tensor

from emnist.checks import NonNegative
from emnist.data.augmentation.augmentation import Augmentation, uniform


class Blur(Augmentation):
    """Gaussian blur; each image has its own standard deviation, uniform from 0 to `sigma` pixels.

    A product with a matrix for each side, since every image has a kernel of its own.
    """

    strengths = ("sigma",)

    def __init__(self, sigma: NonNegative):
        self.sigma = sigma

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        sigma = (uniform(len(images), generator) * self.sigma).to(images.device)
        rows, columns = (band(size, sigma) for size in images.shape[2:])
        return rows @ images @ columns


def band(size: int, sigma: Tensor) -> Tensor:
    """What each pixel of a side adds to each other: symmetric, [B, 1, size, size] for sigma [B, 1, 1, 1]."""
    pixels = torch.arange(size, device=sigma.device)
    kernel = torch.arange(-size, size + 1, device=sigma.device)  # longer than the side, since it adds up to 1
    weights = (-0.5 / sigma.square().clamp_min(1e-4) * kernel.square()).exp()  # a sigma of 0.01 pixels is none
    weights = weights / weights.sum(3, keepdim=True)
    return weights.squeeze(2)[..., size + pixels.unsqueeze(1) - pixels]
