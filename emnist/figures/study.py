"""The figures of a study. Each function draws one; lines are means over the runs of a cell, bands their range."""

import itertools
from collections import defaultdict
from dataclasses import dataclass
from textwrap import fill, shorten
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import MaxNLocator

from emnist.analysis.collection import Cell
from emnist.analysis.study_result import Difference, Estimate, StudyResult
from emnist.analysis.verdict import BETTER, EQUAL, INCOMPLETE, UNDECIDED, WORSE
from emnist.figures.style import DPI, PART_COLORS, PART_NAMES, RIGHT, WIDTH, WRONG

LINE_COLORS = ("#4c78a8", "#f58518", "#54a24b", "#b279a2", "#9d755d", "#e45756")
BAND_COLOR = "#e3edf7"
ONE_RUN = "one run"
# Markers tell the verdicts apart without colours, too.
VERDICT_STYLES: dict[str, dict[str, Any]] = {
    BETTER: {"color": RIGHT, "marker": ">"},
    WORSE: {"color": WRONG, "marker": "<"},
    EQUAL: {"color": "#1f6fb4", "marker": "s"},
    UNDECIDED: {"color": "0.45", "marker": "o"},
    ONE_RUN: {"color": "0.45", "marker": "o", "markerfacecolor": "white"},
    INCOMPLETE: {"color": "0.75", "marker": "X"},
}
PUBLISHED_STYLE: dict[str, Any] = {
    "marker": "D",
    "markerfacecolor": "none",
    "markeredgecolor": "black",
    "markersize": 6,
    "linestyle": "none",
}
TICKS = [-50, -20, -5, -2, -1, -0.5, 0, 0.5, 1, 2, 5, 20, 50]
COLLAPSE = 0.15  # so far below the best of its model, a cell is drawn apart


@dataclass
class Point:
    """A cell in the plane of accuracy and cost."""

    model: str
    macs: int
    accuracy: Estimate  # on the test set
    label: str
    named: bool  # whether the figure shows the label; it does for one that collapsed


def mean_curves(cell: Cell, title: str) -> Figure:
    """Loss and accuracy per epoch of training, validation and test over the runs of a cell."""
    figure = Figure(figsize=(WIDTH, 3.4), dpi=DPI, layout="constrained")
    figure.suptitle(wrapped(title), fontsize=10)
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
    columns = 2
    height = max(1, -(-len(trained) // columns))
    figure = Figure(figsize=(WIDTH, 2.6 * height + 0.5), dpi=DPI, layout="constrained")
    figure.suptitle(wrapped(title), fontsize=10)
    for place, (name, rows) in enumerate(trained.items(), start=1):
        axes = figure.add_subplot(height, columns, place)
        for row, color in zip(rows, itertools.cycle(LINE_COLORS)):
            _band(axes, row.cell, "val_accuracy", color, row.label)
        axes.set_title(_spaced(name), fontsize=10)
        reached = [100 * value for row in rows for value in row.cell.values("val_accuracy")]
        axes.set_ylim(max(0, min(max(reached) - 30, min(reached) - 2)), max(reached) + 2)  # early epochs may be below
        axes.tick_params(labelsize=9)
        if len(rows) <= 12:  # more would not fit
            axes.legend(frameon=False, fontsize=8, loc="lower right")
    return figure


def curves_by_setting(study: StudyResult, title: str) -> Figure:
    """Validation accuracy per epoch, a panel a setting and a line a value, the plain start in black.

    The value with the highest and the one with the lowest validation accuracy are in colour, with their names.
    """
    trained = {setting: [row for row in rows if row.val is not None] for setting, rows in study.by_setting.items()}
    trained = {setting: rows for setting, rows in trained.items() if rows}
    height = max(1, -(-len(trained) // 2))
    figure = Figure(figsize=(WIDTH, 2.7 * height + 0.5), dpi=DPI, layout="constrained")
    figure.suptitle(wrapped(title), fontsize=10)
    for place, (setting, rows) in enumerate(trained.items(), start=1):
        axes = figure.add_subplot(height, 2, place)
        values = sorted((row for row in rows if not row.is_start), key=lambda row: row.val.mean if row.val else 0.0)
        ends = [(row, RIGHT) for row in values[1:][-1:]] + [(row, WRONG) for row in values[:1]]
        for row in values:
            _line(axes, row.cell, "0.8", 0.8)
        for row, color in ends:
            _line(axes, row.cell, color, 1.6, shorten(f"{_spaced(row.factor)} {row.label}", 32, placeholder=" …"))
        start = study.starts[setting]
        if start.values("val_accuracy"):
            _line(axes, start, "black", 1.6, "reference")
        axes.set_title(fill(setting, 42), fontsize=9)
        reached = [100 * value for row in rows for value in row.cell.values("val_accuracy")]
        axes.set_ylim(max(0, min(np.percentile(reached, 10) - 10, max(reached) - 15)), max(reached) + 2)
        axes.tick_params(labelsize=8)
        axes.legend(fontsize=7.5, loc="lower right", framealpha=0.85, edgecolor="none")
    return figure


def _line(axes: Axes, cell: Cell, color: str, width: float, label: str = "") -> None:
    """Mean validation accuracy by epoch."""
    _band(axes, cell, "val_accuracy", color, label, width, band=False)


def differences_by_setting(study: StudyResult, title: str) -> Figure:
    """Differences in test accuracy from the start of each setting, in points: a row a value, a column a setting.

    Bold and with a frame: better or worse by its interval, or of single networks by its p.
    """
    values = {
        value: {setting: row.difference for setting, row in rows.items() if row.difference is not None}
        for value, rows in study.by_value.items()
    }
    values = {value: found for value, found in values.items() if found}
    settings = [setting for setting in study.settings if any(setting in found for found in values.values())]
    places = _places([factor for factor, _ in values])
    figure = Figure(figsize=(WIDTH, 0.19 * (places[-1] + 1) + 1.7), dpi=DPI, layout="constrained")
    figure.suptitle(wrapped(title), fontsize=10)
    axes = figure.add_subplot()
    # Colours end where 95% of the differences do, at least at a point: a single failure would leave the others white.
    sizes = [100 * abs(d.estimate.mean) for found in values.values() for d in found.values()]
    most = max(1.0, float(np.percentile(sizes, 95)))
    colors = colormaps["PuOr"]
    for y, found in zip(places, values.values(), strict=True):
        for x, setting in enumerate(settings):
            if (d := found.get(setting)) is None:
                axes.text(x, y, "–", ha="center", va="center", fontsize=7, color="0.5")
                continue
            point = 100 * d.estimate.mean
            color = colors(float(np.clip(0.5 + point / most / 2, 0.05, 0.95)))
            axes.add_patch(
                Rectangle(
                    (x - 0.48, y - 0.46), 0.96, 0.92, facecolor=color, edgecolor="black", linewidth=0.9 * d.is_clear
                )
            )
            dark = abs(point) > 0.62 * most
            style: dict[str, Any] = {
                "weight": "bold" if d.is_clear else "normal",
                "color": "white" if dark else "black",
            }
            axes.text(x, y, f"{point:+.1f}".replace("-0.0", "+0.0"), ha="center", va="center", fontsize=6.5, **style)
    axes.set_yticks(places, [shorten(f"{_spaced(factor)} {label}", 34, placeholder=" …") for factor, label in values])
    axes.set_xticks(range(len(settings)), [fill(setting, max(9, 72 // len(settings))) for setting in settings])
    axes.xaxis.tick_top()
    axes.tick_params(length=0, labelsize=7)
    axes.set(xlim=(-0.55, len(settings) - 0.45), ylim=(places[-1] + 0.6, -0.6))
    axes.spines[:].set_visible(False)
    return figure


def differences(study: StudyResult, title: str) -> Figure:
    """Differences in test accuracy from the starting value of each factor, with their intervals, and published ones."""
    rows = study.compared
    places = _places([factor for factor, *_ in rows])
    figure = Figure(figsize=(WIDTH, 0.26 * (places[-1] + 1) + 1.6), dpi=DPI, layout="constrained")
    figure.suptitle(wrapped(title), fontsize=10)
    axes = figure.add_subplot()
    axes.axvspan(-100 * study.delta, 100 * study.delta, color=BAND_COLOR, linewidth=0)
    axes.axvline(0, color="0.4", linewidth=0.8)
    for y, (_, row, d) in zip(places, rows, strict=True):
        mean, low, high = (100 * value for value in d.estimate)
        style = VERDICT_STYLES[_kind(d)]
        axes.plot([low, high], [y, y], color=style["color"], linewidth=2)
        axes.plot(mean, y, **style, markersize=7)
        if row.claim is not None and row.claim.points is not None:
            axes.plot(row.claim.points, y, **PUBLISHED_STYLE)
    axes.set_xscale("symlog", linthresh=1, linscale=1.5)
    low, high = axes.get_xlim()
    shown = [tick for tick in TICKS if low <= tick <= high]
    axes.set_xticks(shown, [f"{tick:+g}" if tick else "0" for tick in shown])
    axes.minorticks_off()
    names = [shorten(f"{_spaced(factor)} {row.label}", 34, placeholder=" …") for factor, row, _ in rows]
    axes.set_yticks(places, names)
    axes.set_ylim(places[-1] + 0.7, -0.7)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_xlabel("points of test accuracy (linear up to 1, logarithmic beyond)")
    handles: list[Artist] = []
    for kind, style in VERDICT_STYLES.items():
        if any(_kind(d) == kind for *_, d in rows):
            name = f"equal within {100 * study.delta:g}" if kind == EQUAL else kind
            handles.append(Line2D([], [], **style, linewidth=2, label=name))
    if any(row.claim is not None and row.claim.points is not None for _, row, _ in rows):
        handles.append(Line2D([], [], **PUBLISHED_STYLE, label="published"))
    handles.append(Patch(color=BAND_COLOR, label=f"±{100 * study.delta:g} points"))
    figure.legend(handles=handles, frameon=False, ncols=4, loc="outside lower center")
    return figure


def _places(factors: list[str]) -> list[float]:
    """Where the rows are drawn, from above: with a gap between factors."""
    steps = [1.0 if a == b else 1.5 for a, b in itertools.pairwise(factors)]
    return list(itertools.accumulate(steps, initial=0.0))


def _kind(d: Difference) -> str:
    return ONE_RUN if d.of_networks and d.verdict == UNDECIDED else d.verdict


def accuracy_and_cost(points: list[Point], title: str) -> Figure:
    """Test accuracy of every cell over its multiply-accumulates.

    Cells that learned next to nothing have a panel of their own below, so that the axis shows where the others differ.
    """
    collapsed = [point for point in points if _is_collapsed(point, points)]
    good = [point for point in points if point not in collapsed]
    models = sorted({point.model for point in points}, key=lambda m: min(p.macs for p in points if p.model == m))
    colors = dict(zip(models, itertools.cycle(LINE_COLORS)))
    figure = Figure(figsize=(WIDTH, 5.6 if collapsed else 4.4), dpi=DPI, layout="constrained")
    figure.suptitle(wrapped(title), fontsize=10)
    panels = figure.subplots(
        2 if collapsed else 1, sharex=True, squeeze=False, height_ratios=(4, 1)[: 1 + bool(collapsed)]
    )
    axes, below = panels[0, 0], panels[-1, 0]
    for model in models:
        _cells(axes, [point for point in good if point.model == model], colors[model])
        _cells(below, [point for point in collapsed if point.model == model], colors[model])
    for point in good:
        if point.named:
            label = fill(shorten(point.label, 75, placeholder=" …"), 25)
            where = point.macs, 100 * max(other.accuracy.high for other in good if other.model == point.model)
            near: dict[str, Any] = {"xytext": (0, 4), "textcoords": "offset points", "ha": "center"}
            axes.annotate(label, where, fontsize=9, color=colors[point.model], **near)
    low, high = min(100 * point.accuracy.low for point in good), max(100 * point.accuracy.high for point in good)
    axes.set_ylim(max(0, low - 0.05 * (high - low)), high + 0.25 * (high - low))  # with room for names
    axes.set_xscale("log")
    axes.margins(x=0.18)
    axes.set_ylabel("test accuracy (%), 95% interval")
    below.set_xlabel("multiply-accumulates per image; cells of the same cost side by side")
    for panel in panels.flat:
        panel.grid(alpha=0.3)
    if collapsed:
        _break(axes, below)
        reached = [100 * point.accuracy.mean for point in collapsed]
        below.set_ylim(max(0, min(reached) - 10), max(reached) + 10)
        names = "; ".join(f"{point.model} {point.label} ({point.accuracy.mean:.0%})" for point in collapsed)
        below.set_title(fill(shorten(f"far below: {names}", 240, placeholder=" …"), 80), fontsize=9, loc="left")
    handles = [Line2D([], [], color=color, marker="o", markersize=5, label=model) for model, color in colors.items()]
    figure.legend(handles=handles, frameon=False, ncols=4, loc="outside lower center")
    return figure


def _is_collapsed(point: Point, points: list[Point]) -> bool:
    best = max(other.accuracy.mean for other in points if other.model == point.model)
    return point.accuracy.mean < best - COLLAPSE


def _cells(axes: Axes, points: list[Point], color: str) -> None:
    """Cells with their intervals, those of the same cost side by side in the order of accuracy."""
    by_cost: dict[int, list[Point]] = defaultdict(list)
    for point in sorted(points, key=lambda point: point.accuracy.mean):
        by_cost[point.macs].append(point)
    for macs, here in by_cost.items():
        mean, low, high = 100 * np.array([point.accuracy for point in here]).T
        step = min(1.05, 1.5 ** (1 / len(here)))
        places = macs * step ** (np.arange(len(here)) - (len(here) - 1) / 2)
        axes.errorbar(places, mean, [mean - low, high - mean], fmt="o", markersize=4, color=color, alpha=0.8)


def _break(above: Axes, below: Axes) -> None:
    """Show that the vertical axis is broken between two panels."""
    above.spines.bottom.set_visible(False)
    above.tick_params(axis="x", which="both", length=0)
    below.spines.top.set_visible(False)
    style: dict[str, Any] = {"marker": [(-1, -0.6), (1, 0.6)], "markersize": 9, "color": "0.3", "clip_on": False}
    above.plot([0, 1], [0, 0], transform=above.transAxes, linestyle="none", **style)
    below.plot([0, 1], [1, 1], transform=below.transAxes, linestyle="none", **style)


def wrapped(title: str) -> str:
    return "\n".join(fill(line, 80) for line in title.splitlines())


def _spaced(factor: str) -> str:
    return factor.replace("_", " ")


def _band(axes: Axes, cell: Cell, key: str, color: str, label: str, width: float = 1.5, *, band: bool = True) -> None:
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
    axes.plot(epochs, np.mean(table, axis=0), ".-" if length < 3 else "-", color=color, label=label, linewidth=width)
    if band:
        axes.fill_between(epochs, np.min(table, axis=0), np.max(table, axis=0), color=color, alpha=0.2, linewidth=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.3)
