from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from emnist.checks import Count, Share
from emnist.data.augmentation.augmentation import Augmentation
from emnist.data.augmentation.geometry import Geometry, resting
from emnist.data.augmentation.kinds import build_kinds


class Random(Augmentation):
    """`count` of the `kinds` on every image, drawn for each anew, all with one `strength` (Cubuk et al., 2020).

    At strength 1 a kind has the arguments given in `kinds`, below in proportion. Unlike in the paper's RandAugment, the
    kinds of an image are different ones, those that move pixels come first, all at once, and each draws how much it
    does, from nothing to its limit.
    """

    on_cpu = True  # which chooses the images of each kind

    def __init__(self, count: Count, strength: Share, kinds: Annotated[dict[str, dict[str, Any]], Field(min_length=1)]):
        if count > len(kinds):
            raise ValueError(f"count={count}: must be at most the number of kinds, {len(kinds)}")
        self.count = count
        self.kinds = build_kinds(kinds, strength)

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        drawn = torch.rand(len(images), len(self.kinds), generator=generator).topk(self.count, dim=1).indices
        chosen = {one: (drawn == i).any(1).nonzero()[:, 0].to(images.device) for i, one in enumerate(self.kinds)}
        images, points = images.clone(), resting(images).clone()
        moved = [kind for kind in self.kinds if isinstance(kind, Geometry) and kind.moves]
        for kind in moved:
            points[chosen[kind]] = kind.warp(points[chosen[kind]], generator)
        if moved:
            index = torch.cat([chosen[kind] for kind in moved]).unique()
            images[index] = F.grid_sample(images[index], points[index], align_corners=False)
        for other, index in chosen.items():
            if not isinstance(other, Geometry):
                images[index] = other(images[index], generator)
        return images
