import torch
from torch import Tensor, nn

from emnist.checks import Count, Probability
from emnist.models.layers import GREY_28, ImageShape


class SpinalHead(nn.Module):
    """Fully connected layers that take the features in halves (Kabir et al., 2020).

    Each layer is Dropout → Linear → BatchNorm → ReLU. It takes the first or, every other one, the second half of the
    features, with the outputs of the layer before it. The outputs of all layers go into `output`, Dropout → Linear.

    Shapes: float [B, features] → logits float [B, num_classes].
    """

    def __init__(self, features: int, num_classes: int, layers: int, neurons: int, dropout: float):
        super().__init__()
        self.middle = middle = features // 2
        self.layers = nn.ModuleList(
            nn.Sequential(
                nn.Dropout(dropout),
                nn.Linear(middle + (neurons if layer > 0 else 0), neurons),
                nn.BatchNorm1d(neurons),
                nn.ReLU(inplace=True),
            )
            for layer in range(layers)
        )
        self.output = nn.Sequential(nn.Dropout(dropout), nn.Linear(layers * neurons, num_classes))

    def forward(self, features: Tensor) -> Tensor:
        outputs: list[Tensor] = []
        for i, layer in enumerate(self.layers):
            half = features[:, self.middle :] if i % 2 else features[:, : self.middle]
            outputs.append(layer(torch.cat([half, *outputs[-1:]], 1)))
        return self.output(torch.cat(outputs, 1))


class VGG5Spinal(nn.Module):
    """VGG-5 with spinal fully connected layers (Kabir et al., SpinalNet: deep neural network with gradual input, 2020).

    A stage per entry of `filters` with so many `convolutions` of 3 × 3, each Conv → BatchNorm → ReLU, and MaxPool(2),
    then `spinal_layers` of so many `neurons`. The resolution halves with each stage, rounding down: 28, 14, 7, 3, 1.
    With the defaults, parameters and initialisation are those of the authors' code: convolutions have biases and He's
    normal weights by their outputs, linear layers torch's own weights.

    Shapes: float [B, *image_shape] → logits float [B, num_classes].
    """

    def __init__(
        self,
        num_classes: int,
        image_shape: ImageShape = GREY_28,
        filters: list[Count] = [64, 128, 256, 256],
        convolutions: list[Count] = [2, 2, 3, 3],
        spinal_layers: Count = 4,
        neurons: Count = 128,
        dropout: Probability = 0.5,
    ):
        super().__init__()
        if len(convolutions) != len(filters):
            raise ValueError(f"convolutions={convolutions} and filters={filters}: give one of each per stage")
        channels, height, width = self.image_shape = image_shape
        pixels = min(height, width)
        most = pixels.bit_length() - 1
        if not 1 <= len(filters) <= most:
            raise ValueError(f"filters={filters}: choose 1 to {most} stages; each halves the {pixels} pixels")
        stages: list[nn.Module] = []
        for filters_out, count in zip(filters, convolutions, strict=True):
            stage: list[nn.Module] = []
            for _ in range(count):
                conv = nn.Conv2d(channels, filters_out, 3, padding=1)
                nn.init.kaiming_normal_(conv.weight, mode="fan_out", nonlinearity="relu")
                stage += [conv, nn.BatchNorm2d(filters_out), nn.ReLU(inplace=True)]
                channels = filters_out
            stages.append(nn.Sequential(*stage, nn.MaxPool2d(2)))
            height, width = height // 2, width // 2
        features = channels * height * width
        if features % 2:
            raise ValueError(f"filters={filters}: {features} features have no halves; end with an even number")
        self.stages = nn.Sequential(*stages)
        self.head = SpinalHead(features, num_classes, spinal_layers, neurons, dropout)

    @property
    def blocks(self) -> list[nn.Module]:
        """The parts with weights, from the input on: each stage, each spinal layer, then the output layer."""
        return [*self.stages, *self.head.layers, self.head.output]

    @property
    def feature_maps(self) -> nn.Module:
        """The layer whose output are the last feature maps, before their resolution is halved once more."""
        *_, last, _ = self.stages[-1].children()
        return last

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.stages(images).flatten(1))
