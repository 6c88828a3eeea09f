"""How many labelled images a start is worth, from made-up runs."""

import math

import numpy as np
import pytest

from emnist.analysis.collection import collect
from emnist.analysis.comparison import compare
from emnist.analysis.transfer import common_words, drawn_accuracies, needed, transfer_targets
from emnist.analysis.variance import NO_PRIOR, Sample, accuracy_interval
from emnist.runs.plan import PlannedSource
from tests.fixtures.runs import first, images, make_plan_with_settings, make_run, value

RUNS = ["all_seed0", "all_seed1"]
WRONG = {5: (400, 200), 50: (200, 150), 500: (100, 95)}  # of 1,000 test images: from scratch, from the source
OTHER = images("other characters", "e")


def make_transfer(folder):
    """A study of two targets: from scratch, from a source, and without a label; the second was tested on others."""
    settings = {}
    for size, wrong in WRONG.items():
        for target, seen in (("digits", {}), ("letters", {"data": OTHER})):
            cells = {name: f"mlp/{target}{size}_{name}" for name in ("fresh", "tuned")}
            for cell, count in zip(cells.values(), wrong, strict=True):
                for seed, run in enumerate(RUNS):
                    overrides = ("data.fold=null", f"seed={seed}", f"data.per_class={size}")
                    make_run(folder / cell / run, first(count + 2 * seed), None, overrides, **seen)
            values = [value("fresh", cells["fresh"]), value("tuned", cells["tuned"], init="source")]
            settings[f"{target}, {size} a class"] = {"start": values}
    for seed, run in enumerate(RUNS):
        overrides = ("data.fold=null", f"seed={seed}", "data.per_class=5", "optimizer.lr=0")
        make_run(folder / "mlp" / "unlabelled" / run, first(450), None, overrides)
    settings["digits, 5 a class"]["start"].append(value("no label", "mlp/unlabelled", init="source"))
    make_run(folder / "mlp" / "source" / "all_seed0", first(10), None, ("data.fold=null",))
    plan = make_plan_with_settings(folder, settings, RUNS)
    plan.sources = {"source": PlannedSource(overrides=["a=1"], cell="mlp/source", run="all_seed0")}
    plan.write(folder / "settings.json")
    return folder


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    collection = collect([make_transfer(tmp_path_factory.mktemp("transfer"))])
    ((plan, folder),) = collection.studies
    return compare(plan, folder, collection)


def test_targets_are_what_was_tested_on(study):
    digits, letters = transfer_targets(study)
    assert (digits.name, letters.name, letters.data) == ("digits", "letters", "other characters")
    assert [(line.label, line.source) for line in digits.lines] == [
        ("fresh", None),
        ("tuned", "source"),
        ("no label", "source"),
    ]
    assert [[point.images for point in line.points] for line in digits.lines] == [[5, 50, 500], [5, 50, 500], [0]]
    assert (digits.fewest, digits.most) == (5, 500)
    assert list(study.sources) == ["source"]


def test_what_a_start_is_worth(study):
    digits, _ = transfer_targets(study)
    five, fifty, most = (point.worth for point in digits.others[0].points)
    assert five.mean == pytest.approx(50)  # 200 wrong, as from scratch with 50
    assert 5 < five.low < 50 < five.high < 500
    assert fifty.mean == pytest.approx(50 * 10**0.5, rel=0.01)  # half way from 200 to 100
    assert most.mean == most.high == math.inf
    (unlabelled,) = digits.others[1].points
    assert (unlabelled.worth.mean, unlabelled.worth.low) == (0, 0)


def test_without_learning_only_the_test_images_vary(study):
    (point,) = transfer_targets(study)[0].others[1].points
    half = 1.9623 * (0.45 * 0.55 / 999) ** 0.5
    assert tuple(point.test) == pytest.approx((0.55, 0.55 - half, 0.55 + half), abs=1e-4)


def test_differences_of_targets_with_other_test_images_have_one_limit(study):
    rows = {(row.setting, row.label): row.difference for _, row in study.rows if row.difference}
    assert len(rows) == 7
    assert {d.verdict for d in rows.values()} <= {"better", "worse", "undecided", "equal"}


@pytest.mark.parametrize(
    ("accuracy", "expected"),
    [(0.5, 10), (0.6, 10**1.5), (0.7, 100), (0.65, 10**1.75), (0.9, 1000), (0.95, math.inf), (0.4, 0)],
)
def test_needed(accuracy, expected):
    assert needed(accuracy, [10, 100, 1000], [0.5, 0.7, 0.9]) == pytest.approx(expected)


def test_a_curve_that_falls_counts_as_level():
    assert needed(0.7, [10, 100, 1000], [0.7, 0.6, 0.9]) == pytest.approx(10)
    assert needed(0.8, [10, 100, 1000], [0.7, 0.6, 0.9]) == pytest.approx(100 * 10**0.5)


def test_drawn_accuracies_have_the_intervals_of_the_accuracies():
    random = np.random.RandomState(1)
    samples = [Sample(random.random_sample((5, 500)) < share, 0.25) for share in (0.6, 0.9)]
    drawn = drawn_accuracies([(sample, NO_PRIOR) for sample in samples])
    for sample, draws in zip(samples, drawn.T, strict=True):
        low, high = accuracy_interval(sample, NO_PRIOR, 0.05)
        assert draws.mean() == pytest.approx(sample.shares.mean(), abs=0.002)
        assert np.quantile(draws, [0.025, 0.975]) == pytest.approx([low, high], abs=0.006)


@pytest.mark.parametrize(
    ("labels", "name"),
    [
        (["digits, 5 a class", "digits, 50 a class"], "digits"),
        (["all classes, 5", "all classes, 50"], "all classes"),
        (["digits, 5 a class"], "digits, 5 a class"),
        (["a", "b"], ""),
        ([], ""),
    ],
)
def test_common_words(labels, name):
    assert common_words(labels) == name
