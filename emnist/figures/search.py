"""How the searches of one space went: the best so far, and accuracy over cost, with the good values in view."""

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import EngFormatter, LogLocator, MaxNLocator, NullLocator

from emnist.analysis.search import SearchResult, metric_name, reached, sampler_name, scale_of
from emnist.figures.study import LINE_COLORS, wrapped
from emnist.figures.style import DPI, WIDTH, WRONG
from emnist.runs.search import COMPLETE, HAND_TUNED, PRUNED, Trial

HIDDEN = 0.25  # of the complete trials may be worse than what an axis shows, so that it tells the others apart
HAND: dict[str, Any] = {"color": WRONG, "linestyle": (0, (4, 2)), "linewidth": 1.3}
STAR: dict[str, Any] = {
    "marker": "*",
    "markersize": 11,
    "color": WRONG,
    "markeredgecolor": "white",
    "markeredgewidth": 0.7,
    "linestyle": "none",
    "zorder": 5,
}
DOT: dict[str, Any] = {"marker": "o", "markersize": 3.5, "linestyle": "none", "markeredgewidth": 0.7}
HOLLOW: dict[str, Any] = {"color": "none", "markeredgecolor": "0.55", "alpha": 0.7}
OUTLINED = [withStroke(linewidth=2.5, foreground="white")]  # labels on top of dots


def best_so_far(result: SearchResult, title: str) -> Figure:
    """The best value after each trial and each hour of training, a line a search, and the trials of the chosen one."""
    figure = Figure(figsize=(WIDTH, 3.7), dpi=DPI, layout="constrained")
    figure.suptitle(wrapped(title), fontsize=10)
    left, right = figure.subplots(1, 2, sharey=True)
    scale, colors = scale_of(result.search.metric), sampler_colors(result)
    low, high = shown_range(result)
    ends: dict[str, list[float]] = {}
    for one in result.outcomes:
        color, is_chosen = colors[one.search.sampler], one is result.chosen
        steps = [step for step in one.steps if step.best is not None]
        best = [scale * (step.best or 0.0) for step in steps]
        trials = [number for number, step in enumerate(one.steps, start=1) if step.best is not None]
        style: dict[str, Any] = {"drawstyle": "steps-post", "solid_joinstyle": "miter", "color": color}
        for axes, places in ((left, trials), (right, [step.hours for step in steps])):
            axes.plot(
                places,
                best,
                linewidth=2.4 if is_chosen else 1,
                alpha=1 if is_chosen else 0.75,
                zorder=3 + is_chosen,
                **style,
            )
        if best:
            ends.setdefault(one.search.sampler, []).append(best[-1])
        if is_chosen:
            draw_trials(left, [(number, step.trial) for number, step in enumerate(one.steps, start=1)], result, color)
            draw_trials(right, [(step.hours, step.trial) for step in one.steps], result, color)
    labels = [(float(np.mean(values)), sampler_name(sampler), colors[sampler]) for sampler, values in ends.items()]
    if (reference := result.reference) is not None and reference.value is not None:
        for axes in (left, right):
            axes.axhline(scale * reference.value, **HAND, zorder=2)
        labels.append((scale * reference.value, HAND_TUNED, WRONG))
    left.set_ylim(low, high)
    for y, (_, text, color) in zip(_apart([y for y, *_ in labels], (high - low) / 15), labels, strict=True):
        left.annotate(
            text, (1.02, y), xycoords=left.get_yaxis_transform(), color=color, fontsize=9, va="center", weight="bold"
        )
    left.set(xlabel="trials", ylabel=metric_label(result))
    right.set_xlabel("hours of training")
    for axes in (left, right):
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10], integer=axes is left))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    chosen = result.chosen
    name = f"{sampler_name(chosen.search.sampler)}, seed {chosen.search.seed}"
    handles: list[Artist] = [
        Line2D([], [], color=colors[chosen.search.sampler], linewidth=2.4, label=f"{name}, and its trials:"),
        *trial_handles(result, colors[chosen.search.sampler]),
    ]
    add_legend(figure, handles, hidden_of(result, chosen.ended))
    return figure


def accuracy_and_cost(result: SearchResult, title: str) -> Figure:
    """Validation accuracy of every complete trial over its multiply-accumulates, and those that no other beats."""
    figure = Figure(figsize=(WIDTH, 3.9), dpi=DPI, layout="constrained")
    figure.suptitle(wrapped(title), fontsize=10)
    axes = figure.add_subplot()
    front, hand = result.front, result.reference_cost
    accuracies = [100 * point.accuracy for point in result.costs]
    low, high = _range(accuracies, [] if hand is None else [100 * hand.accuracy], 1)
    axes.plot([p.macs for p in result.costs], accuracies, **DOT, color="0.6", alpha=0.5, markeredgecolor="none")
    x, y = [p.macs for p in front], [100 * p.accuracy for p in front]
    axes.plot(x, y, drawstyle="steps-post", color=LINE_COLORS[0], linewidth=1.4)
    axes.plot(x, y, **{**DOT, "markersize": 5}, color=LINE_COLORS[0])
    near: dict[str, Any] = {"textcoords": "offset points", "fontsize": 9, "va": "center", "path_effects": OUTLINED}
    middle = float(np.sqrt(min(p.macs for p in result.costs) * max(p.macs for p in result.costs)))

    def label(text: str, macs: int, accuracy: float, color: str, beside: int, above: int) -> None:
        """To the side where there is room."""
        side: dict[str, Any] = {"xytext": (beside, above), "ha": "left"}
        if macs > middle:
            side = {"xytext": (-beside, above), "ha": "right"}
        axes.annotate(f"{text}: {accuracy:.2f}%", (macs, accuracy), color=color, weight="bold", **side, **near)

    label("best", x[-1], y[-1], LINE_COLORS[0], -6, 10)
    if hand is not None:
        axes.plot(hand.macs, 100 * hand.accuracy, **STAR)
        label(HAND_TUNED, hand.macs, 100 * hand.accuracy, WRONG, 8, -7)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(EngFormatter(sep=" "))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(low, high + 0.05 * (high - low))  # with room for a label
    axes.set(xlabel="multiply-accumulates per image", ylabel="validation accuracy (%)")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    hidden = sum(value < low for value in accuracies)
    note = f"{hidden} of {len(accuracies)} trials lie below what is shown" if hidden else ""
    trials = Line2D([], [], **DOT, color="0.6", label="complete trials")
    best = Line2D(
        [], [], **{**DOT, "linestyle": "-"}, color=LINE_COLORS[0], label="Pareto front: no other is as good and cheaper"
    )
    add_legend(figure, [trials, best], note)
    return figure


def metric_label(result: SearchResult) -> str:
    metric = result.search.metric
    unit = " (%)" if scale_of(metric) == 100 else ", lower is better" if result.sign < 0 else ""
    return f"{metric_name(metric)}{unit}"


def sampler_colors(result: SearchResult) -> dict[str, str]:
    samplers = sorted({one.search.sampler for one in result.outcomes})
    return dict(zip(samplers, itertools.cycle(LINE_COLORS)))


def shown_range(result: SearchResult) -> tuple[float, float]:
    """Limits of an axis of the metric."""
    scale = scale_of(result.search.metric)
    values = [scale * trial.value for _, trial in result.complete if trial.value is not None]
    reference = result.reference
    needed = [scale * reference.value] if reference is not None and reference.value is not None else []
    return _range(values, needed, result.sign)


def _range(values: Sequence[float], needed: Sequence[float], sign: int) -> tuple[float, float]:
    """From the best of the values to the one that HIDDEN of them don't reach, with a margin; `needed` are inside."""
    if not values:
        values = needed or [0.0]
    worst = np.quantile(values, HIDDEN if sign > 0 else 1 - HIDDEN)
    ends = [float(worst), *needed, max(values) if sign > 0 else min(values)]
    margin = 0.08 * (max(ends) - min(ends)) or 1.0
    return min(ends) - margin, max(ends) + margin


def hidden_of(result: SearchResult, trials: Sequence[Trial]) -> str:
    """How many of these trials are worse than what an axis of the metric shows, in words; empty if none is."""
    low, high = shown_range(result)
    scale = scale_of(result.search.metric)
    values = [scale * value for trial in trials if (value := reached(trial, result.sign)) is not None]
    hidden = sum(value < low if result.sign > 0 else value > high for value in values)
    side = "below" if result.sign > 0 else "above"
    return f"{hidden} of {len(values)} trials lie {side} what is shown" if hidden else ""


def draw_trials(axes: Axes, trials: Sequence[tuple[float, Trial]], result: SearchResult, color: str) -> None:
    """Trials at these places: complete ones filled, pruned ones hollow; none where there is no value."""
    scale = scale_of(result.search.metric)
    for state, style in ((PRUNED, HOLLOW), (COMPLETE, {"color": color, "markeredgecolor": "none", "alpha": 0.45})):
        here = [(x, scale * y) for x, t in trials if t.state == state and (y := reached(t, result.sign)) is not None]
        axes.plot([x for x, _ in here], [y for _, y in here], **DOT, **style, zorder=2)


def trial_handles(result: SearchResult, color: str) -> list[Line2D]:
    handles = [Line2D([], [], **DOT, color=color, markeredgecolor="none", alpha=0.6, label="complete")]
    if any(trial.state == PRUNED for _, trial in result.trials):
        handles.append(Line2D([], [], **DOT, **HOLLOW, label="pruned"))
    return handles


def add_legend(figure: Figure, handles: Sequence[Artist], note: str) -> None:
    """Below the panels, under a note."""
    style: dict[str, Any] = {"frameon": False, "fontsize": 8, "title_fontsize": 8, "loc": "outside lower center"}
    figure.legend(handles=handles, ncols=5, title=note or None, **style)


def _apart(places: Sequence[float], gap: float) -> list[float]:
    """The places, moved so that no two are closer than this."""
    order = np.argsort(places)
    moved = np.array(places, float)[order]
    for _ in range(100):
        for i in range(len(moved) - 1):
            if (short := gap - (moved[i + 1] - moved[i])) > 1e-9:
                moved[i] -= short / 2
                moved[i + 1] += short / 2
    result = np.empty(len(moved))
    result[order] = moved
    return [float(value) for value in result]
