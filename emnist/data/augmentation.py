import math

import torch
import torch.nn.functional as F
from torch import Tensor

from emnist.checks import number
from emnist.errors import UserError, choose


class Affine:
    """A random affine map for every image of a batch: rotation, shift, scale and shear, uniform within limits.

    `rotation` and `shear` in degrees, `shift` in pixels, to either side; `scale` 0.1 means 0.9 to 1.1.
    Shapes: float [B, 1, H, W] → the same, sampled bilinearly, zero outside.
    """

    def __init__(self, rotation: float, shift: float, scale: float, shear: float):
        number("augmentation.rotation", rotation, below=180)
        number("augmentation.shift", shift, below=28)
        number("augmentation.scale", scale, below=1)
        number("augmentation.shear", shear, below=90)
        self.limits = torch.tensor([math.radians(rotation), math.radians(shear), scale, shift, shift])

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        batch, _, height, width = images.shape
        # Drawn on the CPU (five numbers an image), so that every device sees the same maps.
        uniform = torch.rand(batch, 5, generator=generator) * 2 - 1
        angle, shear, scale, right, down = (uniform * self.limits).to(images.device).unbind(1)
        # Coordinates go from -1 to 1; the map is from output to input: rotation · shear / scale of what the
        # shift has moved back.
        cos, sin, slope = angle.cos(), angle.sin(), shear.tan()
        zoom = 1 / (1 + scale)
        linear = torch.stack(
            [torch.stack([cos, cos * slope - sin], 1), torch.stack([sin, sin * slope + cos], 1)], 1
        ) * zoom.view(-1, 1, 1)
        shift = torch.stack([right * 2 / width, down * 2 / height], 1).unsqueeze(2)
        matrix = torch.cat([linear, linear @ shift], 2)
        grid = F.affine_grid(matrix, [batch, 1, height, width], align_corners=False)
        return F.grid_sample(images, grid, align_corners=False)


def build_augmentation(name: str, **limits) -> Affine | None:
    """The augmentation of that name, or None."""
    if name == "none":
        return None
    if name == "affine":
        try:
            return Affine(**limits)
        except TypeError as error:
            raise UserError(f"augmentation={name}: {error}") from error
    raise choose("augmentation.name", name, ["none", "affine"])
