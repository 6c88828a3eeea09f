"""The figure of a study of starts: test accuracy over labelled images, a panel a target."""

import itertools
from collections import defaultdict
from collections.abc import Sequence
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator

from emnist.analysis.transfer import Line, Target
from emnist.figures.study import LINE_COLORS, wrapped
from emnist.figures.style import DPI, WIDTH

SCRATCH_COLOR = "0.25"
DASHES = ("-", "--", ":", "-.")  # of the ways to start from one source
MARKERS = ("o", "s", "^", "D")
APART = 1.05  # factor on the images between the points of two lines, whose intervals would hide each other


def labelled_images(targets: Sequence[Target], title: str) -> Figure:
    """Test accuracies with their intervals over labelled images a class, a line a start, a colour a source.

    A start that learns from no image is a level line.
    """
    styles = _styles(targets)
    columns = 2 if len(targets) > 1 else 1
    height = -(-len(targets) // columns)
    figure = Figure(figsize=(WIDTH, 2.7 * height + 1.2), dpi=DPI, layout="constrained")
    figure.suptitle(wrapped(title), fontsize=10)
    for place, target in enumerate(targets, start=1):
        axes = figure.add_subplot(height, columns, place)
        drawn = [line for line in target.lines if any(point.images > 0 for point in line.points)]
        for number, line in enumerate(drawn):
            points = [point for point in line.points if point.images > 0 and point.test is not None]
            mean, low, high = 100 * np.array([point.test for point in points]).T
            images = np.array([point.images for point in points]) * APART ** (number - (len(drawn) - 1) / 2)
            style = styles[line.label]
            axes.errorbar(images, mean, [mean - low, high - mean], **style, markersize=3.5, linewidth=1.3, capsize=0)
        for line in target.lines:
            for point in line.points:
                if point.images == 0 and point.test is not None:
                    axes.axhline(100 * point.test.mean, **styles[line.label], linewidth=1.3)
        ticks = sorted({point.images for line in drawn for point in line.points if point.images > 0})
        axes.set_xscale("log")
        axes.set_xticks(ticks, [f"{images:,.0f}" for images in ticks])
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_title(fill(target.name, 40), fontsize=10, pad=24 if target.data != target.name else 6)
        if target.data != target.name:
            below: dict[str, Any] = {"ha": "center", "va": "bottom", "fontsize": 7, "color": "0.35"}
            axes.text(0.5, 1.02, fill(target.data, 56), transform=axes.transAxes, **below)
        axes.tick_params(labelsize=9)
        axes.grid(alpha=0.3)
        if place > len(targets) - columns:
            axes.set_xlabel("labelled images a class")
        if place % columns == 1 or columns == 1:
            axes.set_ylabel("test accuracy (%)")
    handles = [Line2D([], [], **style, markersize=3.5, label=label) for label, style in styles.items()]
    figure.legend(handles=handles, frameon=False, ncols=3, fontsize=9, loc="outside lower center")
    return figure


def _styles(targets: Sequence[Target]) -> dict[str, dict[str, Any]]:
    """How the line of each label is drawn: in the colour of its source, dashed by its place among the source's."""
    lines = {line.label: line for target in targets for line in target.lines}
    scratch = {target.scratch.label for target in targets}
    groups: dict[str, list[Line]] = defaultdict(list)
    for line in lines.values():
        if line.label not in scratch:
            groups[line.source or line.label].append(line)
    styles: dict[str, dict[str, Any]] = {
        label: {"color": SCRATCH_COLOR, "linestyle": "-", "marker": "o"} for label in lines if label in scratch
    }
    for group, color in zip(groups.values(), itertools.cycle(LINE_COLORS)):
        for line, dash, marker in zip(group, itertools.cycle(DASHES), itertools.cycle(MARKERS)):
            level = all(point.images == 0 for point in line.points)
            styles[line.label] = {"color": color, "linestyle": dash, "marker": "" if level else marker}
    return styles
