"""A page on which people draw characters and networks read them: one HTML file that needs no server and no network.

What runs in it is in page/: network.js computes as PyTorch does, character.js brings a drawing into EMNIST's form as
emnist.data.character does, pad.js is what people see and touch.
"""

import base64
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jinja2 import Environment, PackageLoader
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from emnist.data.dataset import Dataset
from emnist.errors import UserError
from emnist.inference.images import images_of
from emnist.inference.load import TrainedClassifier, load_reader
from emnist.models.cnn import CNN
from emnist.models.compact import Compact, Residual
from emnist.models.layers import ELU, Dropout
from emnist.models.mlp import MLP
from emnist.models.resnet import ResidualBlock, ResNet
from emnist.runs.folder import RunFolder
from emnist.runs.result import Result

ROOM = 1_750_000  # weights of all networks of a page: 9.3 MB in base64, which a phone still receives and opens at once
EXAMPLES = 8
SCRIPTS = ("network.js", "character.js", "pad.js")
IN_ORDER = (MLP, CNN, ResNet, Compact)  # these apply their children in the order of their definition
IDLE = (Dropout, nn.Dropout, nn.Identity)  # once a network is trained
OPERATIONS: dict[type[nn.Module], str] = {  # of network.js
    nn.Flatten: "flatten",
    nn.ReLU: "relu",
    nn.LeakyReLU: "leaky",
    ELU: "elu",
    nn.MaxPool2d: "pool",
    nn.AdaptiveAvgPool2d: "average",
    nn.AdaptiveMaxPool2d: "highest",
}


@dataclass
class Reader:
    """A run as a reader of characters."""

    folder: Path
    classifier: TrainedClassifier
    result: Result | None  # None: the run is unfinished
    weights: int
    fits: bool  # into the page with the others, in full precision
    computable: bool = True  # by network.js

    @property
    def name(self) -> str:
        return type(self.classifier.network).__name__

    @property
    def where(self) -> str:
        return "/".join(self.folder.parts[-2:])

    def is_in_page(self, everything: bool) -> bool:
        return self.fits or (everything and self.computable)

    @property
    def left_out(self) -> str:
        if not self.computable:
            return (
                f"{self.name} ({self.where}): left out, the page can't compute its layers;"
                " python -m emnist.demo without --out shows it, computed by Python"
            )
        return (
            f"{self.name} ({self.where}): left out, its {self.weights:,} weights are too many for"
            " the page; python -m emnist.demo --all puts them in, in half precision"
        )


def load_readers(folders: Sequence[str | Path]) -> list[Reader]:
    """The classifiers of these runs. They fit into the page, in this order, as long as there is room.

    Raises UserError for a folder without a finished epoch, and for a network that doesn't read characters.
    """
    readers: list[Reader] = []
    room = ROOM
    for folder in folders:
        classifier = load_reader(folder)
        weights = sum(parameter.numel() for parameter in classifier.network.parameters())
        result = RunFolder(folder).read_result()
        computable = is_computable(classifier.network)
        fits = computable and weights <= room
        readers.append(Reader(Path(folder).resolve(), classifier, result, weights, fits, computable))
        room -= weights if fits else 0
    return readers


def pad_fragment(readers: Sequence[Reader]) -> str:
    """The pad as HTML to be put into a page, with its style and scripts, which touch nothing outside of it.

    A reader that doesn't fit is left out, with a line that says so.
    """
    return _render("pad.html", readers)


def pad_page(readers: Sequence[Reader], everything: bool = False, served: bool = False) -> str:
    """The pad as a page of its own.

    With `everything`, a reader that is too large is put in nevertheless, in half precision; with `served`, the page
    asks emnist.inference.server what those read that are not in it.
    """
    return _render("page.html", readers, everything, served)


def _render(template: str, readers: Sequence[Reader], everything: bool = False, served: bool = False) -> str:
    shown = [reader for reader in readers if reader.is_in_page(everything) or served]
    twice = {name for name, times in Counter(reader.name for reader in shown).items() if times > 1}
    networks = [
        describe_network(reader.classifier, half=not reader.fits)
        if reader.is_in_page(everything)
        else {"classes": reader.classifier.classes}
        for reader in shown
    ]
    examples = find_examples(readers)
    data = json.dumps({"networks": networks, "examples": examples}).replace("<", "\\u003c")  # ends no script
    here = Path(__file__).with_suffix("")
    environment = Environment(loader=PackageLoader("emnist.inference", "page"), autoescape=True)
    return environment.get_template(template).render(
        whole=template == "page.html",
        style=(here / "page.css").read_text("utf-8"),
        scripts=[(here / script).read_text("utf-8") for script in SCRIPTS],
        cards=[describe_reader(reader, reader.name in twice, everything) for reader in shown],
        left_out=[reader.left_out for reader in readers if reader not in shown],
        examples=examples,
        data=data,
    )


def describe_reader(reader: Reader, is_one_of_several: bool, everything: bool) -> dict[str, Any]:
    """What its card says: name, accuracy, and on which data; of several networks of a name, also which run."""
    result = reader.result
    accuracy = (
        "not tested" if result is None or result.test_accuracy is None else f"{result.test_accuracy:.1%} on test images"
    )
    lines = [reader.where] if is_one_of_several else []
    if result is not None:
        lines.append(result.data.description)
        if result.views:
            lines.append(f"tested as the mean over {1 + result.views} views of an image, which the page does not take")
    if result is None or result.temperature is None:
        lines.append("percentages not calibrated")
    if not reader.computable:
        lines.append("computed by Python")
    elif not reader.fits:
        lines.append(f"too large for the page: {'weights in half precision' if everything else 'computed by Python'}")
    return {"name": reader.name, "accuracy": accuracy, "lines": lines}


def find_examples(readers: Sequence[Reader]) -> list[dict[str, str]]:
    """The first test image of every sixth class or so, from the data of the first run whose data are still here."""
    dataset = next(filter(None, map(find_data, readers)), None)
    if dataset is None:
        return []
    labels = [i * len(dataset.classes) // EXAMPLES for i in range(EXAMPLES)]
    firsts = [(dataset.test_labels == label).nonzero()[:1, 0] for label in labels]
    return [
        {"label": dataset.classes[label], "image": encode(dataset.test_images[first].numpy())}
        for label, first in zip(labels, firsts, strict=True)
        if len(first)
    ]


def find_data(reader: Reader) -> Dataset | None:
    """The images that the run was trained and tested on; None if they are not here, or others by now."""
    if reader.result is None:
        return None
    try:
        return images_of(reader.result).dataset
    except UserError:
        return None


def encode(array: np.ndarray) -> str:
    return base64.b64encode(array.tobytes()).decode()


def describe_network(classifier: TrainedClassifier, half: bool = False) -> dict[str, Any]:
    """A network as network.js takes it: layers in order, batch norm folded into the layer before it, weights in base64.

    `features` is the number of layers up to the feature maps of the heat map, 0 without any. With `half`, weights have
    16 bits. Raises UserError for a module that network.js can't compute.
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
        "weights": encode(weights),
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


def is_computable(network: nn.Module) -> bool:
    """Whether network.js can compute it."""
    try:
        for module in steps(network):
            describe_layer(module, [])
    except UserError:
        return False
    return True


def leaves(module: nn.Module) -> Iterator[nn.Module]:
    if isinstance(module, IN_ORDER) or (isinstance(module, nn.Sequential) and not isinstance(module, Residual)):
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
    if isinstance(module, Residual):
        body = [describe_layer(step, numbers) for step in steps(nn.Sequential(*module))]
        return {"op": "block", "body": body, "shortcut": [], "after": []}
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
        known = ", ".join(kind.__name__ for kind in (nn.Linear, nn.Conv2d, ResidualBlock, Residual, *OPERATIONS))
        raise UserError(f"{type(module).__name__}: the page can't compute this layer; it knows {known}")
    return {"op": OPERATIONS[type(module)]}
