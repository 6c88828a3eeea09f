"""The final test of a run, with the best epoch's checkpoint as it was written to the folder."""

import math

import torch
from matplotlib.figure import Figure
from torch import Tensor

from emnist.data.module import DataModule
from emnist.figures import run as figures
from emnist.figures.style import to_png
from emnist.inference.load import load_run
from emnist.runs.folder import RunFolder
from emnist.training.metrics import METRICS, EpochMetrics
from emnist.training.recorder import Recorder


def predict_test_set(folder: RunFolder, data: DataModule, device: torch.device) -> Tensor:
    """Logits of the test set, float32 [N, classes], by the best epoch; also writes predictions.npz."""
    logits = load_run(folder.path, device).logits(data.dataset.test_images)
    folder.write_predictions(
        label=data.dataset.test_labels.numpy(),
        predicted=logits.argmax(1).numpy(),
        probabilities=logits.softmax(1).numpy(),
    )
    return logits


def test_metrics(logits: Tensor | None, labels: Tensor) -> dict[str, float | None]:
    """test_loss, test_accuracy and the others; all None without logits."""
    if logits is None:
        return dict.fromkeys(f"test_{name}" for name in METRICS)
    # Only the main process of a distributed run gets here, so there is nothing to synchronise with.
    metrics = EpochMetrics(logits.shape[1], synchronize=False)(logits, labels)
    return {f"test_{name}": value if math.isfinite(value) else None for name, value in metrics.items()}


def draw_figures(recorder: Recorder, data: DataModule, logits: Tensor | None) -> dict[str, bytes]:
    """The figures of the run for which there is data, as PNG files by name."""
    drawn: dict[str, Figure] = {}
    about = data.dataset.describe()
    if recorder.rows:
        drawn["curves"] = figures.curves(recorder.rows, recorder.best_epoch, f"Measured on {about}")
    if logits is not None:
        classes = list(data.dataset.classes)
        images, labels = data.dataset.test_images.numpy(), data.dataset.test_labels.numpy()
        probabilities = logits.softmax(1).numpy()
        predicted = probabilities.argmax(1)
        title = f"Test accuracy {(predicted == labels).mean():.2%} on {len(labels):,} test images\n{about}"
        drawn["confusion"] = figures.confusion(labels, predicted, classes, title)
        drawn["predictions"] = figures.predictions(images, labels, predicted, classes, title)
        drawn["mistakes"] = figures.mistakes(images, labels, predicted, probabilities, classes, title)
    return {name: to_png(figure) for name, figure in drawn.items()}
