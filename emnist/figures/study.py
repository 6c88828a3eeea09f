"""The figures of a report. Each function draws one; lines are means over the runs of a cell, bands their range."""

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
from emnist.figures.run import COLORS, NAMES, RIGHT, WRONG
from emnist.reporting.wording import words

CYCLE = ("#4c78a8", "#f58518", "#54a24b", "#b279a2", "#9d755d", "#e45756")
VERDICTS = {"better": RIGHT, "worse": WRONG, NO_DIFFERENCE: "0.55", INCOMPLETE: "0.8"}


@dataclass
class Point:
    """A cell in the plane of accuracy and cost."""

    family: str
    macs: int
    accuracy: Estimate  # on the test set
    label: str | None  # of the cells that are named


def curves(cell: Cell, title: str) -> Figure:
    """Loss and accuracy per epoch of training, validation and test over the runs of a cell."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    figure.suptitle(title, fontsize=11)
    for axes, metric in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        for part, color in COLORS.items():
            _band(axes, cell, f"{part}_{metric}", color, NAMES[part])
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
        for row, color in zip(rows, itertools.cycle(CYCLE)):
            _band(axes, row.cell, "val_accuracy", color, row.label)
        axes.set_title(words(name), fontsize=10)
        reached = [100 * figure for row in rows for figure in row.cell.figures("val_accuracy")]
        axes.set_ylim(max(0, min(max(reached) - 30, min(reached) - 2)), max(reached) + 2)  # early epochs may lie below
        axes.tick_params(labelsize=8)
        if len(rows) <= 12:  # more would not fit
            axes.legend(frameon=False, fontsize=8, loc="lower right")
    return figure


def differences(study: StudyResult, title: str) -> Figure:
    """Difference in test accuracy from where each factor started, with its 95% interval, and the published one."""
    rows = study.compared
    figure = Figure(figsize=(9, 0.32 * len(rows) + 1.5), layout="constrained")
    figure.suptitle(title, fontsize=11)
    axes = figure.add_subplot()
    for y, (_, row, d) in enumerate(rows):
        mean, low, high = (100 * value for value in d.estimate)
        axes.plot([low, high], [y, y], color=VERDICTS[d.verdict], linewidth=2)
        axes.plot(mean, y, "o", color=VERDICTS[d.verdict], markersize=6)
        if row.claim is not None and row.claim.points is not None:
            axes.plot(row.claim.points, y, "D", markerfacecolor="none", markeredgecolor="black", markersize=6)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xscale("symlog", linthresh=1, linscale=1.5)
    ticks = [-50, -20, -10, -5, -2, -1, -0.5, 0, 0.5, 1, 2, 5, 10]
    low, high = axes.get_xlim()
    shown = [tick for tick in ticks if low <= tick <= high]
    axes.set_xticks(shown, [f"{tick:+g}" if tick else "0" for tick in shown])
    axes.minorticks_off()
    axes.set_yticks(range(len(rows)), [f"{words(name)}: {row.label}" for name, row, _ in rows], fontsize=8)
    axes.invert_yaxis()
    axes.grid(axis="x", alpha=0.3)
    axes.set_xlabel("points of test accuracy from where the factor started (linear up to 1, logarithmic beyond)")
    for verdict, color in VERDICTS.items():
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
    families = sorted({point.family for point in points}, key=lambda f: min(p.macs for p in points if p.family == f))
    for family, color in zip(families, itertools.cycle(CYCLE)):
        here = [point for point in points if point.family == family]
        mean, low, high = 100 * np.array([point.accuracy for point in here]).T
        style: dict[str, Any] = {"fmt": "o", "color": color, "alpha": 0.6, "capsize": 2, "label": family}
        axes.errorbar([point.macs for point in here], mean, [list(mean - low), list(high - mean)], **style)
        for point in here:
            if point.label:
                where = (point.macs, 100 * point.accuracy.high)
                near: dict[str, Any] = {"xytext": (0, 4), "textcoords": "offset points", "ha": "center"}
                label = fill(shorten(point.label, 100, placeholder=" …"), 36)
                axes.annotate(label, where, fontsize=8, color=color, **near)
    axes.set_xscale("log")
    axes.set(xlabel="multiply-accumulates an image", ylabel="test accuracy (%), 95% interval")
    axes.margins(x=0.12)
    low, high = min(100 * point.accuracy.low for point in points), max(100 * point.accuracy.high for point in points)
    axes.set_ylim(max(0, low - 0.1 * (high - low)), high + 0.25 * (high - low))  # with room for names
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, loc="lower left")
    return figure


def _band(axes: Axes, cell: Cell, key: str, color: str, label: str) -> None:
    """Mean and range over the runs that have the figure, epoch by epoch; one that stopped keeps its last value."""
    series = [[row[key] for row in run.rows] for run in cell.runs if run.result and run.rows and key in run.rows[0]]
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
