"""A page on which people draw characters and networks read them: one HTML file that needs no server and no network.

What runs in it is in page/: network.js computes as PyTorch does, character.js brings a drawing into EMNIST's form as
emnist.inference.character does, pad.js is what people see and touch.
"""

import base64
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from jinja2 import Environment, PackageLoader
from markupsafe import Markup
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from emnist.data.dataset import Dataset
from emnist.data.sources import load_dataset
from emnist.errors import UserError
from emnist.inference.load import TrainedClassifier, load_run
from emnist.models.cnn import CNN
from emnist.models.layers import ELU, Dropout
from emnist.models.mlp import MLP
from emnist.models.resnet import ResidualBlock, ResNet
from emnist.runs.config import Split
from emnist.runs.folder import RunFolder
from emnist.runs.result import Result

ROOM = 1_750_000  # weights of all networks of a page: 9.3 MB in base64, which a phone still receives and opens at once
EXAMPLES = 8
SCRIPTS = ("network.js", "character.js", "pad.js")
IN_ORDER = (nn.Sequential, MLP, CNN, ResNet)  # these apply their children in the order of their definition
IDLE = (Dropout, nn.Dropout, nn.Identity)  # once a network is trained
OPERATIONS: dict[type[nn.Module], str] = {  # of network.js
    nn.Flatten: "flatten",
    nn.ReLU: "relu",
    nn.LeakyReLU: "leaky",
    ELU: "elu",
    nn.MaxPool2d: "pool",
    nn.AdaptiveAvgPool2d: "average",
}


def describe_network(classifier: TrainedClassifier, half: bool = False) -> dict[str, Any]:
    """A network as network.js takes it: layers in order, batch norm folded into the layer before it, weights in base64.

    `features` is the number of layers up to the feature maps of the heat map, 0 without any. With `half`, weights have 16
    bits. Raises UserError for a module that network.js can't compute.
    """
    modules, last = list(steps(classifier.network)), getattr(classifier.network, "feature_maps", None)
    numbers: list[Tensor] = []
    layers = [describe_layer(module, numbers) for module in modules]
    weights = torch.cat(numbers).detach().cpu().numpy().astype("<f2" if half else "<f4")
    return {
        "classes": classifier.classes,
        "mean": classifier.mean,
        "std": classifier.std,
        "temperature": classifier.temperature,
        "features": 0 if last is None else 1 + modules.index(last),
        "layers": layers,
        "half": half,
        "weights": base64.b64encode(weights.tobytes()).decode(),
    }


def steps(network: nn.Module) -> list[nn.Module]:
    """The modules that a trained network applies one after the other, batch norm folded into the one before it."""
    found: list[nn.Module] = []
    for module in leaves(network):
        before = found[-1] if found else None
        if isinstance(module, nn.BatchNorm2d) and isinstance(before, nn.Conv2d):
            found[-1] = fuse_conv_bn_eval(before, module)
        elif isinstance(module, nn.BatchNorm1d) and isinstance(before, nn.Linear):
            found[-1] = fuse_linear_bn_eval(before, module)
        elif not isinstance(module, IDLE):
            found.append(module)
    return found


def leaves(module: nn.Module) -> Iterator[nn.Module]:
    if isinstance(module, IN_ORDER):
        for child in module.children():
            yield from leaves(child)
    else:
        yield module


def describe_layer(module: nn.Module, numbers: list[Tensor]) -> dict[str, Any]:
    """Name and sizes of a layer; its weights [inputs, outputs] and then its biases are added to `numbers`, flat."""
    if isinstance(module, ResidualBlock):
        parts = {"body": module.body, "shortcut": module.shortcut, "after": module.activation}
        return {"op": "block"} | {
            name: [describe_layer(step, numbers) for step in steps(part)] for name, part in parts.items()
        }
    if isinstance(module, nn.Conv2d | nn.Linear):
        weight = module.weight.movedim(0, -1)  # outputs last, and channels before them, as in the images
        weight = weight.movedim(0, -2) if isinstance(module, nn.Conv2d) else weight
        weight = weight.flatten(0, -2)
        bias = torch.zeros_like(weight[0]) if module.bias is None else module.bias
        numbers += [weight.flatten(), bias]
        sizes = {"inputs": weight.shape[0], "outputs": weight.shape[1]}
        if isinstance(module, nn.Conv2d):
            return {"op": "conv", "kernel": module.kernel_size[0], "stride": module.stride[0], **sizes}
        return {"op": "linear", **sizes}
    if type(module) not in OPERATIONS:
        known = ", ".join(kind.__name__ for kind in (nn.Linear, nn.Conv2d, ResidualBlock, *OPERATIONS))
        raise UserError(f"{type(module).__name__}: the page can't compute this layer; it knows {known}")
    return {"op": OPERATIONS[type(module)]}
