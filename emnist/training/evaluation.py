"""The final test of a run, with the best epoch's checkpoint as it was written to the folder."""

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure
from torch import Tensor

from emnist.analysis.confusion import TYPICAL, most_confident_mistakes, most_confused
from emnist.analysis.movement import movement
from emnist.data.augmentation import Mixing
from emnist.data.batches import with_channels
from emnist.data.module import DataModule
from emnist.figures import run as figures
from emnist.figures.explanations import explanations, label_of
from emnist.figures.style import to_png
from emnist.inference.calibration import fit_temperature
from emnist.inference.load import TrainedClassifier, load_run
from emnist.inference.saliency import heat_maps
from emnist.runs.augmentation import Movement
from emnist.runs.folder import RunFolder
from emnist.training.metrics import METRICS, EpochMetrics
from emnist.training.recorder import Recorder

EXPLAINED, TYPICAL_EXPLAINED = 24, 8  # test images
AUGMENTED, TIMES = 8, 11  # training images, each so many times
# Training images that are augmented to see how far they move, and those among which their nearest are looked for.
MOVED, AMONG = 500, 10_000


@dataclass
class Tested:
    """The best epoch on the test set."""

    classifier: TrainedClassifier
    logits: Tensor  # float32 [N, classes]; with views the logarithms of the averaged probabilities
    probabilities: Tensor  # calibrated, float32 [N, classes]
    temperature: float | None  # of the logits; None without validation images to fit it to
    val_accuracy: float | None


def test_best_epoch(folder: RunFolder, data: DataModule, device: torch.device, views: int) -> Tested:
    """Fit the temperature on the validation fold, predict the test set; write validation.npz and predictions.npz.

    With `views`, all that is of the averages over each image and so many views of it.
    """
    classifier = load_run(folder.path, device)
    temperature = accuracy = None
    classifier.temperature, classifier.temperatures = 1.0, {}  # whatever an earlier result says
    if len(data.val_indices):
        images, labels = data.dataset.train_images[data.val_indices], data.dataset.train_labels[data.val_indices]
        validation = classifier.logits_of_views(images, views)
        temperature = classifier.temperature = fit_temperature(validation, labels)
        if views:
            classifier.temperatures[views] = temperature
            classifier.temperature = fit_temperature(classifier.logits(images), labels)
        predicted = validation.argmax(1)
        accuracy = (predicted == labels).double().mean().item()
        folder.write_validation(label=labels.numpy(), predicted=predicted.numpy())
    logits = classifier.logits_of_views(data.dataset.test_images, views)
    tested = Tested(classifier, logits, classifier.probabilities(logits, views), temperature, accuracy)
    folder.write_predictions(
        label=data.dataset.test_labels.numpy(),
        predicted=logits.argmax(1).numpy(),
        probabilities=tested.probabilities.numpy(),
    )
    return tested


def test_metrics(tested: Tested | None, labels: Tensor) -> dict[str, float | None]:
    """test_loss, test_accuracy and the others, of the logits as they are; all None if the run was not tested."""
    if tested is None:
        return dict.fromkeys(f"test_{name}" for name in METRICS)
    # Only the main process of a distributed run gets here, so there is nothing to synchronise with.
    measure = EpochMetrics(tested.logits.shape[1], synchronize=False)
    metrics = measure(tested.logits, labels)
    known = {f"test_{name}": value if math.isfinite(value) else None for name, value in metrics.items()}
    if tested.temperature is not None:
        known["test_calibrated_ece"] = measure(tested.logits / tested.temperature, labels)["ece"]
    return known


def augmented_examples(data: DataModule) -> tuple[np.ndarray, np.ndarray]:
    """A random sample of training images as they are, then augmented several times as in training.

    Returns the images, uint8 [1 + times, N, H, W] or [1 + times, N, 3, H, W], and the share of each class in them,
    [1 + times, N, classes].
    """
    generator = torch.Generator().manual_seed(data.seed)
    originals, labels = random_images(data, AUGMENTED, generator)
    images = with_channels(originals).float()
    drawn = [(images, F.one_hot(labels, len(data.dataset.classes)).float())]
    drawn += [augment(data, images, labels, generator) for _ in range(TIMES)]
    examples, shares = (torch.stack(parts) for parts in zip(*drawn, strict=True))
    return examples.round().byte().view(-1, *originals.shape).numpy(), shares.numpy()


def augmented_movement(data: DataModule) -> Movement:
    """How far the augmentation moves a random sample of training images: 0.3 s on a core of an AMD EPYC."""
    generator = torch.Generator().manual_seed(data.seed)
    images, labels = random_images(data, AMONG, generator)
    images = with_channels(images)
    augmented, shares = augment(data, images[:MOVED].float(), labels[:MOVED], generator)
    return movement(images, labels, augmented, shares.argmax(1))


def random_images(data: DataModule, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """So many training images, or all there are, with their labels."""
    chosen = data.train_indices[torch.randperm(len(data.train_indices), generator=generator)[:count]]
    return data.dataset.train_images[chosen], data.dataset.train_labels[chosen]


def augment(data: DataModule, images: Tensor, labels: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Images float [N, C, H, W] as in training, and the share of each class in them, float [N, classes]."""
    if isinstance(data.augmentation, Mixing):
        return data.augmentation(images, labels, generator)
    shares = F.one_hot(labels, len(data.dataset.classes)).float()
    return images if data.augmentation is None else data.augmentation(images, generator), shares


def draw_figures(recorder: Recorder, data: DataModule, tested: Tested | None) -> dict[str, bytes]:
    """The figures of the run for which there is data, as PNG files by name."""
    drawn: dict[str, Figure] = {}
    about = data.dataset.describe()
    if recorder.rows:
        drawn["curves"] = figures.curves(recorder.rows, recorder.best_epoch, f"Measured on {about}")
    classes = list(data.dataset.classes)
    if data.augmentation is not None:
        examples, shares = augmented_examples(data)
        drawn["augmented"] = figures.augmented(examples, shares, classes, f"Training images of {about}")
    if tested is not None:
        images, labels = data.dataset.test_images.numpy(), data.dataset.test_labels.numpy()
        probabilities = tested.probabilities.numpy()
        predicted = probabilities.argmax(1)
        title = f"Test accuracy {(predicted == labels).mean():.2%} on {len(labels):,} test images\n{about}"
        drawn["confusion"] = figures.confusion(labels, predicted, classes, title)
        drawn["predictions"] = figures.predictions(images, labels, predicted, classes, title)
        drawn["mistakes"] = figures.mistakes(images, labels, predicted, probabilities, classes, title)
        worst = most_confident_mistakes(probabilities, labels)[:EXPLAINED]
        chosen = np.concatenate([worst, most_confused(probabilities, labels, classes, TYPICAL)[:TYPICAL_EXPLAINED]])
        maps = heat_maps(tested.classifier, data.dataset.test_images[chosen]).numpy()
        texts = [label_of(classes, labels[i], probabilities[i]) for i in chosen]
        right = (labels == predicted)[chosen].tolist()
        typical = f", then {' and '.join(TYPICAL)}," if set(TYPICAL) <= set(classes) else ""
        about = f"The most confident mistakes{typical} and what speaks for the predicted class"
        drawn["explanations"] = explanations(images[chosen], maps, texts, right, f"{about}\n{title}")
    return {name: to_png(figure) for name, figure in drawn.items()}
