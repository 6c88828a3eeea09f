from collections.abc import Sequence

from torch import Tensor, nn

from emnist.checks import flag, listed, number, odd, whole
from emnist.errors import UserError
from emnist.models.layers import conv_norm, find_activation, initialize


class CNN(nn.Module):
    """Convolutional classifier: per layer Conv → BatchNorm → activation → MaxPool(2), then Dropout → Linear.

    The resolution halves with each layer: 28, 14, 7, 3, 1. The report leaves the head open; a single linear
    layer on the flattened features is ours.

    Shapes: float [B, 1, 28, 28] → logits float [B, num_classes].
    """

    def __init__(
        self,
        num_classes: int,
        filters: Sequence[int] = (32, 64),
        kernel_sizes: Sequence[int] = (3, 3),
        activation: str = "relu",
        batch_norm: bool = True,
        dropout: float = 0.0,
    ):
        super().__init__()
        flag("model.batch_norm", batch_norm)
        filters, kernel_sizes = listed("model.filters", filters), listed("model.kernel_sizes", kernel_sizes)
        if len(filters) != len(kernel_sizes):
            raise UserError(
                f"model.kernel_sizes={kernel_sizes} and model.filters={filters} differ in length; "
                "give one kernel size per convolution layer"
            )
        if not 1 <= len(filters) <= 4:
            raise UserError(f"model.filters={filters}: choose 1 to 4 layers; each halves the 28 pixels")
        layers: list[nn.Module] = []
        channels, size = 1, 28
        for filters_out, kernel_size in zip(filters, kernel_sizes, strict=True):
            filters_out, kernel_size = (
                whole("model.filters", filters_out),
                odd("model.kernel_sizes", kernel_size),
            )
            layers += [
                conv_norm(channels, filters_out, kernel_size, 1, batch_norm),
                find_activation(activation).build(),
                nn.MaxPool2d(2),
            ]
            channels, size = filters_out, size // 2
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(number("model.dropout", dropout, below=1)),
            nn.Linear(channels * size * size, num_classes),
        )
        initialize(self, activation, batch_norm)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images))
