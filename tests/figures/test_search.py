"""What the figures of searches show, read off their axes."""

import re

import numpy as np
import pytest
from matplotlib.colors import to_hex

from emnist.analysis.collection import Collection, collect
from emnist.analysis.search import SearchResult, searches_of
from emnist.figures.parameters import Axis, parallel_coordinates, slices
from emnist.figures.search import accuracy_and_cost, best_so_far, hidden_of, sampler_colors, shown_range
from emnist.figures.style import WRONG, to_png
from emnist.runs.search import FAILED, PRUNED, Parameter
from tests.fixtures.searches import SPACE, make_search, make_searched, reference, trial


@pytest.fixture(scope="module")
def searched(tmp_path_factory) -> SearchResult:
    (result,) = searches_of(collect([make_searched(tmp_path_factory.mktemp("searched"))]))
    return result


@pytest.fixture
def two(tmp_path) -> SearchResult:
    """By random search and TPE, of which the latter is chosen."""
    trials = {"random": [0.70, 0.80, 0.82], "tpe": [0.75, 0.85, 0.83]}
    made = [
        make_search(
            tmp_path, sampler, [trial(i, v) for i, v in enumerate(values)], sampler=sampler, reference=reference(0.81)
        )
        for sampler, values in trials.items()
    ]
    (result,) = searches_of(Collection([], [], [(search, tmp_path) for search in made]))
    return result


def dots(axes, hollow=False):
    """The trials in a panel, hollow if they were pruned."""
    lines = [line for line in axes.lines if line.get_marker() == "o" and (line.get_color() == "none") is hollow]
    return [point for line in lines for point in zip(*line.get_data(), strict=True)]


def test_the_best_over_trials_and_hours(two):
    left, right = best_so_far(two, "title").axes
    for axes in (left, right):
        by_color = {
            to_hex(line.get_color()): list(line.get_ydata())
            for line in axes.lines
            if line.get_drawstyle() == "steps-post"
        }
        assert by_color[sampler_colors(two)["random"]] == pytest.approx([70, 80, 82])
        assert by_color[sampler_colors(two)["tpe"]] == pytest.approx([75, 85, 85])
        (hand,) = [line for line in axes.lines if to_hex(line.get_color()) == WRONG]
        assert list(hand.get_ydata()) == pytest.approx([81, 81])
        assert dots(axes) == [(1, 75), (2, pytest.approx(85)), (3, pytest.approx(83))]
    assert {text.get_text() for text in left.texts} == {"random", "TPE", "hand-tuned"}


def test_labels_of_lines_that_end_at_the_same_value_do_not_overlap(two):
    for one in two.outcomes:
        one.search.trials = [trial(0, 0.81)]
    figure = best_so_far(two, "title")
    to_png(figure)
    low, high = figure.axes[0].get_ylim()
    heights = sorted(text.xy[1] for text in figure.axes[0].texts)
    assert min(np.diff(heights)) > 0.06 * (high - low)


def test_bad_trials_do_not_squeeze_the_good_ones(tmp_path):
    trials = [trial(i, 0.8 + i / 1000) for i in range(30)] + [
        trial(30, 0.02),
        trial(31, 0.3, PRUNED),
        trial(32, None, FAILED),
    ]
    search = make_search(tmp_path, "one", trials)
    (result,) = searches_of(Collection([], [], [(search, tmp_path)]))
    low, high = shown_range(result)
    assert 79 < low < 82 < 82.9 < high < 84
    assert hidden_of(result, trials).startswith(
        f"{2 + sum(80 + i / 10 < low for i in range(30))} of 32 trials lie below"
    )


def test_low_values_of_a_loss_are_in_view(tmp_path):
    trials = [*(trial(i, 0.4 + i / 1000) for i in range(30)), trial(30, 99.0)]
    about = {"metric": "val_loss", "direction": "minimize", "reference": reference(0.5)}
    search = make_search(tmp_path, "one", trials, **about)
    (result,) = searches_of(Collection([], [], [(search, tmp_path)]))
    low, high = shown_range(result)
    assert low < 0.4 < 0.5 < high < 0.6
    assert hidden_of(result, trials) == "1 of 31 trials lie above what is shown"
    left, _ = best_so_far(result, "title").axes
    assert left.get_ylabel() == "validation loss, lower is better"
    for draw in (slices, parallel_coordinates):
        assert to_png(draw(result, "title")).startswith(b"\x89PNG")


def test_slices_show_a_panel_a_parameter(searched):
    figure = slices(searched, "title")
    panels = {axes.get_title("left"): axes for axes in figure.axes}
    assert panels.keys() == SPACE.keys()
    rate = panels["optimizer.lr"]
    assert rate.get_xscale() == "log"
    assert [x for x, _ in dots(rate)] == pytest.approx([1e-4, 1e-2, 0.1])
    assert [y for _, y in dots(rate)] == pytest.approx([80, 90, 85])
    assert dots(rate, hollow=True) == [(pytest.approx(1e-3), pytest.approx(70))]
    (star,) = [line for line in rate.lines if line.get_marker() == "*"]
    assert (star.get_xdata()[0], star.get_ydata()[0]) == (0.1, pytest.approx(88))
    assert dots(panels["optimizer.momentum"]) == [(0.5, pytest.approx(85))]
    assert not [line for line in panels["optimizer.momentum"].lines if line.get_marker() == "*"]
    names = [text.get_text() for text in panels["model.neurons"].get_xticklabels()]
    assert names == ["4", "8", "16"]
    assert all(round(x) in (0, 1, 2) and x != round(x) for x, _ in dots(panels["model.neurons"]))


def test_slices_are_in_the_order_of_importance(searched):
    searched.importance = {"model.neurons": 0.7, "optimizer.lr": 0.3}
    try:
        figure = slices(searched, "title")
    finally:
        searched.importance = {}
    titles = [(axes.get_title("left"), axes.get_title("right")) for axes in figure.axes]
    assert titles == [("model.neurons", "70%"), ("optimizer.lr", "30%"), ("optimizer", ""), ("optimizer.momentum", "")]


def test_lines_of_parallel_coordinates_have_gaps_at_conditional_parameters(searched):
    (axes,) = parallel_coordinates(searched, "title").axes
    momentum = list(SPACE).index("optimizer.momentum")
    lines = [line for line in axes.lines if len(line.get_xdata()) > 20]
    through = [any(momentum - 0.9 < y < momentum - 0.1 for y in line.get_ydata()) for line in lines]
    assert through == [True, False, False]  # 85%, 90% and the hand-tuned configuration; 80% is out of view
    rows = [text.get_text() for text in axes.texts if text.get_ha() == "right"]
    assert rows == [*SPACE, "validation accuracy\n(%)"]


def test_the_front_of_accuracy_and_cost(searched):
    figure = accuracy_and_cost(searched, "title")
    (axes,) = figure.axes
    (front,) = [line for line in axes.lines if line.get_drawstyle() == "steps-post"]
    assert list(front.get_ydata()) == pytest.approx([80, 90])
    (star,) = [line for line in axes.lines if line.get_marker() == "*"]
    assert star.get_ydata()[0] == pytest.approx(88)
    assert [text.get_text() for text in axes.texts] == ["best: 90.00%", "hand-tuned: 88.00%"]


def test_an_axis_has_no_place_for_values_outside_of_it():
    choices = Axis(Parameter(key="a", kind="categorical", choices=[0.1, True, "[32,64]"]))
    assert [choices.place(value) for value in (0.1, True, "[32,64]", 0.2)] == [0, 1, 2, None]
    assert [label for _, label in choices.ticks()] == ["0.1", "true", "[32,64]"]
    whole = Axis(Parameter(key="a", kind="int", low=1, high=5, step=2))
    assert [whole.place(value) for value in (1, 5, 2)] == [0, 2, None]
    log = Axis(Parameter(key="a", kind="float", low=1e-5, high=1e-1, log=True))
    assert (log.place(1e-6), log.share(1e-3, 0)) == (None, pytest.approx(0.5))
    assert [label for _, label in log.ticks()] == ["1e-5", "0.0001", "0.001", "0.01", "0.1"]


def test_titles_are_wrapped(searched):
    figure = best_so_far(searched, "a title " * 20)
    assert max(map(len, re.split("\n", figure.get_suptitle()))) <= 80
