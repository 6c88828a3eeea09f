"""The figures of a study of augmentation. Each function draws one; gains are points of test accuracy."""

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, NullLocator

from emnist.analysis.augmentation import (
    Tried,
    by_kind,
    by_setting,
    calibration,
    chosen,
    generalization_gap,
    moved,
    passing,
    strength_names,
)
from emnist.figures.study import LINE_COLORS, wrapped
from emnist.figures.style import DPI, WIDTH

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
EPOCHS = (1, 2, 3, 5, 10, 20, 50, 100, 200)
SIZES = (3.5, 5.5, 7.5)  # of the markers of weak, medium and strong


def gap_and_epochs(tried: Sequence[Tried], title: str) -> Figure:
    """Left: gains over the gap of the plain runs. Right: which share has passed the plain runs' best, by epoch."""
    figure = Figure(figsize=(WIDTH, 4.4), dpi=DPI, layout="constrained")
    figure.suptitle(wrapped(title), fontsize=10)
    left, right = figure.subplots(1, 2)
    styles = _styles(by_setting(tried))
    for number, (setting, some) in enumerate(by_setting(tried).items()):
        style = styles[setting]
        if (gap := generalization_gap(some[0].plain)) is not None:
            gains = [100 * one.gain for one in some]
            left.plot([100 * gap] * len(gains), gains, **{**style, "alpha": 0.25, "markersize": 4}, linestyle="none")
            mean = fmean(100 * one.gain for one in chosen(some))
            left.plot(100 * gap, mean, **style, markeredgecolor="black", markersize=7, zorder=3)
        if known := [one for one in map(passing, some) if one is not None]:
            epochs = np.arange(1, max(one.epochs for one in known) + 1)
            passed = [100 * fmean(one.epoch is not None and one.epoch <= epoch for one in known) for epoch in epochs]
            mark = {**style, "markersize": 5, "markevery": [len(epochs) - 1]}
            dashes = "-" if number < len(LINE_COLORS) else "--"
            right.plot(epochs, passed, drawstyle="steps-post", linewidth=1.4, linestyle=dashes, **mark)
    left.axhline(0, color="0.4", linewidth=0.8)
    left.set_xlabel("training − validation accuracy without\naugmentation (points)", fontsize=9)
    left.set_ylabel("gain in test accuracy (points)", fontsize=9)
    _cut(left, [100 * one.gain for one in tried])
    right.set(xscale="log", ylim=(-3, 103))
    right.xaxis.set_major_locator(FixedLocator(EPOCHS))
    right.xaxis.set_minor_locator(NullLocator())
    right.xaxis.set_major_formatter("{x:g}")
    right.set_xlabel("epoch", fontsize=9)
    right.set_ylabel("values past the best validation\naccuracy without augmentation (%)", fontsize=9)
    for axes in (left, right):
        _plain(axes)
    handles = [Line2D([], [], **style, linestyle="none", label=setting or "all") for setting, style in styles.items()]
    figure.legend(handles=handles, frameon=False, ncols=2, fontsize=8, loc="outside lower center")
    return figure


def gain_and_movement(tried: Sequence[Tried], names: dict[str, str], title: str) -> Figure | None:
    """Gains over how far the images move and stray, a row a model and a line a kind, from weak to strong.

    Means over the settings of the model, of which `names` has the names. None if no run has measured it.
    """
    known = [(one, m) for one in tried if (m := moved(one)) is not None]
    models = list(dict.fromkeys(one.row.cell.model for one, _ in known))
    if not known:
        return None
    figure = Figure(figsize=(WIDTH, 2.7 * len(models) + 1.3), dpi=DPI, layout="constrained")
    figure.suptitle(wrapped(title), fontsize=10)
    panels = figure.subplots(len(models), 2, squeeze=False, sharex="col", sharey="row")
    styles = _styles(by_kind(tried))
    for row, model in zip(panels, models, strict=True):
        for kind, style in styles.items():
            ranks: dict[int, list[tuple[float, float, float]]] = {}
            for one, m in known:
                if (one.kind, one.row.cell.model) == (kind, model):
                    ranks.setdefault(one.rank, []).append((m.relative, 100 * m.strayed, 100 * one.gain))
            points = np.array([np.mean(ranks[rank], axis=0) for rank in sorted(ranks)]).reshape(-1, 3)
            for axes, x in zip(row, points.T, strict=False):
                axes.plot(x, points[:, 2], color=style["color"], linewidth=1)
                for rank, place, gain in zip(sorted(ranks), x, points[:, 2], strict=True):
                    axes.plot(place, gain, **style, markersize=_size(rank))
        _cut(row[0], [100 * one.gain for one, _ in known if one.row.cell.model == model])
        row[0].set_ylabel(f"{names[model]}: gain (points)", fontsize=9)
        row[0].axvline(1, color="0.6", linewidth=0.8, linestyle=":", zorder=0)
        for axes in row:
            axes.axhline(0, color="0.4", linewidth=0.8, zorder=0)
            _plain(axes)
    panels[-1, 0].set_xlabel("distance from an image to itself augmented /\nto the nearest of its class", fontsize=9)
    panels[-1, 1].set_xlabel("more images whose nearest other image\nis of another class (points)", fontsize=9)
    handles: list[Artist] = [
        Line2D([], [], **style, linewidth=1, markersize=5, label=kind) for kind, style in styles.items()
    ]
    figure.legend(handles=handles, frameon=False, ncols=6, fontsize=8, loc="outside lower center")
    return figure


def calibrations(tried: Sequence[Tried], title: str) -> Figure | None:
    """Changes of the calibration error and of the temperature, a row a kind: means over settings and their range.

    None if no run has a temperature.
    """
    known = [(one, change) for one in tried if (change := calibration(one)) is not None]
    if not known:
        return None
    kinds = list(by_kind(one for one, _ in known))
    figure = Figure(figsize=(WIDTH, 0.34 * len(kinds) + 1.7), dpi=DPI, layout="constrained")
    figure.suptitle(wrapped(title), fontsize=10)
    left, right = figure.subplots(1, 2, sharey=True)
    ranks = sorted({one.rank for one, _ in known})
    shift = dict(zip(ranks, np.linspace(-0.24, 0.24, len(ranks)) if len(ranks) > 1 else [0.0], strict=True))
    for y, kind in enumerate(kinds):
        for rank in ranks:
            some = [change for one, change in known if (one.kind, one.rank) == (kind, rank)]
            if not some:
                continue
            for axes, values in ((left, [100 * c.ece for c in some]), (right, [c.temperature for c in some])):
                place, color = y + shift[rank], _shade(rank)
                axes.plot([min(values), max(values)], [place, place], color=color, linewidth=1.2)
                axes.plot(fmean(values), place, "o", color=color, markersize=_size(rank))
    left.set_yticks(range(len(kinds)), kinds)
    left.set_ylim(len(kinds) - 0.4, -0.6)
    left.set_xlabel("change of the calibration error on test\nimages, with the temperature (points)", fontsize=9)
    right.set_xlabel("change of the temperature", fontsize=9)
    for axes in (left, right):
        axes.axvline(0, color="0.4", linewidth=0.8, zorder=0)
        axes.tick_params(axis="y", length=0)
        _plain(axes)
    handles: list[Artist] = [
        Line2D([], [], color=_shade(rank), marker="o", markersize=_size(rank), linewidth=1.2, label=name)
        for rank, name in zip(ranks, strength_names(len(ranks)), strict=True)
    ]
    figure.legend(handles=handles, frameon=False, ncols=len(ranks), fontsize=8, loc="outside lower center")
    return figure


def _styles(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """A colour and a marker for each: no two are alike, and neighbours differ in both."""
    colors = len(LINE_COLORS)
    return {
        name: {"color": LINE_COLORS[i % colors], "marker": MARKERS[(i + i // colors) % len(MARKERS)]}
        for i, name in enumerate(names)
    }


def _size(rank: int) -> float:
    return SIZES[min(rank, len(SIZES) - 1)]


def _shade(rank: int) -> str:
    return ("#9ecae1", "#4292c6", "#08519c")[min(rank, 2)]


def _cut(axes: Axes, gains: Sequence[float]) -> None:
    """Show nine tenths of the losses, so that a few failures don't flatten the others."""
    low, high = float(np.percentile(gains, 10)), max(*gains, 0.0)
    margin = 0.08 * (high - low) + 0.1
    if min(gains) < low - 2 * (high - low):
        axes.set_ylim(low - margin, high + margin)
        axes.annotate(
            "↓ some below", (0.98, 0.02), xycoords="axes fraction", ha="right", va="bottom", fontsize=7.5, color="0.4"
        )


def _plain(axes: Axes) -> None:
    axes.grid(alpha=0.25)
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
