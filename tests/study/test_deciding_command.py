"""A study that decides, through the command line, on a few drawn characters."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from emnist.analysis.collection import collect
from emnist.analysis.comparison import compare
from tests.fixtures.commands import environment, error_line, run_command
from tests.fixtures.studies import metrics_of, plan_of, results_of, write_study

RATES = {"0.1": {"set": "optimizer.lr=0.1"}, "low": {"set": "optimizer.lr=1e-5"}, "0.09": {"set": "optimizer.lr=0.09"}}
DECIDING = {"decide": True, "looks": [2, 4], "reference_times": 2, "delta": 1.0, "folds": [0, 1, 2]}


@pytest.fixture(scope="module")
def whole(tmp_path_factory, glyphs) -> tuple[Path, list[str], str]:
    """The folder of a study that decided in one go, the arguments that run it, and what it said. Don't change it."""
    folder = tmp_path_factory.mktemp("deciding")
    arguments = [*write_study(folder, {"rate": RATES}, **DECIDING), *glyphs, "optimizer=sgd", "optimizer.lr=0.1"]
    arguments = [*arguments, "trainer.max_epochs=15", "patience=null"]
    code, out, err = run_command(folder, *arguments)
    assert code == 0, err
    return folder, arguments, out + err


def verdicts_of(folder: Path) -> dict[str, str]:
    collection = collect([folder / "study"])
    ((plan, path),) = collection.studies
    return {row.label: row.difference.verdict for _, row in compare(plan, path, collection).rows if row.difference}


def test_it_says_what_it_expects_and_where_it_stands(whole):
    folder, _, said = whole
    assert "tiny: 2 comparisons, expected to take about" in said
    assert "tiny: after 8 runs" in said
    assert verdicts_of(folder)["low"] == "worse"
    assert "worse" in said


def test_killed_and_resumed_it_comes_to_the_same(whole, tmp_path):
    folder, arguments, _ = whole
    here = tmp_path / "killed"
    here.mkdir()
    command = [sys.executable, "-m", "emnist.train", *arguments]
    process = subprocess.Popen(
        command, cwd=here, env=environment(), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    while not any(here.rglob("last.ckpt")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert len(results_of(here)) < len(results_of(folder))
    code, _, err = run_command(here, *arguments)
    assert code == 0, err
    assert metrics_of(here) == metrics_of(folder)
    assert plan_of(here) == plan_of(folder)
    assert verdicts_of(here) == verdicts_of(folder)


def test_two_workers_come_to_the_same(whole, tmp_path):
    folder, arguments, _ = whole
    code, _, err = run_command(tmp_path, *arguments, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    assert code == 0, err
    assert metrics_of(tmp_path) == metrics_of(folder)
    assert plan_of(tmp_path) == plan_of(folder)


def test_a_budget_that_ends(whole, tmp_path):
    _, arguments, _ = whole
    code, out, err = run_command(tmp_path, *arguments, "+study.max_runs=6")
    assert code == 0, err
    assert len(results_of(tmp_path)) == 6
    assert "the budget ended before" in out


def test_a_wrong_budget(whole, tmp_path):
    code, _, err = run_command(tmp_path, *whole[1], "+study.budget=soon")
    assert code == 1
    assert error_line(err) == "error: study.budget=soon: must be a time such as 4h, 30m or 90s"
