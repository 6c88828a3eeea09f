"""What the figures of a study of augmentation show, read off their axes."""

import shutil

import pytest

from emnist.analysis.augmentation import Tried, tried_of
from emnist.analysis.collection import collect
from emnist.analysis.comparison import compare
from emnist.analysis.study_result import StudyResult
from emnist.figures.augmentation import calibrations, gain_and_movement, gap_and_epochs
from emnist.figures.study import curves_by_setting, differences_by_setting
from tests.fixtures.augmented import make_augmentation_study


def study_of(folder) -> StudyResult:
    collection = collect([folder])
    ((plan, place),) = collection.studies
    return compare(plan, place, collection)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> StudyResult:
    return study_of(make_augmentation_study(tmp_path_factory.mktemp("study")))


@pytest.fixture(scope="module")
def tried(study) -> list[Tried]:
    return tried_of(study)


def legend(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_differences_of_all_settings_are_one_grid(study):
    (axes,) = differences_by_setting(study, "title").axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["rotation 10°", "rotation 40°", "noise 20 levels"]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["short", "long"]
    shown = {text.get_position(): text for text in axes.texts}
    places = axes.get_yticks()
    assert [shown[x, y].get_text() for y in places for x in (0, 1)] == ["-1.0", "+3.0", "-10.0", "+4.0", "+0.0", "+1.0"]
    clear = [row.difference.is_clear for rows in study.by_value.values() for row in rows.values()]
    assert [shown[x, y].get_weight() == "bold" for y in places for x in (0, 1)] == clear
    assert len(set(clear)) == 2


def test_curves_name_the_reference_and_the_extremes(study):
    short, long = curves_by_setting(study, "title").axes
    names = [[text.get_text() for text in axes.get_legend().get_texts()] for axes in (short, long)]
    assert names == [["noise 20 levels", "rotation 40°", "reference"], ["rotation 40°", "noise 20 levels", "reference"]]
    black = next(line for line in long.lines if line.get_color() == "black")
    assert list(black.get_ydata()) == pytest.approx([75, 76, 77, 78, 79, 80])


def test_curves_of_a_setting_with_its_reference_alone(tmp_path):
    """So it is while a study is being trained."""
    make_augmentation_study(tmp_path)
    for row in study_of(tmp_path).by_setting["short"]:
        if not row.is_start:
            for run in row.cell.runs:
                shutil.rmtree(run.folder.path)
    short, _ = curves_by_setting(study_of(tmp_path), "title").axes
    assert [text.get_text() for text in short.get_legend().get_texts()] == ["reference"]


def test_gap_and_epochs(tried):
    figure = gap_and_epochs(tried, "title")
    left, right = figure.axes
    means = [line for line in left.lines if line.get_markeredgecolor() == "black"]
    assert [line.get_xdata()[0] for line in means] == pytest.approx([5, 15])
    assert [line.get_ydata()[0] for line in means] == pytest.approx([-0.5, 2.5])  # at the strength chosen by validation
    short, long = right.lines
    assert list(short.get_ydata()) == [0, 0]
    # 40° is above 80% from the third epoch on, 10° from the fourth, noise in the last.
    assert list(long.get_ydata()) == pytest.approx([0, 0, 100 / 3, 200 / 3, 200 / 3, 100])
    assert legend(figure) == ["short", "long"]


def test_gain_and_movement(tried, tmp_path):
    figure = gain_and_movement(tried, {"mlp": "MLP"}, "title")
    left, right = figure.axes
    rotation = next(line for line in left.lines if list(line.get_xdata()) == [0.5, 2.0])
    assert list(rotation.get_ydata()) == pytest.approx([1, -3])  # means of -1 and +3, of -10 and +4
    assert [0.25] in [pytest.approx(list(line.get_xdata())) for line in left.lines]
    assert any(list(line.get_xdata()) == pytest.approx([5, 20]) for line in right.lines)
    assert legend(figure) == ["rotation", "noise"]
    unmeasured = tried_of(study_of(make_augmentation_study(tmp_path, movement=False)))
    assert gain_and_movement(unmeasured, {"mlp": "MLP"}, "title") is None


def test_calibrations(tried):
    figure = calibrations(tried, "title")
    left, right = figure.axes
    assert [text.get_text() for text in left.get_yticklabels()] == ["rotation", "noise"]
    dots = [line for line in left.lines if line.get_marker() == "o"]
    assert [line.get_xdata()[0] for line in dots] == pytest.approx([1, 2, 3])
    dots = [line for line in right.lines if line.get_marker() == "o"]
    assert [line.get_xdata()[0] for line in dots] == pytest.approx([-0.1, -0.2, -0.3])
