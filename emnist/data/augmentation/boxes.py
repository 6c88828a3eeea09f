"""Random rectangles, one an image."""

import torch
from torch import Tensor


def random_boxes(height: Tensor, width: Tensor, shape: torch.Size, generator: torch.Generator) -> Tensor:
    """Which pixels are inside a rectangle with these sides, cut off at the edges of the image: bool [B, 1, H, W].

    `height` and `width` in pixels, [B, 1, 1, 1], rounded, where the generator is; the centre is anywhere in the image,
    whose shape is [B, C, H, W].
    """
    inside = []
    for dim, extent in ((2, height), (3, width)):
        pixels = torch.arange(shape[dim], device=extent.device).view([-1 if i == dim else 1 for i in range(4)])
        uniform = torch.rand(extent.shape, generator=generator, device=extent.device)
        first = (uniform * shape[dim] - extent / 2).round()
        inside.append((pixels >= first) & (pixels < first + extent.round()))
    return inside[0] & inside[1]
