import torch
from torch import Tensor

from emnist.checks import NonNegative
from emnist.data.augmentation.augmentation import INK, Augmentation, uniform


class Noise(Augmentation):
    """Gaussian noise at every pixel; each image has its own standard deviation, uniform from 0 to `sigma`.

    `sigma` in levels of grey, of which there are 255.
    """

    strengths = ("sigma",)

    def __init__(self, sigma: NonNegative):
        self.sigma = sigma

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        noise = torch.randn(images.shape, generator=generator, device=generator.device)
        noise *= uniform(len(images), generator) * self.sigma
        return noise.to(images.device).add_(images).clamp_(0, INK)
