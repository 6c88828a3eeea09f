import torch
import torch.nn.functional as F
from torch import Tensor, nn

from emnist.checks import Count, Probability
from emnist.models.layers import GREY_28, Dropout, ImageShape


class HaarTransform(nn.Module):
    """One level of the orthonormal 2D Haar wavelet transform: averages and differences of 2 × 2 pixels.

    The first `channels` are averages; then come the differences along rows, along columns, and along both. A fixed
    convolution, mostly of zeros: on one thread, in bf16 and with its gradient, it takes a third of the time of slices.

    Shapes: float [B, channels, H, W], H and W even → float [B, 4 channels, H / 2, W / 2], of the same sum of squares.
    """

    filters: Tensor

    def __init__(self, channels: int):
        super().__init__()
        haar = torch.tensor([[1.0, 1.0], [1.0, -1.0]])
        filters = torch.einsum("ai,bj,cd->abcdij", haar, haar, torch.eye(channels)).flatten(0, 2) / 2
        self.register_buffer("filters", filters, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.filters, stride=2)


class WaveMixBlock(nn.Module):
    """x + mixed(x): 1×1 convolution to a quarter of the channels → Haar → MLP of 1×1 convolutions → upsampling.

    The MLP is Conv → GELU → Dropout → Conv with `expansion` times the channels in between; the upsampling, which undoes
    the halving of the resolution, is a transposed convolution of 4 × 4, then batch norm.

    Shapes: float [B, channels, H, W], H and W even → the same.
    """

    def __init__(self, channels: int, expansion: int, dropout: float):
        super().__init__()
        self.mixed = nn.Sequential(
            nn.Conv2d(channels, channels // 4, 1),
            HaarTransform(channels // 4),
            nn.Conv2d(channels, expansion * channels, 1),
            nn.GELU(),
            Dropout(dropout),
            nn.Conv2d(expansion * channels, channels, 1),
            nn.ConvTranspose2d(channels, channels, 4, stride=2, padding=1),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.mixed(x)


class WaveMixLite(nn.Module):
    """WaveMix-Lite (Jeevan et al., WaveMix: a resource-efficient neural network for image analysis, 2022).

    Two convolutions of 3 × 3, then `blocks` that keep the resolution, global average, Linear. WaveMixLite-128/7 is one
    of 128 channels and 7 blocks. All weights start as torch's own, as in the authors' code. An odd height or width is
    padded with a row or column of zeros.

    Shapes: float [B, *image_shape] → logits float [B, num_classes].
    """

    def __init__(
        self,
        num_classes: int,
        image_shape: ImageShape = GREY_28,
        channels: Count = 128,
        blocks: Count = 7,
        expansion: Count = 2,
        dropout: Probability = 0.5,
    ):
        super().__init__()
        if channels % 4:
            raise ValueError(f"channels={channels}: must be a multiple of 4, of which the wavelet transform makes one")
        self.image_shape = image_shape
        channels_in, height, width = image_shape
        self.stem = nn.Sequential(
            nn.ZeroPad2d((0, width % 2, 0, height % 2)),
            nn.Conv2d(channels_in, channels // 2, 3, padding=1),
            nn.Conv2d(channels // 2, channels, 3, padding=1),
        )
        self.layers = nn.Sequential(*(WaveMixBlock(channels, expansion, dropout) for _ in range(blocks)))
        self.head = nn.Sequential(
            # Of the whole map. The gradient of nn.AdaptiveAvgPool2d has channels first in memory, with which the
            # backward pass of the batch norms takes several times as long.
            nn.AvgPool2d((height + height % 2, width + width % 2)),
            nn.Flatten(),
            nn.Linear(channels, num_classes),
        )

    @property
    def blocks(self) -> list[nn.Module]:
        """The parts with weights, from the input on: the stem, each block, then the head."""
        return [self.stem, *self.layers, self.head]

    @property
    def feature_maps(self) -> nn.Module:
        """The layer whose output are the last feature maps."""
        return self.layers[-1]

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.layers(self.stem(images)))
