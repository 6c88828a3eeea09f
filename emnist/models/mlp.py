from itertools import pairwise
from math import prod

from torch import Tensor, nn

from emnist.checks import Count, Probability
from emnist.models.layers import GREY_28, Dropout, ImageShape, find_activation, initialize


class MLP(nn.Module):
    """Fully connected classifier: `hidden_layers` × (Linear → BatchNorm → activation → Dropout), then Linear.

    `dropout` is one probability, or one per hidden layer.

    Shapes: float [B, *image_shape] → logits float [B, num_classes].
    """

    def __init__(
        self,
        num_classes: int,
        image_shape: ImageShape = GREY_28,
        hidden_layers: Count = 3,
        neurons: Count = 128,
        activation: str = "relu",
        batch_norm: bool = True,
        dropout: Probability | list[Probability] = 0.0,
    ):
        super().__init__()
        self.image_shape = image_shape
        dropouts = dropout if isinstance(dropout, list) else [dropout] * hidden_layers
        if len(dropouts) != hidden_layers:
            raise ValueError(
                f"dropout={dropouts}: {len(dropouts)} values for hidden_layers={hidden_layers}; "
                "give one number, or one per hidden layer"
            )
        layers: list[nn.Module] = [nn.Flatten()]
        width = prod(image_shape)
        for p in dropouts:
            layers.append(nn.Linear(width, neurons, bias=not batch_norm))
            if batch_norm:
                layers.append(nn.BatchNorm1d(neurons))
            layers.append(find_activation(activation).build())
            if p > 0:
                layers.append(Dropout(p))
            width = neurons
        self.layers = nn.Sequential(*layers, nn.Linear(width, num_classes))
        initialize(self, activation, batch_norm)

    @property
    def blocks(self) -> list[nn.Module]:
        """From the input on: each hidden layer with its batch norm, activation and dropout, then the head."""
        starts = [i for i, layer in enumerate(self.layers) if isinstance(layer, nn.Linear)]
        return [self.layers[start:end] for start, end in pairwise([*starts, len(self.layers)])]

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)
