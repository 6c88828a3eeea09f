"""Studies whose processes are killed or interrupted, against the same study trained in one go."""

import shutil
import subprocess
from pathlib import Path

import pytest

from emnist.reporting.write import write_report
from tests.fixtures.commands import interrupted, kill_a_worker, run_command, start_command, wait_for
from tests.fixtures.studies import ACTIVATION, NEURONS, metrics_of, results_of, write_study

LONG = ["trainer.max_epochs=200", "patience=null"]  # never finished


@pytest.fixture(scope="module")
def whole(tmp_path_factory, glyphs) -> tuple[Path, list[str]]:
    """The folder of a greedy study trained in one go, and the arguments that run it. Read it, don't change it."""
    folder = tmp_path_factory.mktemp("whole")
    arguments = write_study(folder, {"neurons": NEURONS, "activation": ACTIVATION}, mode="greedy")
    # Long enough that a process can be killed in the middle of a run.
    arguments = [*arguments, *glyphs, "trainer.max_epochs=20", "patience=null", "model.dropout=0.2"]
    code, _, err = run_command(folder, *arguments)
    assert code == 0, err
    return folder, arguments


def start(folder: Path, *arguments: str) -> subprocess.Popen:
    """Start a study and wait until a run has finished its first epoch."""
    process = start_command(folder, *arguments)
    wait_for(lambda: any(folder.rglob("last.ckpt")) or process.poll() is not None)
    return process


def results_csv(folder: Path, tmp_path: Path) -> str:
    write_report([folder / "study"], tmp_path / "report")
    return (tmp_path / "report" / "results.csv").read_text()


def test_killed_and_resumed_it_ends_the_same(whole, tmp_path):
    folder, arguments = whole
    process = start(tmp_path / "killed", *arguments)
    wait_for(lambda: results_of(tmp_path / "killed"))
    process.kill()
    process.communicate()
    assert 0 < len(results_of(tmp_path / "killed")) < len(results_of(folder))
    code, _, err = run_command(tmp_path / "killed", *arguments)
    assert code == 0
    assert not err.startswith("tiny: 0 of")
    assert metrics_of(tmp_path / "killed") == metrics_of(folder)
    assert results_csv(tmp_path / "killed", tmp_path) == results_csv(folder, tmp_path / "whole")


def test_a_killed_worker_is_replaced_and_two_workers_train_the_same(whole, tmp_path):
    folder, arguments = whole
    process = start(tmp_path / "here", *arguments, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2")
    kill_a_worker(process)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert err.splitlines()[-1] == "tiny: 6 of 6 runs done, 0 running, 0 failed"
    assert any("resumed after" in log.read_text() for log in (tmp_path / "here").rglob("train.log"))
    assert metrics_of(tmp_path / "here") == metrics_of(folder)


def test_ctrl_c(whole, tmp_path):
    process = start(tmp_path / "here", *whole[1], *LONG)
    assert interrupted(process)[-1] == "study=tiny: interrupted; the same command resumes it"


def test_submitit(whole, tmp_path):
    """A cluster's launcher; the trained runs are there, one is missing."""
    folder, arguments = whole
    shutil.copytree(folder / "study", tmp_path / "study")
    lost = sorted((tmp_path / "study").rglob("result.json"))[0].parent
    shutil.rmtree(lost)
    code, _, err = run_command(tmp_path, *arguments, "hydra/launcher=submitit_local")
    assert code == 0, err
    assert err.splitlines()[-1] == "tiny: 6 of 6 runs done, 0 running, 0 failed"
    assert metrics_of(tmp_path) == metrics_of(folder)
