import math

import torch
import torch.nn.functional as F
from torch import Tensor

from emnist.errors import UserError, choose


class Affine:
    """A random affine map for every image of a batch: rotation, shift, scale and shear, uniform within limits.

    `rotation` and `shear` in degrees, `shift` in pixels, to either side; `scale` 0.1 means 0.9 to 1.1.
    Shapes: float [B, 1, H, W] → the same, sampled bilinearly, zero outside.
    """

    def __init__(self, rotation: float, shift: float, scale: float, shear: float):
        for key, value, limit in (("rotation", rotation, 180), ("scale", scale, 1), ("shear", shear, 90)):
            if not 0 <= value < limit:
                raise UserError(f"augmentation.{key}={value}: choose from 0 to less than {limit}")
        if shift < 0:
            raise UserError(f"augmentation.shift={shift}: choose 0 or more pixels")
        self.limits = torch.tensor([math.radians(rotation), math.radians(shear), scale, shift, shift])

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        batch, _, height, width = images.shape
        # Drawn on the CPU (five numbers an image), so that every device sees the same maps.
        uniform = torch.rand(batch, 5, generator=generator) * 2 - 1
        angle, shear, scale, right, down = (uniform * self.limits).to(images.device).unbind(1)
        # The map from output to input coordinates, both in [-1, 1]: rotation · shear / scale, then the shift.
        cos, sin, slope = angle.cos(), angle.sin(), shear.tan()
        zoom = 1 / (1 + scale)
        matrix = torch.stack(
            [
                torch.stack([zoom * cos, zoom * (cos * slope - sin), right * 2 / width], 1),
                torch.stack([zoom * sin, zoom * (sin * slope + cos), down * 2 / height], 1),
            ],
            1,
        )
        grid = F.affine_grid(matrix, [batch, 1, height, width], align_corners=False)
        return F.grid_sample(images, grid, align_corners=False)


def build_augmentation(name: str, **limits) -> Affine | None:
    """The augmentation of that name, or None."""
    if name == "none":
        return None
    if name == "affine":
        return Affine(**limits)
    raise choose("augmentation.name", name, ["none", "affine"])
