from torch import Tensor, nn

from emnist.checks import Count, OddCount, Probability
from emnist.models.layers import GREY_28, ImageShape, conv_norm, find_activation, initialize


class CNN(nn.Module):
    """Convolutional classifier: per layer Conv → BatchNorm → activation → MaxPool(2), then Dropout → Linear.

    The resolution halves with each layer, rounding down: 28, 14, 7, 3, 1. The reference report leaves the head open; a
    single linear layer on the flattened features is ours.

    Shapes: float [B, *image_shape] → logits float [B, num_classes].
    """

    def __init__(
        self,
        num_classes: int,
        image_shape: ImageShape = GREY_28,
        filters: list[Count] = [32, 64],
        kernel_sizes: list[OddCount] = [3, 3],
        activation: str = "relu",
        batch_norm: bool = True,
        dropout: Probability = 0.0,
    ):
        super().__init__()
        if len(filters) != len(kernel_sizes):
            raise ValueError(
                f"kernel_sizes={kernel_sizes} and filters={filters} differ in length; "
                "give one kernel size per convolution layer"
            )
        channels, height, width = self.image_shape = image_shape
        pixels = min(height, width)
        most = pixels.bit_length() - 1
        if not 1 <= len(filters) <= most:
            raise ValueError(f"filters={filters}: choose 1 to {most} layers; each halves the {pixels} pixels")
        layers: list[nn.Module] = []
        for filters_out, kernel_size in zip(filters, kernel_sizes, strict=True):
            layers += [
                conv_norm(channels, filters_out, kernel_size, 1, batch_norm),
                find_activation(activation).build(),
                nn.MaxPool2d(2),
            ]
            channels, height, width = filters_out, height // 2, width // 2
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(channels * height * width, num_classes),
        )
        initialize(self, activation, batch_norm)

    @property
    def blocks(self) -> list[nn.Module]:
        """The parts with weights, from the input on: each convolution with its batch norm, then the head."""
        return [*self.features[::3], self.head]

    @property
    def feature_maps(self) -> nn.Module:
        """The layer whose output are the last feature maps, before their resolution is halved once more."""
        return self.features[-2]

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images))
