from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor

from emnist.data.augmentation.augmentation import Augmentation
from emnist.data.augmentation.geometry import Geometry, move
from emnist.data.augmentation.kinds import build_kinds


class Combined(Augmentation):
    """Several kinds on every image: first those that move pixels, all at once, then the others as they are listed.

    `kinds` are names and arguments.
    """

    def __init__(self, kinds: Annotated[dict[str, dict[str, Any]], Field(min_length=1)]):
        self.kinds = build_kinds(kinds)

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        images = move(images, [kind for kind in self.kinds if isinstance(kind, Geometry)], generator)
        for kind in self.kinds:
            if not isinstance(kind, Geometry):
                images = kind(images, generator)
        return images
