from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from emnist.checks import Probability
from emnist.data.augmentation.augmentation import Augmentation, uniform
from emnist.data.augmentation.boxes import random_boxes


class Erasing(Augmentation):
    """A rectangle of every image becomes paper (random erasing, Zhong et al., 2020).

    Its area is uniform from 0 to `area`, as a share of the image's, and the ratio of its sides from 1 : `aspect` to
    `aspect` : 1. What falls beyond an edge is cut off. The paper leaves half of the images as they are; here, some lose
    next to nothing.
    """

    strengths = ("area",)

    def __init__(self, area: Probability, aspect: Annotated[float, Field(ge=1)]):
        self.area, self.aspect = area, aspect

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        pixels = uniform(len(images), generator) * self.area * images.shape[2] * images.shape[3]
        ratio = self.aspect ** uniform(len(images), generator, -1, 1)
        inside = random_boxes((pixels * ratio).sqrt(), (pixels / ratio).sqrt(), images.shape, generator)
        return images.masked_fill(inside.to(images.device), 0)
