from torch import Tensor, nn

from emnist.checks import Count, OddCount, Probability
from emnist.models.layers import GREY_28, ImageShape, conv_norm, find_activation, initialize

STEM_KERNEL_SIZE = 3  # the reference report gives a kernel size for the blocks only


class ResidualBlock(nn.Module):
    """activation(conv → activation → conv + shortcut); the shortcut is a 1×1 convolution where shapes change.

    Shapes: [B, channels_in, H, W] → [B, channels_out, ⌈H / stride⌉, ⌈W / stride⌉].
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        kernel_size: int,
        stride: int,
        activation: str,
        batch_norm: bool,
    ):
        super().__init__()
        self.body = nn.Sequential(
            conv_norm(channels_in, channels_out, kernel_size, stride, batch_norm),
            find_activation(activation).build(),
            conv_norm(channels_out, channels_out, kernel_size, 1, batch_norm),
        )
        same = stride == 1 and channels_in == channels_out
        self.shortcut = nn.Identity() if same else conv_norm(channels_in, channels_out, 1, stride, batch_norm)
        self.activation = find_activation(activation).build()

    def forward(self, x: Tensor) -> Tensor:
        return self.activation(self.body(x) + self.shortcut(x))


class ResNet(nn.Module):
    """Residual classifier (He et al., 2016): stem, a stage of blocks per entry, global average, Dropout → Linear.

    The first stage keeps the resolution of the images; each later stage halves it, rounding up: 28, 14, 7, 4.

    Shapes: float [B, *image_shape] → logits float [B, num_classes].
    """

    def __init__(
        self,
        num_classes: int,
        image_shape: ImageShape = GREY_28,
        blocks: list[Count] = [2, 2, 2],
        filters: list[Count] = [64, 128, 256],
        kernel_size: OddCount = 5,
        activation: str = "leaky",
        batch_norm: bool = True,
        dropout: Probability = 0.0,
    ):
        super().__init__()
        if len(blocks) != len(filters) or not blocks:
            raise ValueError(f"blocks={blocks} and filters={filters}: give one of each per stage")
        self.image_shape = image_shape
        channels = filters[0]
        self.stem = nn.Sequential(
            conv_norm(image_shape[0], channels, STEM_KERNEL_SIZE, 1, batch_norm), find_activation(activation).build()
        )
        stages: list[nn.Module] = []
        for stage, (count, filters_out) in enumerate(zip(blocks, filters, strict=True)):
            for block in range(count):
                stride = 2 if stage > 0 and block == 0 else 1
                stages.append(ResidualBlock(channels, filters_out, kernel_size, stride, activation, batch_norm))
                channels = filters_out
        self.stages = nn.Sequential(*stages)
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(channels, num_classes),
        )
        initialize(self, activation, batch_norm)

    @property
    def blocks(self) -> list[nn.Module]:
        """The parts with weights, from the input on: the stem, each residual block, then the head."""
        return [self.stem, *self.stages, self.head]

    @property
    def feature_maps(self) -> nn.Module:
        """The layer whose output are the last feature maps."""
        return self.stages[-1]

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.stages(self.stem(images)))
