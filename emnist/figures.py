"""The figures of a run. Each function draws one and names the data it was measured on in its title."""

import io

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

COLORS = {"train": "#4c78a8", "val": "#f58518", "test": "#54a24b"}
NAMES = {"train": "training", "val": "validation", "test": "test (watched only)"}
RIGHT, WRONG = "#2e7d32", "#c62828"
CELL = 36  # pixels of a character and its label in a grid


def curves(rows: list[dict[str, float]], best_epoch: int | None, title: str) -> Figure:
    """Loss and accuracy per epoch of training, validation and test; `rows` are those of metrics.csv."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    figure.suptitle(title, fontsize=11)
    epochs = [row["epoch"] for row in rows]
    for axes, metric in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        scale = 100 if metric == "accuracy" else 1
        for part, color in COLORS.items():
            if f"{part}_{metric}" in rows[0]:
                values = [scale * row[f"{part}_{metric}"] for row in rows]
                axes.plot(epochs, values, ".-", color=color, label=NAMES[part], linewidth=1.5)
        if best_epoch is not None:
            axes.axvline(best_epoch, color="0.6", linestyle=":", label="best epoch")
        axes.set(xlabel="epoch", ylabel="cross-entropy" if metric == "loss" else "accuracy (%)")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
    return figure


def confusion(labels: np.ndarray, predicted: np.ndarray, classes: list[str], title: str) -> Figure:
    """Confusion matrix, each row as shares of its true class."""
    counts = confusion_counts(labels, predicted, len(classes))
    shares = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure = Figure(figsize=(9.5, 8.8), layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, fontsize=11)
    image = axes.imshow(np.ma.masked_equal(shares, 0), cmap="viridis", norm="log", vmin=0.5, vmax=100)
    ticks = range(len(classes))
    axes.set_xticks(ticks, classes, fontsize=7, family="monospace")
    axes.set_yticks(ticks, classes, fontsize=7, family="monospace")
    axes.set(xlabel="predicted class", ylabel="true class")
    bar = figure.colorbar(image, shrink=0.8, label="% of the true class (white: none)")
    bar.ax.set_yticks([1, 10, 100], ["1", "10", "100"])
    return figure


def predictions(
    images: np.ndarray, labels: np.ndarray, predicted: np.ndarray, classes: list[str], title: str
) -> Figure:
    """A random sample of test images with true and predicted label."""
    chosen = np.random.RandomState(0).permutation(len(labels))[:96]
    figure = Figure(figsize=(10, 7.2), layout="constrained")
    axes = figure.subplots()
    axes.set_title(f"{title}\ntrue class, or true → predicted where it is wrong", fontsize=11)
    texts = [_label(classes, labels[i], predicted[i]) for i in chosen]
    _grid(
        axes,
        images[chosen],
        texts,
        [RIGHT if labels[i] == predicted[i] else WRONG for i in chosen],
        columns=12,
    )
    return figure


def mistakes(
    images: np.ndarray,
    labels: np.ndarray,
    predicted: np.ndarray,
    probabilities: np.ndarray,
    classes: list[str],
    title: str,
) -> Figure:
    """The most confident mistakes, and the pairs of classes confused most often."""
    figure = Figure(figsize=(11, 5.6), layout="constrained")
    figure.suptitle(title, fontsize=11)
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    wrong = np.flatnonzero(labels != predicted)
    confidence = probabilities[wrong, predicted[wrong]]
    worst = wrong[np.argsort(-confidence, kind="stable")[:40]]
    left.set_title("most confident mistakes: true → predicted", fontsize=10)
    texts = [f"{_label(classes, labels[i], predicted[i])} {probabilities[i, predicted[i]]:.0%}" for i in worst]
    _grid(left, images[worst], texts, [WRONG] * len(worst), columns=8)

    pairs = confused_pairs(labels, predicted, classes)[:15]
    right.set_title("most confused pairs: true → predicted", fontsize=10)
    bars = right.barh([f"{true} → {guess}" for true, guess, _ in pairs], [n for *_, n in pairs], color=COLORS["train"])
    right.bar_label(bars, padding=2, fontsize=8)
    right.invert_yaxis()
    right.set_xlabel("test images")
    right.spines[["top", "right"]].set_visible(False)
    return figure


def confusion_counts(labels: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """How often each true class (row) was predicted as each class (column): int64 [classes, classes]."""
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def confused_pairs(labels: np.ndarray, predicted: np.ndarray, classes: list[str]) -> list[tuple[str, str, int]]:
    """(true class, predicted class, count) of every kind of mistake, most frequent first."""
    counts = confusion_counts(labels, predicted, len(classes))
    np.fill_diagonal(counts, 0)
    order = np.argsort(-counts, axis=None, kind="stable")
    pairs = zip(*np.unravel_index(order, counts.shape), strict=True)
    return [(classes[i], classes[j], int(counts[i, j])) for i, j in pairs if counts[i, j]]


def png(figure: Figure) -> bytes:
    """The figure as a PNG file at 100 dots an inch."""
    file = io.BytesIO()
    FigureCanvasAgg(figure).print_png(file)
    return file.getvalue()


def _label(classes: list[str], true: int, guess: int) -> str:
    return classes[true] if true == guess else f"{classes[true]} → {classes[guess]}"


def _grid(axes: Axes, images: np.ndarray, texts: list[str], colors: list[str], columns: int) -> None:
    """Images in rows, each with its text below, drawn as one picture: an axes each takes 50 times as long."""
    rows = max(1, -(-len(images) // columns))
    canvas = np.zeros((rows * (CELL + 8), columns * CELL), np.uint8)
    for i, (image, text, color) in enumerate(zip(images, texts, colors, strict=True)):
        top, left = i // columns * (CELL + 8) + 4, i % columns * CELL + (CELL - 28) // 2
        canvas[top : top + 28, left : left + 28] = image
        axes.text(left + 14, top + 35, text, color=color, fontsize=8, ha="center", va="center", family="monospace")
    axes.imshow(canvas, cmap="gray_r", vmin=0, vmax=255, interpolation="nearest")
    axes.set_axis_off()
