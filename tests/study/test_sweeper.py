"""Studies through the command line, on a few drawn characters."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from emnist.runs.folder import RunFolder
from tests.fixtures.commands import environment, error_line, run_command
from tests.fixtures.studies import (
    ACTIVATION,
    NEURONS,
    REFERENCE,
    cells_of,
    plan_of,
    results_of,
    write_study,
)

FACTORS = {"neurons": NEURONS, "activation": ACTIVATION}


@pytest.fixture(scope="module")
def around(tmp_path_factory, glyphs) -> tuple[Path, str, str]:
    """A folder with a finished study of FACTORS, and what it printed. Read it, don't change it."""
    folder = tmp_path_factory.mktemp("around")
    code, out, err = run_command(folder, *write_study(folder, FACTORS), *glyphs)
    assert code == 0, err
    return folder, out, err


@pytest.fixture
def study(around, tmp_path, glyphs):
    """Writes a study in tmp_path, where the cells of `around` are trained, and returns the arguments that run it."""
    shutil.copytree(around[0] / "study", tmp_path / "study")
    return lambda *given, **rest: [*write_study(tmp_path, *given, **rest), *glyphs]


@pytest.fixture
def untrained(tmp_path, glyphs):
    """Writes a study in tmp_path and returns the arguments that run it."""
    return lambda *given, **rest: [*write_study(tmp_path, *given, **rest), *glyphs]


def test_what_a_study_trains_and_prints(around):
    folder, out, err = around
    cells, results = cells_of(plan_of(folder)), results_of(folder)
    assert set(results) == {f"{cell}/fold{fold}_seed{fold}" for cell in set(cells.values()) for fold in (0, 1)}
    config = results[f"{cells['8']}/fold1_seed1"].config
    assert plan_of(folder).overrides[: len(REFERENCE)] == REFERENCE
    assert (config["model"]["neurons"], config["model"]["activation"], config["data"]["fold"]) == (8, "elu", 1)
    assert "activation" in out
    assert "2/2" in out
    lines = err.splitlines()
    assert all(line.startswith("tiny: ") for line in lines)  # each run's own messages are in its train.log
    assert lines[0] == "tiny: 0 of 6 runs done, 0 running, 0 failed"
    assert any(re.search("[1-5] of 6 runs done, .* left", line) for line in lines)
    assert lines[-1] == "tiny: 6 of 6 runs done, 0 running, 0 failed"
    log = RunFolder(folder / "study" / cells["8"] / "fold1_seed1").log.read_text()
    assert "epoch" in log


def test_a_finished_study_trains_nothing(command, study, tmp_path):
    arguments = study(FACTORS)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "study").rglob("*.ckpt")}
    code, _, err = command(*arguments)
    assert code == 0
    assert err.splitlines() == ["tiny: 6 of 6 runs done, 0 running, 0 failed"]
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "study").rglob("*.ckpt")}


def test_only_what_is_missing_is_trained(command, study, tmp_path):
    width = {"wide": {"set": "model.neurons=16"}, "12": {"set": "model.neurons=12"}}
    before = set(results_of(tmp_path))
    code, _, err = command(*study({"width": width}), "study.folds=[0]")
    assert code == 0
    assert err.splitlines()[0] == "tiny: 1 of 2 runs done, 0 running, 0 failed"
    assert set(results_of(tmp_path)) - before == {f"{cells_of(plan_of(tmp_path))['12']}/fold0_seed0"}


def test_images_identify_a_cell_and_their_folder_does_not(command, study, tmp_path):
    arguments = study({"neurons": {"16": NEURONS["16"]}}, folds=[0])
    cell = plan_of(tmp_path).reference
    assert command(*arguments, f"data.root={tmp_path / 'elsewhere'}")[0] == 0
    assert plan_of(tmp_path).reference == cell
    code, _, err = command(*arguments, "data.glyph_seed=1", "data.train_per_class=10")
    assert code == 0
    assert err.splitlines()[0] == "tiny: 0 of 1 runs done, 0 running, 0 failed"
    assert plan_of(tmp_path).reference != cell


def test_a_failing_cell_fails_alone_and_gets_another_chance(command, study, tmp_path):
    factors = {"dropout": {"too much": {"set": "model.dropout=2"}, "none": {"set": "model.dropout=0"}}}
    arguments = study(factors, folds=[0])
    for _ in range(2):
        code, out, err = command(*arguments)
        assert code == 1
        (failed,) = [line for line in err.splitlines() if line.startswith("failed: ")]
        assert failed.endswith(": model.dropout=2: must be less than 1")
        assert "Traceback" not in err
        assert err.splitlines()[-1] == "tiny: 1 of 2 runs done, 0 running, 1 failed"
        assert "0/1" in out
    failure = RunFolder(tmp_path / "study" / cells_of(plan_of(tmp_path))["too much"] / "fold0_seed0").read_failure()
    assert failure is not None
    assert failure.config["model"]["dropout"] == 2


def test_a_diverging_cell_is_a_result(command, study, tmp_path):
    arguments = study({"rate": {"wild": {"set": ["optimizer=sgd", "optimizer.lr=1e30"]}}}, mode="greedy", folds=[0])
    code, out, err = command(*arguments)
    assert code == 0, err
    plan = plan_of(tmp_path)
    assert results_of(tmp_path)[f"{cells_of(plan)['wild']}/fold0_seed0"].stopped == "diverged"
    assert plan.factors[0].chosen == "as before"
    assert re.search("as before [*] ←", out)


def test_greedy_without_a_validation_accuracy(command, untrained):
    arguments = untrained({"rate": {"wild": {"set": "optimizer.lr=1e31"}}}, mode="greedy", folds=[0])
    code, _, err = command(*arguments, "optimizer=sgd", "optimizer.lr=1e30")
    assert code == 1
    assert "error: study=tiny: rate: no value has a validation accuracy in every run" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["study.mode=random"], "study.mode=random: must be 'around' or 'greedy'"),
        (["data.folds=many"], "data.folds=many: must be a valid integer"),
        (["data.folds=1000"], "study=tiny: invalid reference: data.folds"),
        (["trainer.max_epochs=0"], "study=tiny: invalid reference: trainer.max_epochs=0"),
        (["threads=0"], "study=tiny: invalid reference: threads=0"),
        (["model.dropout=2"], "study=tiny: invalid reference: model.dropout=2"),
        (["model=cnn"], "study=tiny: model.hidden_layers: no such key here"),
        (["model.neuron=8"], "model.neuron: no such key here"),
        (["seed=1,2"], "seed=1,2: use study.folds=[…] or study.seeds=[…]"),
    ],
)
def test_mistakes_are_reported_before_anything_is_trained(command, untrained, tmp_path, arguments, message):
    code, _, err = command(*untrained(FACTORS), *arguments)
    assert code == 1
    assert error_line(err).startswith(f"error: {message}")
    assert not (tmp_path / "study").exists()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.neuron=3", "model.neuron: no such key here"),
        ("optimizer=adamant", "optimizer=adamant: unknown; choose one of adam"),
        ("model.neurons=[1", "model.neurons=[1: invalid syntax"),
        ("seed=1", "set=seed=1: not for a study's values"),
    ],
)
def test_an_invalid_value_is_named(command, untrained, override, message):
    code, _, err = command(*untrained({"a": {"b": {"set": override}}}))
    assert code == 1
    assert error_line(err).startswith(f"error: study=tiny: a/b: {message}")


def test_a_study_of_the_reference_report_with_another_model(command, glyphs, tmp_path):
    code, _, err = command("-m", "study=mlp", *glyphs, "model=cnn")
    assert code == 1
    assert error_line(err).startswith("error: study=mlp: ")
    assert not list(tmp_path.rglob("failure.json"))


def test_one_study_at_a_time(command):
    code, _, err = command("-m", "study=mlp,cnn", "data=glyphs")
    assert code == 1
    assert "error: study=mlp: give one study" in err
    assert "Traceback" not in err


def test_a_study_needs_a_multirun(command):
    code, _, err = command("study=mlp")
    assert code == 1
    assert error_line(err) == "error: study=mlp: a study is many runs; add -m"


def test_the_sweeper_needs_a_study(command):
    code, _, err = command("-m", "hydra/sweeper=study", "data=glyphs")
    assert code == 1
    assert error_line(err).startswith("error: hydra/sweeper=study: no study chosen")


def test_hydra_finds_the_sweeper_without_loading_it(tmp_path):
    """Hydra imports its plugins for every command; torch, pydantic and the rest would make --help slow."""
    script = (
        "import sys; from hydra.core.plugins import Plugins; "
        "print('hydra_plugins.emnist_study.StudySweeper' in Plugins.instance().class_name_to_class, "
        "sorted({'torch', 'pydantic', 'pandas', 'scipy', 'numpy'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment(), capture_output=True, text=True
    )
    assert done.stdout == "True []\n", done.stderr
