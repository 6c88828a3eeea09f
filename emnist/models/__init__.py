from torch import nn

from emnist.errors import UserError, choose
from emnist.models.cnn import CNN
from emnist.models.mlp import MLP
from emnist.models.resnet import ResNet

MODELS: dict[str, type[nn.Module]] = {"mlp": MLP, "cnn": CNN, "resnet": ResNet}


def build_model(name: str, num_classes: int, **hyperparameters) -> nn.Module:
    """The architecture of that name with fresh weights. Raises UserError for values it can't be built with."""
    if name not in MODELS:
        raise choose("model.name", name, MODELS)
    try:
        return MODELS[name](num_classes, **hyperparameters)
    except TypeError as error:
        raise UserError(f"model={name}: {error}") from error
