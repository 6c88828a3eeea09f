"""Studies whose values start from networks that the study trains first, on a few drawn characters."""

import json
import shutil
from pathlib import Path

import pytest

from emnist.runs.folder import RunFolder
from tests.fixtures.commands import error_line, run_command
from tests.fixtures.studies import cells_of, plan_of, results_of, write_study

SOURCES = {"few": ["data.per_class=2"], "fold": "data.fold=1"}
START = {
    "fresh": {"set": "init=none"},
    "few, frozen": {"init": "few", "set": "init.freeze=features"},
    "few": {"init": "few"},
    "fold": {"init": "fold", "settings": "lo*"},
}
SETTINGS = {"short": "optimizer.lr=0.01", "long": "optimizer.lr=0.02"}
GIVEN = {"sources": SOURCES, "settings": SETTINGS, "folds": [0]}


@pytest.fixture(scope="module")
def trained_study(tmp_path_factory, glyphs) -> tuple[Path, str]:
    """A folder with a finished study, and what it printed to stderr. Read it, don't change it."""
    folder = tmp_path_factory.mktemp("it's a study")  # a name to be quoted
    code, _, err = run_command(folder, *write_study(folder, {"start": START}, **GIVEN), *glyphs)
    assert code == 0, err
    return folder, err


def test_sources_are_trained_first_and_values_start_from_them(trained_study):
    folder, err = trained_study
    plan, results = plan_of(folder), results_of(folder)
    assert [(name, source.overrides, source.run) for name, source in plan.sources.items()] == [
        ("few", ["data.per_class=2"], "all_seed0"),
        ("fold", ["data.fold=1"], "fold1_seed0"),
    ]
    assert [[value.label for value in factor.values] for factor in plan.factors] == [list(START)[:3], list(START)]
    few = plan.sources["few"]
    source = results[f"{few.cell}/{few.run}"]
    assert source.init is None
    assert (source.config["data"]["fold"], source.config["data"]["per_class"]) == (None, 2)
    for factor in plan.factors:
        for value in factor.values:
            init = results[f"{value.cell}/fold0_seed0"].init
            planned = plan.sources[value.init] if value.init else None
            expected = str(folder / "study" / planned.cell / planned.run) if planned else None
            assert (init.run if init else None) == expected
    assert len(results) == 2 + 3 + 4
    assert "9 of 9 runs done" in err


def test_a_study_with_sources_resumes(trained_study, tmp_path, glyphs):
    folder = tmp_path / "again"
    shutil.copytree(trained_study[0], folder)
    plan = plan_of(folder)
    lost = RunFolder(folder / "study" / (plan.factors[1].values[2].cell or "") / "fold0_seed0")
    lost.result.unlink()
    code, _, err = run_command(folder, *write_study(folder, {"start": START}, **GIVEN), *glyphs)
    assert code == 0, err
    assert lost.result.exists()
    assert cells_of(plan_of(folder)) == cells_of(plan)  # they start from the same bits, in another folder


def test_without_a_network_its_values_are_not_trained(command, tmp_path, glyphs):
    sources = {"good": "data.per_class=2", "bad": "optimizer.lr=-1"}
    start = {"fresh": {"set": "init=none"}, "good": {"init": "good"}, "bad": {"init": "bad"}}
    code, _, err = command(*write_study(tmp_path, {"start": start}, sources=sources, folds=[0]), *glyphs)
    assert code == 1
    (line,) = [line for line in err.splitlines() if "no network from source" in line]
    assert line.startswith("study=tiny: no network from source bad (")
    assert "optimizer.lr=-1: must be" in line
    assert line.endswith("the values that start from it (1) are not trained")
    cells = cells_of(plan_of(tmp_path))
    assert cells["bad"] == ""
    assert set(results_of(tmp_path)) == {
        f"{plan_of(tmp_path).sources['good'].cell}/all_seed0",
        f"{cells['fresh']}/fold0_seed0",
        f"{cells['good']}/fold0_seed0",
    }


def test_only_the_sources_that_are_needed_are_trained(command, tmp_path, glyphs):
    given = {**GIVEN, "only": ["short", "start/fresh", "start/few"]}
    code, _, err = command(*write_study(tmp_path, {"start": START}, **given), *glyphs)
    assert code == 0, err
    sources = plan_of(tmp_path).sources
    assert RunFolder(tmp_path / "study" / sources["few"].cell / sources["few"].run).result.exists()
    assert not (tmp_path / "study" / sources["fold"].cell).exists()
    assert len(results_of(tmp_path)) == 3


def test_a_greedy_study_goes_on_from_the_best_start(command, tmp_path, glyphs):
    factors = {
        "start": {"fresh": {"set": "optimizer.lr=0"}, "few": {"init": "few"}},
        "dropout": {"none": {"set": "model.dropout=0"}, "0.1": {"set": "model.dropout=0.1"}},
    }
    given = {"sources": {"few": "trainer.max_epochs=2"}, "folds": [0]}
    code, _, err = command(*write_study(tmp_path, factors, mode="greedy", **given), *glyphs)
    assert code == 0, err
    start, dropout = plan_of(tmp_path).factors
    cells = {value.label: value.cell for value in start.values}
    assert (start.chosen, dropout.reference) == ("few", cells["few"])
    assert all(results_of(tmp_path)[f"{value.cell}/fold0_seed0"].init for value in dropout.values)


def test_a_study_that_decides(command, tmp_path, glyphs):
    start = {"fresh": {"set": "init=none"}, "few": {"init": "few"}}
    given = {"sources": {"few": "data.per_class=2"}, "folds": [0, 1], "decide": True, "looks": [2, 4], "max_runs": 4}
    code, _, err = command(*write_study(tmp_path, {"start": start}, **given), *glyphs)
    assert code == 0, err
    plan = plan_of(tmp_path)
    assert plan.comparisons == 1
    assert len(results_of(tmp_path)) == 5  # the source isn't one of the four


@pytest.mark.parametrize(
    ("sources", "value", "message"),
    [
        ({"few": "data.per_klass=2"}, {"init": "few"}, "study=tiny: sources.few: data.per_klass: no such key"),
        ({"few": "data.per_class=9000"}, {"init": "few"}, "study=tiny: sources.few: data.per_class=9000: the smallest"),
        ({"few": "seed=1"}, {"init": "few"}, "study.sources.few=seed=1: not for a study's values"),
        ({"few": []}, {"init": "many"}, "study=tiny: start/a: init=many: unknown; choose one of few"),
        ({}, {"init": "few"}, "study=tiny: start/a: init=few: unknown; choose one of those of study.sources"),
        ({"few": []}, {"init": "few", "set": "init.frieze=all"}, "study=tiny: start/a: init.frieze: no such key"),
        ({"few": "model.neurons=9"}, {"init": "few"}, "its network has model.neurons=9, not model.neurons=16"),
        (
            {"few": []},
            {"init": "few", "settings": "x*"},
            "start/a: settings=x*: unknown; choose one of those of study.se",
        ),
    ],
)
def test_errors_come_before_training(command, tmp_path, glyphs, sources, value, message):
    code, _, err = command(*write_study(tmp_path, {"start": {"a": value}}, sources=sources, folds=[0]), *glyphs)
    assert code == 1
    assert message in error_line(err)
    assert not list(tmp_path.rglob("train.log"))


def test_a_plan_without_sources_is_read(trained_study, tmp_path):
    content = json.loads((trained_study[0] / "study" / "tiny.json").read_text())
    del content["sources"]
    for value in (value for factor in content["factors"] for value in factor["values"]):
        del value["init"]
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "tiny.json").write_text(json.dumps(content))
    assert plan_of(tmp_path).sources == {}
