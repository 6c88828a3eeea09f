from torch import nn

from emnist.checks import construct
from emnist.errors import unknown
from emnist.models.cnn import CNN
from emnist.models.compact import Compact
from emnist.models.layers import GREY_28, ImageShape
from emnist.models.mlp import MLP
from emnist.models.resnet import ResNet
from emnist.models.vgg5_spinal import VGG5Spinal
from emnist.models.wavemix_lite import WaveMixLite

MODELS: dict[str, type[nn.Module]] = {
    "mlp": MLP,
    "cnn": CNN,
    "resnet": ResNet,
    "compact": Compact,
    "vgg5_spinal": VGG5Spinal,
    "wavemix_lite": WaveMixLite,
}


def build_model(name: str, num_classes: int, image_shape: ImageShape = GREY_28, **hyperparameters) -> nn.Module:
    """The architecture of that name with fresh weights, for images [channels, height, width].

    Raises UserError for invalid hyperparameters.
    """
    if name not in MODELS:
        raise unknown("model.name", name, MODELS)
    return construct("model", MODELS[name], num_classes, image_shape, **hyperparameters)
