import math
import sys
from pathlib import Path

import pytest

from emnist.analysis.collection import Collection, collect
from emnist.analysis.search import CostPoint, SearchResult, importance, metric_of, pareto_front, reached, searches_of
from emnist.runs.folder import RunFolder
from emnist.runs.search import COMPLETE, FAILED, PRUNED, RUNNING, Trial
from tests.fixtures.runs import first, make_run
from tests.fixtures.searches import FRESH, RUNS, make_final, make_search, make_searched, reference, trial


@pytest.fixture(scope="module")
def result(tmp_path_factory) -> SearchResult:
    (result,) = searches_of(collect([make_searched(tmp_path_factory.mktemp("searched"))]))
    return result


def of_trials(folder: Path, trials, **about) -> SearchResult:
    search = make_search(folder, "one", trials, **about)
    (result,) = searches_of(Collection([], [], [(search, folder)]))
    return result


def test_searches_are_collected(tmp_path):
    make_searched(tmp_path / "sweep")
    for name, content in (("a", "not json"), ("b", "[1]"), ("c", '{"name": "x"}')):
        (tmp_path / name).mkdir()
        (tmp_path / name / "search.json").write_text(content)
    collection = collect([tmp_path, tmp_path / "sweep"])
    ((search, folder),) = collection.searches
    assert (search.name, folder) == ("mlp_random_0", (tmp_path / "sweep").resolve())


def test_searches_of_one_space_on_the_same_metric_and_runs_belong_together(tmp_path):
    make_run(tmp_path / "mlp" / "a" / RUNS[0], first(1), 0.9)
    make_search(tmp_path, "b", [], sampler="tpe", seed=1)
    make_search(tmp_path, "a", [], sampler="tpe", seed=0)
    make_search(tmp_path, "c", [])
    make_search(tmp_path, "loss", [], metric="val_loss", direction="minimize")
    make_search(tmp_path, "folds", [], runs=FRESH)
    results = searches_of(collect([tmp_path]))
    assert {result.name: [one.search.name for one in result.outcomes] for result in results} == {
        "mlp": ["c", "a", "b"],
        "mlp_2": ["folds"],
        "mlp_3": ["loss"],
    }


def test_the_best_so_far_in_the_order_of_ending(tmp_path):
    trials = [
        trial(0, 0.5, ended=30.0, seconds=1800.0),
        trial(1, 0.8, ended=10.0),
        trial(2, 0.9, PRUNED, ended=15.0),
        trial(3, 0.7, ended=20.0),
        trial(4, 0.99, RUNNING),
        trial(5, 0.85, ended=40.0),
    ]
    (one,) = of_trials(tmp_path, trials).outcomes
    assert [(step.trial.number, step.hours, step.best) for step in one.steps] == [
        (1, 1.0, 0.8),
        (2, 2.0, 0.8),
        (3, 3.0, 0.8),
        (0, 3.5, 0.8),
        (5, 4.5, 0.85),
    ]
    lost = of_trials(tmp_path, trials, metric="val_loss", direction="minimize").outcomes[0]
    assert [step.best for step in lost.steps] == [0.8, 0.8, 0.7, 0.5, 0.5]


def test_what_a_trial_has_reached():
    assert reached(trial(0, 0.8), 1) == 0.8
    assert reached(trial(0, None, PRUNED, values=[0.6, 0.8]), 1) == pytest.approx(0.7)
    assert reached(trial(0, None, PRUNED, curve=[0.5, 0.7, 0.6]), 1) == 0.7
    assert reached(trial(0, None, PRUNED, curve=[0.5, 0.7, 0.6]), -1) == 0.5
    assert reached(trial(0, None, FAILED), 1) is None


def test_reasons_that_differ_in_numbers_are_one(tmp_path):
    trials = [trial(i, None, PRUNED, reason=f"below the median {i / 10} at epoch {i}") for i in range(3)]
    trials += [
        trial(3, None, FAILED, reason="out of memory: 3 GB"),
        trial(4, None, FAILED, reason="out of memory: 3 GB"),
    ]
    result = of_trials(tmp_path, trials)
    ((reason, where),) = result.reasons(PRUNED)
    assert (reason, len(where)) == ("below the median … at epoch …", 3)
    assert [reason for reason, _ in result.reasons(FAILED)] == ["out of memory: 3 GB"]


def test_inflation_of_the_winner(result):
    """90% in the search and 89% fresh, less what the hand-tuned configuration lost, nothing."""
    inflation = result.chosen.inflation
    assert result.chosen.winner.number == 2
    assert (inflation.winner, *inflation.reference, inflation.corrected) == pytest.approx((0.01, 0.88, 0.88, 0.01))
    assert inflation.runs == 3
    # Differences 0.005, 0.01, 0.015; t = 4.303 with 2 degrees of freedom; 5 folds.
    half = 4.3027 * 0.005 * math.sqrt(1 / 3 + 1 / 4)
    assert inflation.interval == pytest.approx((0.01 - half, 0.01 + half), abs=1e-5)


def test_inflation_is_positive_where_the_search_looked_too_good_also_by_a_loss(tmp_path):
    make_search(
        tmp_path,
        "one",
        [trial(0, 0.40)],
        metric="val_loss",
        direction="minimize",
        reference=reference(0.5),
        final="final",
        fresh=FRESH,
    )
    make_final(tmp_path, "mlp/trial0", searched=[0.9, 0.9], hand=[0.9, 0.9])
    for cell, loss in (("trial0", 0.45), ("hand", 0.51)):
        for name in FRESH[:2]:
            RunFolder(tmp_path / "mlp" / cell / name).write_metrics(
                [{"epoch": 1, "val_loss": 9}, {"epoch": 2, "val_loss": loss}]
            )
    (result,) = searches_of(collect([tmp_path]))
    inflation = result.chosen.inflation
    assert (inflation.winner, *inflation.reference, inflation.corrected) == pytest.approx((0.05, 0.5, 0.51, 0.04))


def test_inflation_is_that_of_trainings_as_long_as_in_the_search(tmp_path):
    """The final trains for more epochs, so its runs are in other cells; the reference is not trained so yet."""
    make_search(tmp_path, "one", [trial(0, 0.9)], reference=reference(0.8), final="final", fresh=FRESH)
    make_run(tmp_path / "mlp" / "longer" / FRESH[0], first(50), 0.95, ("data.fold=1", "seed=1"))
    for i, name in enumerate(FRESH[:2]):
        make_run(tmp_path / "mlp" / "trial0" / name, first(50), 0.86, (f"data.fold={i + 1}", f"seed={i + 1}"))
    (result,) = searches_of(collect([tmp_path]))
    inflation = result.chosen.inflation
    assert (inflation.runs, inflation.fresh, inflation.interval) == (2, 0.86, None)
    assert (inflation.winner, inflation.reference) == (pytest.approx(0.04), None)


def test_without_a_final_the_best_search_is_chosen(tmp_path):
    searches = [
        (make_search(tmp_path, name, [trial(0, value)], seed=seed), tmp_path)
        for seed, (name, value) in enumerate((("a", 0.8), ("b", 0.9), ("c", None)))
    ]
    (result,) = searches_of(Collection([], [], searches))
    assert result.chosen.search.name == "b"
    assert result.chosen.inflation is None
    assert [one.search.name for one, _ in result.complete] == ["b", "a"]


def test_the_metric_of_a_run_is_that_of_its_best_epoch(tmp_path):
    make_run(tmp_path / "one", first(1), 0.9)
    (run,) = collect([tmp_path]).runs
    assert metric_of(run, "val_accuracy") == 0.9
    assert metric_of(run, "val_loss") == pytest.approx(0.7)
    assert metric_of(run, "val_nothing") is None


def test_the_pareto_front():
    points = [(5, 0.7), (1, 0.5), (2, 0.4), (3, 0.8), (3, 0.6), (9, 0.8)]
    front = pareto_front(CostPoint(None, None, macs, accuracy) for macs, accuracy in points)  # type: ignore[arg-type]
    assert [(point.macs, point.accuracy) for point in front] == [(1, 0.5), (3, 0.8)]


def test_costs_are_those_of_complete_trials_whose_runs_exist(result, tmp_path):
    macs = {point.trial.number: point.macs for point in result.costs}
    assert sorted(macs) == [0, 2, 4]
    assert macs[0] < macs[2] < macs[4]
    assert [point.trial.number for point in result.front] == [0, 2]
    assert result.reference_cost.accuracy == 0.88
    assert of_trials(tmp_path, [trial(0, 0.8)]).costs == []


def many(sign: int = 1) -> list[Trial]:
    """Trials whose value depends on the learning rate alone."""
    trials = []
    for i in range(60):
        lr, momentum = 10 ** (-4 + 4 * (i * 0.618 % 1)), i * 0.414 % 0.99
        own = {"optimizer": "sgd", "optimizer.momentum": momentum} if i % 2 else {"optimizer": "adam"}
        parameters = {**own, "optimizer.lr": lr, "model.neurons": 4 << i % 3}
        trials.append(trial(i, -sign * abs(math.log10(lr) + 2), parameters=parameters))
    return trials


@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_importance_finds_the_parameter_that_matters(tmp_path, direction):
    pytest.importorskip("optuna")
    search = make_search(tmp_path, "one", many(1 if direction == "maximize" else -1), direction=direction)
    shares = importance(search, search.trials)
    assert next(iter(shares)) == "optimizer.lr"
    assert shares["optimizer.lr"] > 0.5
    assert shares.keys() == search.space.keys()
    assert sum(shares.values()) == pytest.approx(1)


def test_importance_needs_trials_and_optuna(tmp_path, monkeypatch):
    search = make_search(tmp_path, "one", many())
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert importance(search, search.trials) is None
    monkeypatch.undo()
    pytest.importorskip("optuna")
    assert importance(search, search.trials[:5]) == {}


def test_numbers_of_trials(result):
    (one,) = result.outcomes
    assert [one.number(state) for state in (COMPLETE, PRUNED, FAILED, RUNNING)] == [3, 1, 1, 1]
    assert one.hours == 6
