"""What the figures of a study show, read off their axes."""

import pytest
from matplotlib.colors import to_hex

from emnist.analysis.collection import collect
from emnist.analysis.comparison import compare
from emnist.analysis.study_result import Estimate, StudyResult
from emnist.figures.study import VERDICT_STYLES, Point, accuracy_and_cost, differences, factors, mean_curves
from emnist.figures.style import to_png
from tests.fixtures.runs import make_study


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> StudyResult:
    collection = collect([make_study(tmp_path_factory.mktemp("study"))])
    ((plan, folder),) = collection.studies
    return compare(plan, folder, collection)


def test_differences_show_verdicts_intervals_and_published_figures(study):
    figure = differences(study, "MLP")
    (axes,) = figure.axes
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names == [f"the factor {label}" for label in ("worse", "alike", "split", "better", "half")]
    dots = {line.get_ydata()[0]: line for line in axes.lines if line.get_marker() in ("<", ">", "s", "o", "X")}
    verdicts = ["worse", "equal", "undecided", "better", "incomplete"]
    for y, verdict, (*_, d) in zip(axes.get_yticks(), verdicts, study.compared, strict=True):
        assert dots[y].get_xdata()[0] == pytest.approx(100 * d.estimate.mean)
        assert dots[y].get_marker() == VERDICT_STYLES[verdict]["marker"]
        assert to_hex(dots[y].get_color()) == to_hex(VERDICT_STYLES[verdict]["color"])
        (interval,) = [line for line in axes.lines if list(line.get_ydata()) == [y, y]]
        assert list(interval.get_xdata()) == pytest.approx([100 * d.estimate.low, 100 * d.estimate.high])
    published = sorted(line.get_xdata()[0] for line in axes.lines if line.get_marker() == "D")
    assert published == pytest.approx([77.50 - 89.63, 89.52 - 89.63])
    band = axes.patches[0].get_extents().transformed(axes.transData.inverted())
    assert (band.x0, band.x1) == pytest.approx((-0.5, 0.5))
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["better", "worse", "equal within 0.5", "undecided", "incomplete", "published", "±0.5 points"]


def test_verdicts_differ_by_marker_not_only_by_colour():
    assert len({(style["marker"], style.get("markerfacecolor")) for style in VERDICT_STYLES.values()}) == 6


def point(model: str, macs: int, mean: float, label: str = "", named: bool = False) -> Point:
    return Point(model, macs, Estimate(mean, mean - 0.01, mean + 0.01), label, named)


def test_collapsed_cells_do_not_squeeze_the_others():
    points = [point("CNN", 10**7, 0.88, "best", named=True), point("CNN", 10**7, 0.86), point("MLP", 10**5, 0.80)]
    points += [point("CNN", 10**7, 0.03, "batch norm off"), point("MLP", 10**5, 0.66)]
    above, below = accuracy_and_cost(points, "title").axes
    assert above.get_ylim()[0] > 60
    assert 0 <= below.get_ylim()[0] < 3 < below.get_ylim()[1] < 60
    assert below.get_title("left") == "far below: CNN batch norm off (3%)"
    assert [text.get_text() for text in above.texts] == ["best"]


def test_without_collapsed_cells_there_is_one_panel():
    (axes,) = accuracy_and_cost([point("CNN", 10**7, 0.88), point("CNN", 10**7, 0.74)], "title").axes
    low, high = axes.get_ylim()
    assert 70 < low < 73
    assert 89 < high < 95


def test_cells_of_the_same_cost_are_side_by_side():
    (axes,) = accuracy_and_cost([point("CNN", 10**7, 0.86), point("CNN", 10**7, 0.88)], "title").axes
    (dots,) = [line for line in axes.lines if line.get_marker() == "o"]
    left, right = dots.get_xdata()
    assert left < 10**7 < right < 1.1e7
    assert list(dots.get_ydata()) == pytest.approx([86, 88])


def test_curves_are_means_over_the_runs(study):
    (loss, accuracy) = mean_curves(study.start, "title").axes
    assert list(loss.lines[0].get_ydata()) == pytest.approx([0.6, 0.7])
    assert list(accuracy.lines[0].get_ydata()) == pytest.approx([60, 70])
    figure = factors(study, "title")
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.lines] == ["start", "worse", "alike", "split", "better", "half"]
    assert to_png(figure).startswith(b"\x89PNG")
