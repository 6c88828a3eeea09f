import math
from functools import cache
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from emnist.checks import NonNegative
from emnist.data.augmentation.geometry import Geometry
from emnist.data.constant import constant


class Elastic(Geometry):
    """A smooth random field of displacements for every image (Simard, Steinkraus & Platt, 2003).

    `displacement` is the standard deviation at each pixel, in pixels; `sigma` that of the Gaussian which smooths the
    field: how far apart pixels move independently. The paper's field of strength 34 and sigma 4 is one of displacement
    1.4. Random numbers are drawn every `sigma` pixels, not at each: 338 an image instead of 1,568.
    """

    strengths = ("displacement",)

    def __init__(self, displacement: Annotated[NonNegative, Field(lt=14)], sigma: Annotated[float, Field(ge=1)]):
        self.displacement, self.sigma = displacement, sigma

    def warp(self, points: Tensor, generator: torch.Generator) -> Tensor:
        batch, height, width, _ = points.shape
        rows, columns = (smoothing(size, self.sigma, points.device) for size in (height, width))
        shape = batch, 2, rows.shape[1], columns.shape[1]
        noise = torch.randn(shape, generator=generator, device=generator.device).to(points.device)
        pixels = rows @ (noise @ columns.T)  # [B, 2, H, W]
        units = constant((2 / width, 2 / height), points.device) * self.displacement
        return points + pixels.permute(0, 2, 3, 1) * units


@cache
def smoothing(size: int, sigma: float, device: torch.device) -> Tensor:
    """Weights of the random numbers at each pixel of a side, of which the squares add up to 1: [size, numbers]."""
    margin = 3  # numbers beyond each edge
    places = torch.arange(-margin, math.ceil(size / sigma) + margin) * sigma
    weights = (-(torch.arange(size).unsqueeze(1) - places).square() / (2 * sigma**2)).exp()
    return (weights / weights.norm(dim=1, keepdim=True)).to(device)
