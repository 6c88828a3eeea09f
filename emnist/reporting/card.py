"""The model card of an exported run, in Hugging Face's format (huggingface.co/docs/hub/model-cards): README.md."""

from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader
from omegaconf import OmegaConf

from emnist.analysis.confusion import confusion_counts
from emnist.data.sources.emnist import CLASSES, MERGED
from emnist.inference.deployed import run_id
from emnist.reporting.wording import model_name, threads
from emnist.runs.folder import RunFolder
from emnist.runs.result import Result

PAIRS = 6  # most confused ones

SNIPPETS = {  # with the shape of an image in memory filled in
    "onnx": """\
import json

import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
classes = json.loads(session.get_modelmeta().custom_metadata_map["classes"])

images = np.zeros((1, {shape}), np.uint8)  # N, {axes}
images[..., 4:24, 13:16] = 255  # a vertical bar
(probabilities,) = session.run(None, {{"images": images}})
print([classes[i] for i in probabilities.argmax(1)])
""",
    "torch": """\
import json

import torch

extra = {{"metadata.json": ""}}
model = torch.export.load("model.pt2", extra_files=extra).module()
classes = json.loads(json.loads(extra["metadata.json"])["classes"])

images = torch.zeros((1, {shape}), dtype=torch.uint8)  # N, {axes}
images[..., 4:24, 13:16] = 255  # a vertical bar
probabilities = model(images)
print([classes[i] for i in probabilities.argmax(1)])
""",
}


def model_card(
    folder: RunFolder, result: Result, classes: tuple[str, ...], format: str, files: dict[str, float]
) -> str:
    """The card of a finished run, exported as `onnx` or `torch` to these files, each with its test accuracy."""
    environment = Environment(loader=PackageLoader("emnist.reporting", "."), keep_trailing_newline=True)
    environment.filters |= {"percent": "{:.2%}".format, "thousands": "{:,}".format}
    config, device, accuracy = result.config, result.device, result.test_accuracy or 0.0
    model = {key: value for key, value in config["model"].items() if key != "name"}
    channels, height, width = result.data.image_shape
    shape = f"{height}, {width}" if channels == 1 else f"{channels}, {height}, {width}"
    axes = "height, width" if channels == 1 else "channels, height, width"
    known = [str(device[key]) for key in ("name", "precision") if key in device]
    return environment.get_template("card.md").render(
        front=front_matter(result, format),
        model=model_name(config["model"]["name"]),
        settings=", ".join(f"{key} {value}" for key, value in model.items()),
        run=run_id(result),
        result=result,
        data=result.data,
        source=config["data"]["name"],
        handwriting=is_handwriting(config["data"]),
        error=(accuracy * (1 - accuracy) / result.data.test) ** 0.5,
        hardware=", ".join(known + ([threads(device)] if "threads" in device else [])),
        classes=classes,
        merged=", ".join(merged(classes, config["data"])),
        confused=", ".join(confused(folder, classes)),
        files=files,
        snippet=SNIPPETS[format].format(shape=shape, axes=axes),
        shape=shape,
        channels=channels,
        height=height,
        width=width,
    )


def front_matter(result: Result, format: str) -> str:
    """What Hugging Face reads, as YAML."""
    name, data = result.config["model"]["name"], result.data
    source = result.config["data"]
    tags = ["ocr", "handwriting"] if is_handwriting(source) else ["ocr", "glyphs"] if source["name"] == "glyphs" else []
    figures = {"accuracy": result.test_accuracy, "f1": result.test_macro_f1}
    about = {
        "library_name": {"onnx": "onnx", "torch": "pytorch"}[format],
        "pipeline_tag": "image-classification",
        "tags": ["emnist", *tags, name],
        "metrics": list(figures),
        "model-index": [
            {
                "name": run_id(result),
                "results": [
                    {
                        "task": {"type": "image-classification"},
                        "dataset": {"name": data.description, "type": result.config["data"]["name"], "split": "test"},
                        "metrics": [
                            {"type": kind, "value": round(value, 4), "name": f"Test {kind}"}
                            for kind, value in figures.items()
                            if value is not None
                        ],
                    }
                ],
            }
        ],
    }
    return OmegaConf.to_yaml(about)


def is_handwriting(data: dict[str, Any]) -> bool:
    """Whether the images of a configuration are of handwritten characters, as far as that is known."""
    return data["name"] == "emnist" or (data["name"] == "torchvision" and data["split"] != "fashion")


def merged(classes: tuple[str, ...], data: dict[str, Any]) -> list[str]:
    """The letters among these classes whose other case has no class of its own in the whole set."""
    all_classes = {"emnist": CLASSES.get(data.get("split", "")), "glyphs": MERGED}.get(data["name"])
    return [c for c in classes if c.isalpha() and c.swapcase() not in all_classes] if all_classes else []


def confused(folder: RunFolder, classes: tuple[str, ...]) -> list[str]:
    """The pairs of classes taken for each other most often, with how often; empty without predictions."""
    arrays = folder.read_predictions("label", "predicted")
    if arrays is None:
        return []
    label, predicted = arrays
    counts = confusion_counts(label, predicted, len(classes))
    images = counts.sum(1)
    both = np.triu(counts + counts.T, 1)
    order = np.argsort(-both, axis=None, kind="stable")[:PAIRS]
    pairs = [(i, j) for i, j in zip(*np.unravel_index(order, both.shape), strict=True) if both[i, j]]
    return [f"{classes[i]} and {classes[j]} ({both[i, j]} of {images[i] + images[j]:,})" for i, j in pairs]
