"""What the trials of searches show of each parameter: alone, and together with the others."""

import itertools
from collections.abc import Sequence
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from emnist.analysis.search import SearchResult, scale_of
from emnist.figures.search import (
    HAND,
    STAR,
    add_legend,
    draw_trials,
    hidden_of,
    metric_label,
    shown_range,
    trial_handles,
)
from emnist.figures.study import LINE_COLORS, wrapped
from emnist.figures.style import DPI, WIDTH
from emnist.runs.search import COMPLETE, HAND_TUNED, Parameter, Scalar, Trial

FRONT = 10  # trials in front of the others in parallel coordinates
STRIPS = 12  # up to so many whole numbers are shown as strips, as categories are
COLORS = colormaps["viridis_r"]  # dark is good, and stands out on white


def slices(result: SearchResult, title: str) -> Figure:
    """The metric over each parameter, a panel each, the most important first."""
    names = by_importance(result)
    columns = 3
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(WIDTH, 1.75 * rows + 1.0), dpi=DPI, layout="constrained")
    figure.suptitle(wrapped(title), fontsize=10)
    figure.supylabel(metric_label(result), fontsize=9)
    scale = scale_of(result.search.metric)
    low, high = shown_range(result)
    color = LINE_COLORS[0]
    for place, name in enumerate(names, start=1):
        axes = figure.add_subplot(rows, columns, place)
        axis = Axis(result.space[name])
        random = np.random.RandomState(0)
        dots: list[tuple[float, Trial]] = []
        strips: dict[float, list[float]] = {}
        for _, trial in result.trials:
            if name in trial.parameters and (x := axis.place(trial.parameters[name])) is not None:
                if axis.labels:
                    if trial.state == COMPLETE and trial.value is not None:
                        strips.setdefault(x, []).append(scale * trial.value)
                    x += random.uniform(-0.28, 0.28)
                dots.append((x, trial))
        draw_trials(axes, dots, result, color)
        for x, values in strips.items():
            if len(values) > 2:
                axes.plot([x - 0.36, x + 0.36], [np.median(values)] * 2, color="black", linewidth=1.6, zorder=4)
        hand = result.reference
        if hand is not None and hand.value is not None and name in hand.parameters:
            x = axis.place(hand.parameters[name])
            if x is not None:
                axes.plot(x, scale * hand.value, **STAR)
        axis.draw(axes)
        axes.set_ylim(low, high)
        axes.tick_params(labelsize=7.5)
        if (place - 1) % columns:
            axes.tick_params(labelleft=False)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.set_title(fill(name, 26), fontsize=8.5, loc="left", pad=8)
        if result.importance and name in result.importance:
            _importance_bar(axes, result.importance[name])
    handles = [*trial_handles(result, color), Line2D([], [], color="black", linewidth=1.6, label="median of complete")]
    if result.reference is not None:
        handles.append(Line2D([], [], **STAR, label=HAND_TUNED))
    if result.importance:
        handles.append(Line2D([], [], color=LINE_COLORS[1], linewidth=3, label="importance"))
    add_legend(figure, handles, hidden_of(result, [trial for _, trial in result.trials]))
    return figure


def parallel_coordinates(result: SearchResult, title: str) -> Figure:
    """Every complete trial as a line down the parameters to its value, the best in front."""
    names = [name for name in result.space if any(name in trial.parameters for _, trial in result.complete)]
    figure = Figure(figsize=(WIDTH, 0.56 * len(names) + 1.9), dpi=DPI, layout="constrained")
    figure.suptitle(wrapped(title), fontsize=10)
    axes = figure.add_subplot()
    scale = scale_of(result.search.metric)
    worst, best = sorted(shown_range(result), key=lambda value: result.sign * value)
    scales = [Axis(result.space[name]) for name in names]
    random = np.random.RandomState(0)

    def places(trial: Trial, shift: float = 0.0) -> list[float | None]:
        """From 0 to 1 on each axis; None where the trial has no such parameter."""
        found = [
            None if name not in trial.parameters else axis.share(trial.parameters[name], shift)
            for name, axis in zip(names, scales, strict=True)
        ]
        return [*found, None if trial.value is None else _clipped((scale * trial.value - worst) / (best - worst))]

    low, high = shown_range(result)
    shown = [trial for _, trial in result.complete if low <= scale * (trial.value or 0.0) <= high]
    front = min(FRONT, max(len(shown) // 3, 1))
    for rank, trial in reversed(list(enumerate(shown))):
        line = places(trial, random.uniform(-0.3, 0.3))  # or lines through one category would coincide
        in_front = rank < front
        style: dict[str, Any] = {"linewidth": 1.6, "alpha": 0.95} if in_front else {"linewidth": 0.6, "alpha": 0.3}
        _descend(axes, line, in_front, color=COLORS(line[-1] or 0.0), zorder=2 + in_front, **style)
    if (hand := result.reference) is not None:
        _descend(axes, places(hand), True, zorder=4, **{**HAND, "linewidth": 1.6, "marker": "*", "markersize": 7})
    for row, (name, axis) in enumerate(zip(names, scales, strict=True)):
        axes.plot([0, 1], [row, row], color="0.35", linewidth=0.8, zorder=1)
        _row_ticks(axes, row, axis.ticks())
        axes.text(-0.03, row, fill(name, 24), ha="right", va="center", fontsize=8)
    row = len(names)
    gradient = np.linspace(0, 1, 256)[None]
    axes.imshow(gradient, cmap=COLORS, extent=(0, 1, row - 0.06, row + 0.06), aspect="auto", zorder=5)
    marks = [value for value in MaxNLocator(5).tick_values(worst, best) if 0 <= (value - worst) / (best - worst) <= 1]
    _row_ticks(axes, row, [((value - worst) / (best - worst), f"{value:g}") for value in marks])
    axes.text(-0.03, row, fill(metric_label(result), 22), ha="right", va="center", fontsize=8, weight="bold")
    axes.set(xlim=(-0.03, 1.03), ylim=(row + 0.5, -0.35))
    axes.axis("off")
    handles: list[Artist] = [
        Line2D([], [], color=COLORS(1.0), linewidth=1.8, label=f"the best {front}" if front > 1 else "the best")
    ]
    handles.append(Line2D([], [], color=COLORS(0.6), linewidth=0.6, label=f"{len(shown)} complete trials"))
    if hand is not None:
        handles.append(Line2D([], [], **HAND, marker="*", label=HAND_TUNED))
    worse = len(result.complete) - len(shown)
    add_legend(
        figure, handles, f"{worse} of {len(result.complete)} complete trials are worse and not shown" if worse else ""
    )
    return figure


class Axis:
    """A parameter as an axis: numbers on their scale, categories and a few whole numbers as strips."""

    def __init__(self, parameter: Parameter):
        self.parameter = parameter
        self.low, self.high = parameter.low or 0.0, parameter.high or 0.0
        self.labels: list[str] = []  # of the strips
        if parameter.kind == "categorical":
            self.labels = [label_of(choice) for choice in parameter.choices or []]
        elif parameter.kind == "int":
            numbers = range(int(self.low), int(self.high) + 1, int(parameter.step or 1))
            self.labels = [str(number) for number in numbers] if len(numbers) <= STRIPS else []

    def place(self, value: Scalar) -> float | None:
        """The coordinate of a value; None if the axis doesn't have it."""
        if self.labels:
            return float(self.labels.index(label_of(value))) if label_of(value) in self.labels else None
        number = float(value)
        return number if self.low <= number <= self.high else None

    def share(self, value: Scalar, shift: float) -> float | None:
        """The coordinate from 0 to 1; `shift` moves it within its strip, by at most half."""
        place = self.place(value)
        if place is None:
            return None
        if self.labels:
            return (place + 0.5 + shift) / len(self.labels)
        ends = np.array([self.low, place, self.high])
        low, here, high = np.log(ends) if self.parameter.log else ends
        return float((here - low) / (high - low)) if high > low else 0.5

    def ticks(self) -> list[tuple[float, str]]:
        """Shares with their labels."""
        if self.labels:
            return [((i + 0.5) / len(self.labels), label) for i, label in enumerate(self.labels)]
        if self.parameter.log:
            decades = np.arange(np.ceil(np.log10(self.low) - 1e-9), np.floor(np.log10(self.high) + 1e-9) + 1)
            marks = [float(10**decade) for decade in decades] if len(decades) > 1 else [self.low, self.high]
        else:
            marks = [float(v) for v in MaxNLocator(5).tick_values(self.low, self.high) if self.low <= v <= self.high]
        return [(share, number_of(mark)) for mark in marks if (share := self.share(mark, 0)) is not None]

    def draw(self, axes: Axes) -> None:
        """Scale, limits and ticks of the horizontal axis."""
        if self.labels:
            long = sum(map(len, self.labels)) > 24
            style: dict[str, Any] = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if long else {}
            axes.set_xticks(range(len(self.labels)), self.labels, **style)
            axes.set_xlim(-0.6, len(self.labels) - 0.4)
            return
        if self.parameter.log:
            axes.set_xscale("log")
            axes.set_xlim(self.low * 0.7, self.high * 1.4)
            wide = self.high / self.low >= 100  # two powers of ten at least
            marks = [self.low, float(f"{(self.low * self.high) ** 0.5:.2g}"), self.high]
            axes.xaxis.set_major_locator(LogLocator(numticks=5) if wide else FixedLocator(marks))
            axes.xaxis.set_minor_locator(NullLocator())
        else:
            margin = 0.05 * (self.high - self.low)
            axes.set_xlim(self.low - margin, self.high + margin)
            axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number_of(value)))


def by_importance(result: SearchResult) -> list[str]:
    """The parameters that were tried, the most important first."""
    tried = [name for name in result.space if any(name in trial.parameters for _, trial in result.trials)]
    shares = result.importance or {}
    return sorted(tried, key=lambda name: -shares.get(name, 0.0))


def label_of(value: Scalar) -> str:
    """As it is written in an override."""
    return str(value).lower() if isinstance(value, bool) else f"{value:g}" if isinstance(value, float) else str(value)


def number_of(value: float) -> str:
    return f"{value:g}".replace("e-0", "e-").replace("e+0", "e")


def _clipped(share: float) -> float:
    return min(max(share, 0.0), 1.0)


def _importance_bar(axes: Axes, share: float) -> None:
    """A bar between title and panel, as long as this share of the panel."""
    style: dict[str, Any] = {"transform": axes.transAxes, "clip_on": False, "linewidth": 3, "solid_capstyle": "butt"}
    axes.plot([0, 1], [1.04, 1.04], color="0.9", **style)
    axes.plot([0, share], [1.04, 1.04], color=LINE_COLORS[1], **style)
    axes.set_title(f"{share:.0%}", fontsize=8.5, loc="right", pad=8, color=LINE_COLORS[1], weight="bold")


def _descend(
    axes: Axes, line: Sequence[float | None], dots: bool, marker: str = "o", markersize: float = 4, **style: Any
):
    """A smooth line down the rows, with a gap where there is no value."""
    t = np.linspace(0, 1, 24)
    gap = np.full(1, np.nan)
    x, y = [gap], [gap]
    for row, (here, there) in enumerate(itertools.pairwise(line)):
        if here is not None and there is not None:
            x += [here + (there - here) * t * t * (3 - 2 * t), gap]
            y += [row + t, gap]
    axes.plot(np.concatenate(x), np.concatenate(y), **style)
    if dots:
        found = [(place, row) for row, place in enumerate(line[:-1]) if place is not None]
        at = {"color": style["color"], "zorder": style["zorder"], "linestyle": "none"}
        axes.plot([x for x, _ in found], [y for _, y in found], marker=marker, markersize=markersize, **at)


def _row_ticks(axes: Axes, row: int, ticks: Sequence[tuple[float, str]]) -> None:
    box = {"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.75}
    for share, label in ticks:
        axes.plot([share, share], [row, row + 0.08], color="0.35", linewidth=0.8, zorder=5)
        axes.text(share, row + 0.13, label, ha="center", va="top", fontsize=7, zorder=6, bbox=box)
