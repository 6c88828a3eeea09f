from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from emnist.checks import Count, OddCount, Probability
from emnist.models.layers import GREY_28, ImageShape, conv_norm, find_activation, initialize

SMALL_VARIANCE = 0.05  # where pixels have 1: directions with less are not blown up, since they are mostly noise


class Whitening(nn.Conv2d):
    """A convolution of stride 2 whose outputs are uncorrelated: its filters are fitted to images, not trained.

    The principal components of all patches, each divided by its standard deviation, and their negatives, so that an
    activation behind it loses nothing (Coates and Ng, 2011; in fast training, Jordan, 2024, arXiv 2404.00498).

    Shapes: [B, channels, H, W] → [B, 2 · channels · kernel_size², ⌈H / 2⌉, ⌈W / 2⌉].
    """

    def __init__(self, channels: int, kernel_size: int):
        super().__init__(channels, 2 * channels * kernel_size**2, kernel_size, 2, kernel_size // 2, bias=False)
        weight = self.weight.detach()
        del self.weight
        self.register_buffer("weight", weight)  # no parameter: no optimizer or penalty changes it

    @torch.no_grad()
    def fit(self, images: Tensor) -> None:
        """Set the filters to those of normalised images, float [N, channels, H, W]."""
        patches = F.unfold(images, self.kernel_size, padding=self.kernel_size[0] // 2, stride=self.stride)
        patches = patches.transpose(1, 2).flatten(0, 1)  # [N · places, channels · kernel_size²]
        variances, components = torch.linalg.eigh(patches.T @ patches / len(patches))
        filters = (components / (variances + SMALL_VARIANCE).sqrt()).T.reshape(-1, *self.weight.shape[1:])
        self.weight.copy_(torch.cat([filters, -filters]))


class Stage(nn.Sequential):
    """Conv → BatchNorm → (MaxPool(2)) → activation, then a residual branch of Conv → BatchNorm → activation.

    Shapes: [B, channels_in, H, W] → [B, channels_out, H, W], or half of H and W, rounded down, if it pools.
    """

    def __init__(self, channels_in: int, channels_out: int, kernel_size: int, pools: bool, activation: str):
        build = find_activation(activation).build
        super().__init__(
            conv_norm(channels_in, channels_out, kernel_size, 1, True),
            *([nn.MaxPool2d(2)] if pools else []),
            build(),
            Residual(conv_norm(channels_out, channels_out, kernel_size, 1, True), build()),
        )


class Residual(nn.Sequential):
    """x + the modules applied to x, one after the other."""

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


class Compact(nn.Module):
    """A small residual classifier that learns in few epochs: a whitening stem, then stages of two convolutions.

    Our own, after the networks of fast-training records (Page, 2018; Jordan, 2024). The stem halves the resolution at
    once, which is what makes it fast: 28 × 28 images have few details of one pixel. Then every stage but the first
    halves it: 14, 7, 3. The head takes the highest value of each feature map. Without `whitening`, the first
    convolution is trained like the others.

    Shapes: float [B, *image_shape] → logits float [B, num_classes].
    """

    def __init__(
        self,
        num_classes: int,
        image_shape: ImageShape = GREY_28,
        filters: list[Count] = [48, 96, 128],
        kernel_size: OddCount = 3,
        stem_kernel_size: OddCount = 3,
        whitening: bool = True,
        activation: str = "relu",
        dropout: Probability = 0.0,
    ):
        super().__init__()
        self.image_shape = image_shape
        pixels = (min(image_shape[1:]) + 1) // 2  # behind the stem
        if not 1 <= len(filters) <= pixels.bit_length():
            most = pixels.bit_length()
            raise ValueError(
                f"filters={filters}: choose 1 to {most} stages; all but the first halve the {pixels} pixels"
            )
        first: nn.Conv2d = Whitening(image_shape[0], stem_kernel_size)
        channels = first.out_channels
        if not whitening:
            first = nn.Conv2d(image_shape[0], channels, stem_kernel_size, 2, stem_kernel_size // 2, bias=False)
        self.stem = nn.Sequential(first, find_activation(activation).build())
        stages: list[nn.Module] = []
        for filters_out in filters:
            stages.append(Stage(channels, filters_out, kernel_size, bool(stages), activation))
            channels = filters_out
        self.stages = nn.Sequential(*stages)
        self.head = nn.Sequential(
            nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(channels, num_classes)
        )
        initialize(self, activation, batch_norm=True)

    @property
    def blocks(self) -> list[nn.Module]:
        """The parts with weights, from the input on: each stage, the first with the stem, then the head."""
        first, *others = self.stages
        return [nn.Sequential(self.stem, first), *others, self.head]

    @property
    def feature_maps(self) -> nn.Module:
        """The layer whose output are the last feature maps."""
        return cast(nn.Sequential, self.stages[-1])[-1]

    def fit_stem(self, images: Tensor) -> None:
        """Fit the whitening, if there is one, to normalised training images, float [N, *image_shape]."""
        if isinstance(first := self.stem[0], Whitening):
            first.fit(images)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.stages(self.stem(images)))
