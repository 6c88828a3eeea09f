"""What a network looks at, as files: explanations.png and explanations.npz."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from emnist.analysis.confusion import most_confident_mistakes
from emnist.atomic import write_atomically, write_bytes
from emnist.errors import UserError
from emnist.figures.explanations import explanations, label_of
from emnist.figures.style import to_png
from emnist.inference.images import images_of
from emnist.inference.load import TrainedClassifier, load_reader, load_run
from emnist.inference.predictions import read_files
from emnist.inference.saliency import heat_maps
from emnist.runs.folder import RunFolder

MISTAKES = 40


@dataclass
class Explained:
    """Images with the maps of their predicted classes."""

    names: list[str]  # files, or numbers in the test set
    images: Tensor  # uint8 [N, H, W] or [N, 3, H, W]
    labels: Tensor | None  # int64 [N], of test images
    title: str


def explain(folder: Path, pictures: Sequence[str], mistakes: int | None, ink: str, out: Path | None) -> None:
    """Write the maps of these pictures, or of the most confident mistakes; files that can't be read are told last."""
    if pictures and mistakes is not None:
        raise UserError("--mistakes and pictures: give one of them")
    count = MISTAKES if mistakes is None else mistakes
    if count < 1:
        raise UserError(f"--mistakes={mistakes}: must be at least 1")
    classifier = load_reader(folder) if pictures else load_run(folder)
    problems: list[str] = []
    explained = of_files(pictures, ink, problems) if pictures else of_mistakes(folder, count)
    if len(explained.images):
        write(explained, classifier, out or folder / "explanations")
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if problems:
        sys.exit(1)


def of_files(pictures: Sequence[str], ink: str, problems: list[str]) -> Explained:
    """The characters in these files; an error for each that can't be read is added to `problems`."""
    characters, told = read_files(pictures, False, ink)
    problems += told
    images = [character.image for character in characters]
    stacked = np.stack(images) if images else np.zeros((0, 28, 28), np.uint8)
    names = [str(character.file) for character in characters]
    return Explained(names, torch.from_numpy(stacked), None, "The pixels that speak for the predicted class")


def of_mistakes(folder: Path, count: int) -> Explained:
    """The test images that the run is most confidently wrong about."""
    run = RunFolder(folder)
    result, predictions = run.read_result(), run.read_predictions("label", "probabilities")
    if result is None or predictions is None:
        raise UserError(f"{folder}: unfinished, so it has no mistakes on the test set; resume it, or name pictures")
    dataset = images_of(result).dataset
    label, probabilities = predictions
    chosen = torch.from_numpy(most_confident_mistakes(probabilities, label)[:count])
    title = (
        f"The {len(chosen)} most confident mistakes on {len(dataset.test_labels):,} test images\n{dataset.describe()}"
    )
    names = [str(i) for i in chosen.tolist()]
    return Explained(names, dataset.test_images[chosen], dataset.test_labels[chosen], title)


def write(explained: Explained, classifier: TrainedClassifier, out: Path) -> None:
    """The sheet and the arrays, each whole or not at all."""
    probabilities = classifier.predict(explained.images)
    predicted = probabilities.argmax(1)
    maps = heat_maps(classifier, explained.images, predicted)
    classes = classifier.classes
    labels = explained.labels.tolist() if explained.labels is not None else [None] * len(predicted)
    texts = [label_of(classes, *pair) for pair in zip(labels, probabilities.numpy(), strict=True)]
    right = [None if label is None else label == guess for label, guess in zip(labels, predicted.tolist(), strict=True)]
    if explained.labels is None:
        texts = [f"{Path(name).name[:10]}: {text}" for name, text in zip(explained.names, texts, strict=True)]
    figure = explanations(explained.images.numpy(), maps.numpy(), texts, right, explained.title)
    arrays = {
        "names": np.array(explained.names),
        "images": explained.images.numpy(),
        "maps": maps.numpy(),
        "predicted": predicted.numpy(),
        "probabilities": probabilities.numpy(),
        "classes": np.array(classes),
    }
    if explained.labels is not None:
        arrays["labels"] = explained.labels.numpy()
    write_atomically(out / "explanations.npz", lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]
    write_bytes(out / "explanations.png", to_png(figure))
    print(out / "explanations.png")
    print(out / "explanations.npz")
