"""A trained classifier as one module, from the images to the probabilities, and the check of its copies."""

import io
import json
import warnings
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from emnist.data.batches import normalize
from emnist.data.sources.glyphs import draw
from emnist.errors import UserError
from emnist.inference.load import TrainedClassifier
from emnist.models.layers import ImageShape
from emnist.runs.identity import cell_id, run_name
from emnist.runs.result import Result

FORMAT = "emnist.model/1"
BATCHES = (1, 7, 512)  # images; one, an odd number, and what this project evaluates with
BATCHES_IN_WORDS = "1, 7 and 512"
TOLERANCE = 1e-4  # of a probability; rounding alone came to 1e-6


class DeployedClassifier(nn.Module):
    """Normalisation, network and temperature in one.

    Shapes: upright images uint8 [N, *array_shape], for characters [N, 28, 28] (0 = paper, 255 = ink) → calibrated
    probabilities float32 [N, classes].
    """

    def __init__(self, classifier: TrainedClassifier):
        super().__init__()
        self.classifier, self.network = classifier, classifier.network

    def forward(self, images: Tensor) -> Tensor:
        inputs = normalize(images, self.classifier.mean, self.classifier.std)
        return self.classifier.probabilities(self.network(inputs))


def trace(classifier: TrainedClassifier) -> ExportedProgram:
    """The computation of `DeployedClassifier` for any number of images, as torch.export records it."""
    example = torch.zeros(2, *classifier.array_shape, dtype=torch.uint8)  # of 1, torch would make a constant
    module = DeployedClassifier(classifier).eval()
    program = torch.export.export(module, (example,), dynamic_shapes=({0: Dim("batch")},))
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # names folders of this machine
    return program


def to_pt2(program: ExportedProgram, metadata: dict[str, str]) -> bytes:
    """The file that torch.export.load reads, with the metadata as its extra file metadata.json."""
    content = io.BytesIO()
    torch.export.save(program, content, extra_files={"metadata.json": json.dumps(metadata, ensure_ascii=False)})
    return content.getvalue()


def load_pt2(content: bytes) -> Callable[[Tensor], Tensor]:
    """uint8 [N, *array_shape] → float32 [N, classes]."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch 2.11, about its own reading
        return torch.export.load(io.BytesIO(content)).module()


def largest_difference(predict: Callable[[Tensor], Tensor], classifier: TrainedClassifier, name: str) -> float:
    """Between the probabilities of a copy and of the classifier, on drawn characters in batches of 1, 7 and 512.

    `predict` takes uint8 [N, *array_shape] and returns float32 [N, classes]. Raises UserError, with the name of the
    copy, if the difference is above the tolerance. Noise would not do as images: networks are so sure of it that every
    probability is 0 or 1.
    """
    drawn = characters_of(classifier.image_shape, max(BATCHES)).view(-1, *classifier.array_shape)
    differences = []
    for batch in BATCHES:
        images = drawn[:batch]
        differences.append((predict(images) - classifier.predict(images)).abs().max().item())
    largest = max(differences)
    if not largest <= TOLERANCE:  # a NaN too
        raise UserError(
            f"{name}: not written, since its probabilities differ from the run's by up to {largest:.1g} at batches of"
            f" {BATCHES_IN_WORDS}, which is more than rounding ({TOLERANCE:g}); please report it with your versions"
        )
    return largest


def characters_of(image_shape: ImageShape, count: int) -> Tensor:
    """Drawn characters scaled to that size, in colour images another one in each channel: uint8 [count, C, H, W]."""
    channels, *size = image_shape
    drawn = draw(-(-count * channels // 47), seed=0).flatten(0, 1)[: count * channels]
    if tuple(size) != tuple(drawn.shape[1:]):
        drawn = F.interpolate(drawn.unsqueeze(1).float(), size, mode="bilinear").squeeze(1).to(torch.uint8)
    return drawn.view(count, *image_shape)


def metadata(classifier: TrainedClassifier, result: Result) -> dict[str, str]:
    """What an exported file says of itself: its classes, in order, as a JSON list, and where they come from."""
    data = result.data
    return {
        "format": FORMAT,
        "classes": json.dumps(classifier.classes, ensure_ascii=False),
        "run": run_id(result),
        "emnist": str(result.versions.get("emnist")),
        "commit": str(result.versions.get("commit")),
        "data": data.description,
        "data_sha256": data.fingerprint,
        "test_accuracy": f"{result.test_accuracy:.4f}",
        "temperature": str(classifier.temperature),
    }


def run_id(result: Result) -> str:
    """The cell of the run and its name there, such as cnn/fcae4f5e304f/fold0_seed0."""
    cell = cell_id(result.config, result.data.fingerprint)
    return f"{cell}/{run_name(result.config['data']['fold'], result.config['seed'])}"
