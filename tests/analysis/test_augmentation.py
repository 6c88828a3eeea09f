"""What goes with the gains of a made-up study; see tests/fixtures/augmented.py."""

from dataclasses import replace

import numpy as np
import pytest

from emnist.analysis.augmentation import (
    Tried,
    calibration,
    chosen,
    confusions,
    contrasted,
    correlation,
    generalization_gap,
    lookalikes,
    moved,
    passing,
    tried_of,
)
from emnist.analysis.collection import Cell, collect
from emnist.analysis.comparison import compare
from emnist.analysis.study_result import StudyResult
from tests.fixtures.augmented import make_augmentation_study
from tests.fixtures.runs import CLASSES, configured, make_study


def study_of(folder) -> StudyResult:
    collection = collect([folder])
    ((plan, place),) = collection.studies
    return compare(plan, place, collection)


@pytest.fixture(scope="module")
def tried(tmp_path_factory) -> list[Tried]:
    return tried_of(study_of(make_augmentation_study(tmp_path_factory.mktemp("study"))))


def named(tried: list[Tried], setting: str, strength: str) -> Tried:
    (found,) = [one for one in tried if (one.setting, one.strength) == (setting, strength)]
    return found


def test_every_value_is_tried_in_every_setting(tried):
    assert [(one.setting, one.kind, one.strength, one.rank) for one in tried] == [
        (setting, kind, strength, rank)
        for setting in ("short", "long")
        for kind, strength, rank in (("rotation", "10°", 0), ("rotation", "40°", 1), ("noise", "20 levels", 0))
    ]
    assert named(tried, "short", "10°").gain == pytest.approx(-0.01)
    assert named(tried, "long", "10°").gain == pytest.approx(0.03)


def test_a_study_of_other_keys_is_not_about_augmentation(tmp_path):
    assert tried_of(study_of(make_study(tmp_path))) == []


def test_the_strength_of_a_kind_is_chosen_by_validation(tried):
    found = [(one.setting, one.strength) for one in chosen(tried)]
    assert found == [("short", "10°"), ("short", "20 levels"), ("long", "40°"), ("long", "20 levels")]


def test_settings_that_differ_in_one_key(tried):
    assert contrasted(tried, "trainer", "max_epochs") == [("short", "long")]
    assert contrasted(tried, "data", "per_class") == []


@pytest.mark.parametrize("scheduler", ["step", "cosine"])
def test_settings_differ_in_one_key_whatever_the_schedule(tried, scheduler):
    def of(epochs: int, per_class: int | None) -> Tried:
        overrides = f"trainer.max_epochs={epochs}", f"data.per_class={per_class or 'null'}", f"scheduler={scheduler}"
        run = replace(tried[0].plain.runs[0], config=configured(*overrides))
        return replace(tried[0], setting=f"{epochs} {per_class}", plain=Cell("", [run]))

    settings = [of(epochs, per_class) for epochs in (10, 50) for per_class in (120, None)]
    assert contrasted(settings, "trainer", "max_epochs") == [("10 120", "50 120"), ("10 None", "50 None")]
    assert contrasted(settings, "data", "per_class") == [("10 120", "10 None"), ("50 120", "50 None")]


def test_the_gap_is_that_of_the_best_epoch(tried):
    assert generalization_gap(named(tried, "short", "10°").plain) == pytest.approx(0.05)
    assert generalization_gap(named(tried, "long", "10°").plain) == pytest.approx(0.15)


def test_epochs_needed(tried):
    # Without augmentation: 75% to 80% in 6 epochs. With 10°, 78% to 83%: above 80% from the fourth on.
    assert passing(named(tried, "long", "10°")) == (4, 6, 6)
    assert passing(named(tried, "short", "10°")) == (None, 2, 2)


def test_movement(tried):
    assert moved(named(tried, "short", "40°")) == pytest.approx((2.0, 0.2))


def test_calibration(tried):
    assert calibration(named(tried, "short", "40°")) == pytest.approx((0.02, -0.2))


def test_classes_that_become_each_other(tried):
    found = confusions(tried, list(CLASSES))
    first, *others = found
    assert (first.kind, first.strength, first.classes, first.grew) == ("rotation", "40°", ("6", "9"), True)
    assert (first.plain, first.augmented, first.networks) == (0, 80, 4)
    assert first.p < 0.001
    assert {one.classes for one in others if not one.grew} == {("n", "U"), ("P", "q")}
    assert not [one for one in found if one.kind == "noise"]


def test_lookalikes_in_the_case_that_there_is():
    assert lookalikes(CLASSES) == [("6", "9"), ("n", "U"), ("P", "q")]
    assert lookalikes("0123456789") == [("6", "9")]


def test_correlation_of_few_points_has_no_interval():
    assert correlation([1, 2, 3], [1, 2, 3]) is None
    assert correlation([1, 1, 1, 1], [1, 2, 3, 4]) is None
    x = np.arange(8.0)
    c = correlation(list(x), list(x + np.array([1, -1] * 4)))
    z = np.arctanh(c.r)  # Fisher's interval, by hand
    assert (c.low, c.high) == pytest.approx((np.tanh(z - 1.96 / 5**0.5), np.tanh(z + 1.96 / 5**0.5)), rel=1e-3)
