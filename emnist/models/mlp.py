from collections.abc import Sequence

from torch import Tensor, nn

from emnist.checks import flag, number, whole
from emnist.errors import UserError
from emnist.models.layers import find_activation, initialize

PIXELS = 28 * 28


class MLP(nn.Module):
    """Fully connected classifier: `hidden_layers` × (Linear → BatchNorm → activation → Dropout), then Linear.

    `dropout` is one probability, or one per hidden layer.

    Shapes: float [B, 1, 28, 28] → logits float [B, num_classes].
    """

    def __init__(
        self,
        num_classes: int,
        hidden_layers: int = 3,
        neurons: int = 128,
        activation: str = "relu",
        batch_norm: bool = True,
        dropout: float | Sequence[float] = 0.0,
    ):
        super().__init__()
        flag("model.batch_norm", batch_norm)
        hidden_layers, neurons = whole("model.hidden_layers", hidden_layers), whole("model.neurons", neurons)
        dropouts: list = list(dropout) if isinstance(dropout, list | tuple) else [dropout] * hidden_layers
        if len(dropouts) != hidden_layers:
            raise UserError(
                f"model.dropout={dropouts}: {len(dropouts)} values for model.hidden_layers={hidden_layers}; "
                "give one number, or one per hidden layer"
            )
        layers: list[nn.Module] = [nn.Flatten()]
        width = PIXELS
        for p in dropouts:
            layers.append(nn.Linear(width, neurons, bias=not batch_norm))
            if batch_norm:
                layers.append(nn.BatchNorm1d(neurons))
            layers.append(find_activation(activation).build())
            if number("model.dropout", p, below=1) > 0:
                layers.append(nn.Dropout(p))
            width = neurons
        self.layers = nn.Sequential(*layers, nn.Linear(width, num_classes))
        initialize(self, activation, batch_norm)

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)
