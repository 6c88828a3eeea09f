from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from emnist.checks import NonNegative
from emnist.data.augmentation.geometry import Geometry


class Perspective(Geometry):
    """Every image as a page tilted about its centre, in a random direction.

    `tilt` is the most by which an edge comes nearer and the opposite one recedes, as a share of the distance to the
    page: 0.2 shows the one edge up to 1 / 0.8 times as large, the other 1 / 1.2 times.
    """

    strengths = ("tilt",)

    def __init__(self, tilt: Annotated[NonNegative, Field(lt=0.5)]):
        self.tilt = tilt

    def warp(self, points: Tensor, generator: torch.Generator) -> Tensor:
        uniform = torch.rand(len(points), 1, 1, 2, generator=generator, device=generator.device)
        slope = (uniform * 2 - 1) * self.tilt
        slope = slope.to(points.device)
        # The inverse of p / (1 - slope · p). Points that other kinds have moved behind the viewer go far outside.
        return points / (1 + (points * slope).sum(3, keepdim=True)).clamp_min(1e-3)
