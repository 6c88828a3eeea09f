"""Test-time augmentation: a character from several slightly different views."""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from emnist.data.augmentation.affine import affine_map
from emnist.data.augmentation.geometry import resting
from emnist.data.batches import EVALUATION_BATCH

# Turned by degrees, shifted right and down by pixels. Whole pixels, since interpolation blurs, and networks take blur
# for size: on validation images, a CNN lost 1.1 points with bilinear turns by ±4°, 0.3 with bicubic ones.
VIEWS = [(0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1), (4, 0, 0), (-4, 0, 0), (2, 0, 0), (-2, 0, 0)]


def views(images: Tensor, count: int) -> Iterator[Tensor]:
    """uint8 [N, 28, 28] → the same, shifted or turned, `count` times; images as they are are not among them."""
    for degrees, right, down in VIEWS[:count]:
        yield torch.cat([moved(batch, degrees, right, down) for batch in images.split(EVALUATION_BATCH)])


def moved(images: Tensor, degrees: float, right: float, down: float) -> Tensor:
    """uint8 [N, 28, 28] → the same, turned and shifted, with paper outside."""
    inputs = images.unsqueeze(1).float()
    parameters = torch.tensor([math.radians(degrees), 0, 0, right, down], device=images.device)
    points = affine_map(resting(inputs), *parameters.expand(len(images), 5).unbind(1))
    return F.grid_sample(inputs, points, mode="bicubic", align_corners=False).clamp(0, 255).round().byte().squeeze(1)
