import math
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from emnist.checks import NonNegative
from emnist.data.augmentation.geometry import Geometry
from emnist.data.constant import constant


class Affine(Geometry):
    """A random affine map for every image: rotation, shift, scale and shear, uniform within limits.

    `rotation` and `shear` in degrees, `shift` in pixels, in both directions; `scale` 0.1 means 0.9 to 1.1.
    Own code, since torchvision draws one map for a whole batch.
    """

    strengths = ("rotation", "shift", "scale", "shear")

    def __init__(
        self,
        rotation: Annotated[NonNegative, Field(lt=180)],
        shift: Annotated[NonNegative, Field(lt=28)],
        scale: Annotated[NonNegative, Field(lt=1)],
        shear: Annotated[NonNegative, Field(lt=90)],
    ):
        self.rotation, self.shift, self.scale, self.shear = rotation, shift, scale, shear
        self.limits = (math.radians(rotation), math.radians(shear), scale, shift, shift)

    def warp(self, points: Tensor, generator: torch.Generator) -> Tensor:
        uniform = torch.rand(len(points), 5, generator=generator, device=generator.device) * 2 - 1
        drawn = uniform * constant(self.limits, uniform.device)
        return affine_map(points, *drawn.to(points.device).unbind(1))


def affine_map(points: Tensor, angle: Tensor, shear: Tensor, scale: Tensor, left: Tensor, up: Tensor) -> Tensor:
    """Points float [B, H, W, 2] moved so that images turn and shear by radians, grow by `scale` and shift by pixels.

    The five parameters are float [B]; positive angles turn anticlockwise.
    """
    batch, height, width, _ = points.shape
    # The map is from output to input: undo the shift, then rotation · shear / scale.
    cos, sin, slope = angle.cos(), angle.sin(), shear.tan()
    zoom = 1 / (1 + scale)
    linear = torch.stack([torch.stack([cos, cos * slope - sin], 1), torch.stack([sin, sin * slope + cos], 1)], 1)
    # x and y go from -1 to 1 whatever the sides are; angles are right between equal units.
    units = constant(((1, height / width), (width / height, 1)), points.device)
    linear = linear * zoom.view(-1, 1, 1) * units
    shift = torch.stack([left * 2 / width, up * 2 / height], 1).unsqueeze(2)
    matrix = torch.cat([linear, linear @ shift], 2)
    homogeneous = torch.cat([points, torch.ones_like(points[..., :1])], 3).flatten(1, 2)
    return homogeneous.bmm(matrix.transpose(1, 2)).view(batch, height, width, 2)
