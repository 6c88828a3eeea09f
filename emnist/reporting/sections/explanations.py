"""What the best network of each model looks at: heat maps of mistakes, side by side, and whether they are faithful."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from emnist.analysis.confusion import TYPICAL, most_confident_mistakes, most_confused
from emnist.analysis.selection import Candidate
from emnist.data.dataset import Dataset
from emnist.errors import UserError
from emnist.figures.explanations import side_by_side
from emnist.figures.style import to_png
from emnist.inference.faithfulness import DELETED, Faithfulness, faithfulness
from emnist.inference.images import images_of
from emnist.inference.load import TrainedClassifier, load_run
from emnist.inference.saliency import heat_maps
from emnist.reporting.document import PAGE_WIDTH, Document
from emnist.reporting.wording import model_name

SHOWN = 8  # images of a figure
CHECKED = 500  # images of the checks: the first ones of the test set


@dataclass
class Network:
    """A run of the best cell of a model, loaded."""

    name: str
    folder: Path
    classifier: TrainedClassifier
    probabilities: Tensor  # of the test images


def add_explanations(document: Document, best: list[Candidate]) -> None:
    """Two figures and a table; nothing if the runs or the images they were tested on are no longer there."""
    networks, dataset = load(best)
    if dataset is None:
        return
    document.heading("What the networks look at")
    named = {network.name for network in networks}
    if absent := [name for one in best if (name := model_name(one.cell.model)) not in named]:
        document.text(f"Without {', '.join(absent)}, whose checkpoints or test images are no longer there.")
    document.text(
        "The pixels that speak for the predicted class: Grad-CAM, weighted place by place, for networks with feature "
        f"maps, gradient × ink for the MLP. One run of the best cell of each model. Measured on {dataset.describe()}."
    )
    mean = torch.stack([network.probabilities for network in networks]).mean(0).numpy()
    worst = most_confident_mistakes(mean, dataset.test_labels.numpy())[:SHOWN]
    if len(worst):
        title = "The most confident mistakes of all models together, and what each looks at"
        png = draw(networks, dataset, worst, title)
        document.picture("figures/mistakes_explained.png", png, "Heat maps of mistakes", PAGE_WIDTH)
    pair = most_confused(mean, dataset.test_labels.numpy(), dataset.classes, TYPICAL)[:SHOWN]
    if len(pair):
        title = f"{' and '.join(TYPICAL)}: the test images that the models take for each other most"
        png = draw(networks, dataset, pair, title)
        document.picture("figures/typical_mistake_explained.png", png, f"Heat maps of {'/'.join(TYPICAL)}", PAGE_WIDTH)
    document.text(
        f"Are the maps faithful? Deleting the {DELETED:.0%} of the pixels that the map marks should lower the "
        "probability of the class more than deleting those of another image's map, or random ones; where "
        "another image's does as well, a map says little about its own image. A network with its weights in random "
        "order should give another map (rank correlation on ink near 0; 1 is the same map)."
    )
    checks = [(network.name, faithfulness(network.classifier, dataset.test_images[:CHECKED])) for network in networks]
    document.table(
        ["model", "its map deleted>", "another image's map>", "random pixels>", "random weights>", "images>"],
        [[name, *row(check)] for name, check in checks],
    )


def load(best: Sequence[Candidate]) -> tuple[list[Network], Dataset | None]:
    """A run of each model with the images that all were tested on."""
    networks: list[Network] = []
    dataset = None
    for candidate in best:
        for run in candidate.cell.tested:
            try:
                predictions = run.folder.read_predictions("probabilities")
                if run.result is None or predictions is None:
                    continue
                here = images_of(run.result).dataset
                if dataset is not None and here.fingerprint != dataset.fingerprint:
                    continue
                classifier = load_run(run.folder.path)
            except UserError:  # without its checkpoint or its images; another run may have them
                continue
            dataset = here
            name = model_name(candidate.cell.model)
            networks.append(Network(name, run.folder.path, classifier, torch.from_numpy(predictions[0])))
            break
    return networks, dataset


def draw(networks: Sequence[Network], dataset: Dataset, chosen: np.ndarray, title: str) -> bytes:
    """The chosen test images in columns, the networks in rows."""
    images, labels = dataset.test_images[chosen], dataset.test_labels[chosen]
    classes = dataset.classes
    maps, texts, right = {}, {"": [classes[label] for label in labels]}, {}
    for network in networks:
        confidence, predicted = network.probabilities[chosen].max(1)
        maps[network.name] = heat_maps(network.classifier, images, predicted).numpy()
        pairs = zip(predicted.tolist(), confidence.tolist(), strict=True)
        texts[network.name] = [f"{classes[guess]} ({p:.0%})" for guess, p in pairs]
        right[network.name] = (predicted == labels).tolist()
    return to_png(side_by_side(images.numpy(), maps, texts, right, f"{title}\n{dataset.describe()}"))


def row(check: Faithfulness) -> list[str]:
    falls = [f"−{fall:.2f}" for fall in (check.own, check.other, check.random)]
    return [*falls, f"{check.random_weights:.2f}", f"{check.images:,}"]
