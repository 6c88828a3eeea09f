"""The figures of a study. Each function draws one; lines are means over the runs of a cell, bands their range."""

import itertools
from dataclasses import dataclass
from textwrap import fill, shorten
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from emnist.analysis.collection import Cell
from emnist.analysis.comparison import INCOMPLETE, NO_DIFFERENCE, Estimate, StudyResult
from emnist.figures.style import PART_COLORS, PART_NAMES, RIGHT, WRONG

LINE_COLORS = ("#4c78a8", "#f58518", "#54a24b", "#b279a2", "#9d755d", "#e45756")
VERDICT_COLORS = {"better": RIGHT, "worse": WRONG, NO_DIFFERENCE: "0.55", INCOMPLETE: "0.8"}


@dataclass
class Point:
    """A cell in the plane of accuracy and cost."""

    model: str
    macs: int
    accuracy: Estimate  # on the test set
    label: str | None  # None: the cell gets no name


def mean_curves(cell: Cell, title: str) -> Figure:
    """Loss and accuracy per epoch of training, validation and test over the runs of a cell."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    figure.suptitle(title, fontsize=11)
    for axes, metric in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for part, color in PART_COLORS.items():
            _band(axes, cell, f"{part}_{metric}", color, PART_NAMES[part])
        axes.set(xlabel="epoch", ylabel="cross-entropy" if metric == "loss" else "accuracy (%)")
        axes.legend(frameon=False)
    return figure


def factors(study: StudyResult, title: str) -> Figure:
    """Validation accuracy per epoch, a panel a factor and a line a value."""
    trained = {
        name: [row for row in rows if row.val is not None]
        for name, rows in study.factors.items()
        if sum(row.val is not None for row in rows) > 1
    }
    columns = 3
    height = max(1, -(-len(trained) // columns))
    figure = Figure(figsize=(11, 3.1 * height + 0.4), layout="constrained")
    figure.suptitle(title, fontsize=11)
    for place, (name, rows) in enumerate(trained.items(), start=1):
        axes = figure.add_subplot(height, columns, place)
        for row, color in zip(rows, itertools.cycle(LINE_COLORS)):
            _band(axes, row.cell, "val_accuracy", color, row.label)
        axes.set_title(_spaced(name), fontsize=10)
        reached = [100 * value for row in rows for value in row.cell.values("val_accuracy")]
        axes.set_ylim(max(0, min(max(reached) - 30, min(reached) - 2)), max(reached) + 2)  # early epochs may be below
        axes.tick_params(labelsize=8)
        if len(rows) <= 12:  # more would not fit
            axes.legend(frameon=False, fontsize=8, loc="lower right")
    return figure


def differences(study: StudyResult, title: str) -> Figure:
    """Differences in test accuracy from the starting value of each factor, with 95% intervals, and published ones."""
    rows = study.compared
    figure = Figure(figsize=(9, 0.32 * len(rows) + 1.5), layout="constrained")
    figure.suptitle(title, fontsize=11)
    axes = figure.add_subplot()
    for y, (_, row, d) in enumerate(rows):
        mean, low, high = (100 * value for value in d.estimate)
        axes.plot([low, high], [y, y], color=VERDICT_COLORS[d.verdict], linewidth=2)
        axes.plot(mean, y, "o", color=VERDICT_COLORS[d.verdict], markersize=6)
        if row.claim is not None and row.claim.points is not None:
            axes.plot(row.claim.points, y, "D", markerfacecolor="none", markeredgecolor="black", markersize=6)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xscale("symlog", linthresh=1, linscale=1.5)
    ticks = [-50, -20, -10, -5, -2, -1, -0.5, 0, 0.5, 1, 2, 5, 10]
    low, high = axes.get_xlim()
    shown = [tick for tick in ticks if low <= tick <= high]
    axes.set_xticks(shown, [f"{tick:+g}" if tick else "0" for tick in shown])
    axes.minorticks_off()
    axes.set_yticks(range(len(rows)), [f"{_spaced(name)}: {row.label}" for name, row, _ in rows], fontsize=8)
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    axes.set_xlabel(
        "difference in test accuracy from the starting value, in points (linear up to 1, logarithmic beyond)"
    )
    for verdict, color in VERDICT_COLORS.items():
        if verdict != INCOMPLETE or any(d.verdict == INCOMPLETE for *_, d in rows):
            axes.plot([], [], "o-", color=color, label=verdict)
    if any(row.claim is not None and row.claim.points is not None for _, row, _ in rows):
        axes.plot([], [], "D", markerfacecolor="none", markeredgecolor="black", label="published", linestyle="")
    axes.legend(frameon=False, fontsize=8, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1))
    return figure


def accuracy_and_cost(points: list[Point], title: str) -> Figure:
    """Test accuracy of every cell over its multiply-accumulates."""
    figure = Figure(figsize=(9, 5), layout="constrained")
    figure.suptitle(title, fontsize=11)
    axes = figure.add_subplot()
    models = sorted({point.model for point in points}, key=lambda m: min(p.macs for p in points if p.model == m))
    for model, color in zip(models, itertools.cycle(LINE_COLORS)):
        here = [point for point in points if point.model == model]
        mean, low, high = 100 * np.array([point.accuracy for point in here]).T
        style: dict[str, Any] = {"fmt": "o", "color": color, "alpha": 0.6, "capsize": 2, "label": model}
        axes.errorbar([point.macs for point in here], mean, [list(mean - low), list(high - mean)], **style)
        for point in here:
            if point.label:
                where = (point.macs, 100 * point.accuracy.high)
                near: dict[str, Any] = {"xytext": (0, 4), "textcoords": "offset points", "ha": "center"}
                label = fill(shorten(point.label, 100, placeholder=" …"), 36)
                axes.annotate(label, where, fontsize=8, color=color, **near)
    axes.set_xscale("log")
    axes.set(xlabel="multiply-accumulates per image", ylabel="test accuracy (%), 95% interval")
    axes.margins(x=0.12)
    low, high = min(100 * point.accuracy.low for point in points), max(100 * point.accuracy.high for point in points)
    axes.set_ylim(max(0, low - 0.1 * (high - low)), high + 0.25 * (high - low))  # with room for names
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="lower left")
    return figure


def _spaced(factor: str) -> str:
    return factor.replace("_", " ")


def _band(axes: Axes, cell: Cell, key: str, color: str, label: str) -> None:
    """Mean and range over the runs that have the metric, by epoch; a run that stopped early keeps its last value."""
    series = [
        [row[key] for row in run.epochs] for run in cell.runs if run.result and run.epochs and key in run.epochs[0]
    ]
    if not series:
        return
    scale = 100 if key.endswith("accuracy") else 1
    length = max(map(len, series))
    table = scale * np.array([values + values[-1:] * (length - len(values)) for values in series])
    epochs = np.arange(1, length + 1)
    axes.plot(epochs, np.mean(table, axis=0), ".-" if length < 3 else "-", color=color, label=label, linewidth=1.5)
    axes.fill_between(epochs, np.min(table, axis=0), np.max(table, axis=0), color=color, alpha=0.2, linewidth=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
