"""The figures of a run. Each function draws one and names the data it was measured on in its title.

Margins are set by hand and class names are plain texts, since a layout engine draws everything twice and an
axis tick costs five times a text: 0.3 s for the four figures instead of 0.6, at the end of every run.
"""

from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import get_data_path
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from emnist.analysis.confusion import confused_pairs, confusion_counts, most_confident_mistakes
from emnist.figures.pictures import as_pictures, fitted, short
from emnist.figures.style import PART_COLORS, PART_NAMES, RIGHT, WRONG

CELL = 40  # pixels of a character and its margins, before it is drawn twice as large


def curves(rows: list[dict[str, float]], best_epoch: int | None, title: str) -> Figure:
    """Loss and accuracy per epoch of training, validation and test; `rows` are those of metrics.csv."""
    figure = Figure(figsize=(11, 4.2))
    figure.subplots_adjust(left=0.06, right=0.99, top=0.9, bottom=0.12, wspace=0.16)
    figure.suptitle(title, fontsize=11)
    epochs = [row["epoch"] for row in rows]
    for axes, metric in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        scale = 100 if metric == "accuracy" else 1
        for part, color in PART_COLORS.items():
            if f"{part}_{metric}" in rows[0]:
                values = [scale * row[f"{part}_{metric}"] for row in rows]
                axes.plot(epochs, values, ".-", color=color, label=PART_NAMES[part], linewidth=1.5)
        if best_epoch is not None:
            axes.axvline(best_epoch, color="0.6", linestyle=":", label="best epoch")
        axes.set_xlim(epochs[0] - 0.5, epochs[-1] + 0.5)
        axes.set(xlabel="epoch", ylabel="cross-entropy" if metric == "loss" else "accuracy (%)")
        axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    return figure


def confusion(labels: np.ndarray, predicted: np.ndarray, classes: list[str], title: str) -> Figure:
    """Confusion matrix, each row as shares of its true class."""
    counts = confusion_counts(labels, predicted, len(classes))
    shares = 100 * counts / np.maximum(counts.sum(1, keepdims=True), 1)
    figure = Figure(figsize=(9.5, 8.8))
    words = _are_words(classes)
    axes = figure.add_axes((0.06 + 0.03 * words, 0.05 + 0.05 * words, 0.82 - 0.03 * words, 0.88 - 0.05 * words))
    axes.set_title(title, fontsize=11)
    image = axes.imshow(np.ma.masked_equal(shares, 0), cmap="viridis", norm="log", vmin=0.5, vmax=100)
    axes.set(xticks=[], yticks=[])
    axes.set_xlabel("predicted class", labelpad=14 + 27 * words)
    axes.set_ylabel("true class", labelpad=18 + 20 * words)
    below, beside = axes.get_xaxis_transform(), axes.get_yaxis_transform()  # data one way, share of the axes the other
    for i, name in enumerate(short(name, 8) for name in classes):
        style: dict[str, Any] = {"fontsize": 7, "ha": "center", "va": "center", "family": "monospace"}
        axes.text(i, -0.012, name, transform=below, **style | ({"rotation": 90, "va": "top"} if words else {}))
        axes.text(-0.012, i, name, transform=beside, **style | ({"ha": "right"} if words else {}))
    bar = figure.colorbar(image, cax=figure.add_axes((0.9, 0.2, 0.02, 0.6)), label="% of the true class (white: none)")
    bar.ax.minorticks_off()
    bar.ax.set_yticks([1, 10, 100], ["1", "10", "100"])
    return figure


def predictions(
    images: np.ndarray, labels: np.ndarray, predicted: np.ndarray, classes: list[str], title: str
) -> Figure:
    """A random sample of test images with true and predicted label."""
    chosen = np.random.RandomState(0).permutation(len(labels))[:72]
    texts = [_label(classes, labels[i], predicted[i]) for i in chosen]
    colors = [RIGHT if labels[i] == predicted[i] else WRONG for i in chosen]
    grid = _grid(images[chosen], texts, colors, columns=12)
    figure = Figure(figsize=(grid.shape[1] / 100, grid.shape[0] / 100 + 0.8))
    figure.suptitle(f"{title}\ntrue class, or true→predicted where it is wrong", fontsize=11)
    figure.figimage(grid)
    return figure


def augmented(images: np.ndarray, shares: np.ndarray, classes: list[str], title: str) -> Figure:
    """Training images in rows: each as it is, then several times augmented.

    Images uint8 [columns, rows, H, W] or [columns, rows, 3, H, W], and the share of each class in them, float
    [columns, rows, classes].
    """
    columns, rows, *shape = images.shape
    in_rows = images.swapaxes(0, 1).reshape(-1, *shape)
    texts = [_mixture(one, classes) for one in shares.swapaxes(0, 1).reshape(rows * columns, -1)]
    grid = _grid(in_rows, texts, ["black"] * len(texts), columns)
    figure = Figure(figsize=(grid.shape[1] / 100, grid.shape[0] / 100 + 0.8))
    mixed = ", with the share of each class" if (shares.max(2) < 1).any() else ""
    figure.suptitle(f"{title}\nas they are (left), and as they are augmented in training{mixed}", fontsize=11)
    figure.figimage(grid)
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
    wrong = most_confident_mistakes(probabilities, labels)
    worst = wrong[:40]
    texts = [f"{_label(classes, labels[i], predicted[i])} ({probabilities[i, predicted[i]]:.0%})" for i in worst]
    grid = _grid(images[worst], texts, [WRONG] * len(worst), columns=8)
    width, height, top = grid.shape[1] + 440 + 60 * _are_words(classes), 530, 450  # pixels
    figure = Figure(figsize=(width / 100, height / 100))
    figure.suptitle(title, fontsize=11)
    heading = "most confident mistakes: true→predicted" if len(wrong) else "no mistakes"
    figure.text(grid.shape[1] / 2 / width, (top + 8) / height, heading, fontsize=10, ha="center")
    figure.figimage(grid, yo=top - grid.shape[0])
    pairs = confused_pairs(labels, predicted, classes)[:15]
    if pairs:
        right = figure.add_axes((1 - 370 / width, 50 / height, 340 / width, (top - 50) / height))
        right.set_title("most confused pairs: true→predicted", fontsize=10)
        names = [f"{short(true, 6)}→{short(guess, 6)}" for true, guess, _ in pairs]
        bars = right.barh(names, [count for *_, count in pairs], color=PART_COLORS["train"])
        right.bar_label(bars, padding=2, fontsize=8)
        right.invert_yaxis()
        right.set_xlabel("test images")
        right.spines[["top", "right"]].set_visible(False)
    return figure


def _are_words(classes: list[str]) -> bool:
    """Whether names of classes need more room than a character does."""
    return max(map(len, classes)) > 2


def _label(classes: list[str], true: int, guess: int) -> str:
    return short(classes[true]) if true == guess else f"{short(classes[true], 6)}→{short(classes[guess], 6)}"


def _mixture(shares: np.ndarray, classes: list[str]) -> str:
    """The class, or "70% A + 30% 3"."""
    percent = (100 * shares).round().astype(int)
    parts = sorted(((share, classes[i]) for i, share in enumerate(percent) if share), reverse=True)
    return short(parts[0][1]) if len(parts) == 1 else " + ".join(f"{share}% {short(name, 6)}" for share, name in parts)


def _grid(images: np.ndarray, texts: list[str], colors: list[str], columns: int) -> np.ndarray:
    """Images in rows, the longer side 56 pixels, each with its text below: uint8 [H, W, 3].

    Made with Pillow and shown pixel by pixel: a third of the time that an axes with texts takes.
    """
    font = label_font(12)
    width, height = max(2 * CELL, *(10 + ceil(font.getlength(text)) for text in texts), 0), 2 * CELL + 8
    canvas = Image.new("RGB", (columns * width, max(1, -(-len(images) // columns)) * height), "white")
    draw = ImageDraw.Draw(canvas)
    for i, (picture, text, color) in enumerate(zip(as_pictures(images), texts, colors, strict=True)):
        top, left = i // columns * height, i % columns * width
        fit = fitted(picture, 56)
        canvas.paste(fit, (left + (width - fit.width) // 2, top + 2 + (56 - fit.height) // 2))
        draw.text((left + width // 2, top + 68), text, fill=color, font=font, anchor="mm")
    return np.asarray(canvas)


def label_font(size: int) -> ImageFont.FreeTypeFont:
    """Of the labels below characters, in pixels."""
    return ImageFont.truetype(str(Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"), size)
