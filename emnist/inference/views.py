"""Test-time augmentation: an image from several slightly different views."""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from emnist.data.augmentation.affine import affine_map
from emnist.data.augmentation.geometry import resting
from emnist.data.batches import EVALUATION_BATCH, with_channels

# Turned anticlockwise by degrees, shifted right and down by pixels. Whole pixels, since interpolation blurs: on
# validation images, a CNN lost 1.1 points with bilinear turns by ±4°, 0.3 with bicubic ones.
VIEWS = [(0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1), (4, 0, 0), (-4, 0, 0), (2, 0, 0), (-2, 0, 0)]


def views(images: Tensor, count: int) -> Iterator[Tensor]:
    """Shifted or turned copies of all images, uint8 [N, H, W] or [N, C, H, W], `count` times."""
    for degrees, right, down in VIEWS[:count]:
        yield torch.cat([moved(batch, degrees, right, down) for batch in images.split(EVALUATION_BATCH)])


def moved(images: Tensor, degrees: float, right: float, down: float) -> Tensor:
    """uint8 [N, H, W] or [N, C, H, W] → the same, turned and shifted, with 0 (paper) outside."""
    inputs = with_channels(images).float()
    parameters = torch.tensor([math.radians(degrees), 0, 0, -right, -down], device=images.device)
    points = affine_map(resting(inputs), *parameters.expand(len(images), 5).unbind(1))
    outputs = F.grid_sample(inputs, points, mode="bicubic", align_corners=False)
    return outputs.clamp(0, 255).round().byte().view_as(images)
