import math
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from emnist.checks import NonNegative, construct
from emnist.errors import unknown


class Affine:
    """A random affine map for every image of a batch: rotation, shift, scale and shear, uniform within limits.

    `rotation` and `shear` in degrees, `shift` in pixels, in both directions; `scale` 0.1 means 0.9 to 1.1.
    Own code, since torchvision draws one map for a whole batch.
    Shapes: float [B, 1, H, W] → the same, sampled bilinearly, zero outside.
    """

    def __init__(
        self,
        rotation: Annotated[NonNegative, Field(lt=180)],
        shift: Annotated[NonNegative, Field(lt=28)],
        scale: Annotated[NonNegative, Field(lt=1)],
        shear: Annotated[NonNegative, Field(lt=90)],
    ):
        self.limits = torch.tensor([math.radians(rotation), math.radians(shear), scale, shift, shift])

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        batch, _, height, width = images.shape
        # Drawn on the CPU (five numbers an image), so that every device sees the same maps.
        uniform = torch.rand(batch, 5, generator=generator) * 2 - 1
        angle, shear, scale, right, down = (uniform * self.limits).to(images.device).unbind(1)
        # Coordinates go from -1 to 1; the map is from output to input: undo the shift, then rotation · shear / scale.
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
        return construct("augmentation", Affine, **limits)
    raise unknown("augmentation.name", name, ["none", "affine"])
