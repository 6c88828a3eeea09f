"""Searches whose processes are killed, and those with several workers."""

import itertools
import signal
import time
from pathlib import Path

import pytest

from emnist.runs.search import RUNNING, Search
from tests.fixtures.commands import interrupted, kill_a_worker, run_command, start_command, wait_for
from tests.fixtures.searching import outcomes, search_of, write_search

LONG = ["trainer.max_epochs=6", "model.dropout=0.2"]  # so that a process can be killed in the middle of a run
TWO = ["hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory, glyphs) -> tuple[Path, list[str]]:
    """The folder of a search done in one go, and the arguments that run it. Read it, don't change it."""
    folder = tmp_path_factory.mktemp("whole")
    arguments = [*write_search(folder, folds=[0, 1], trials=5), *glyphs, *LONG]
    code, _, err = run_command(folder, *arguments)
    assert code == 0, err
    return folder, arguments


def found(folder: Path) -> Search | None:
    path = folder / "study" / "search" / "tiny_tpe_0" / "search.json"
    return Search.read(path) if path.exists() else None


def is_training(folder: Path, number: int) -> bool:
    """Whether a trial is in the middle of its first run."""
    search = found(folder)
    return search is not None and len(search.trials) > number and search.trials[number].state == RUNNING


def test_killed_again_and_again_it_finds_the_same(whole, tmp_path):
    folder, arguments = whole
    here = tmp_path / "killed"
    for number in (0, 1, 3):
        process = start_command(here, *arguments)
        wait_for(lambda number=number, process=process: is_training(here, number) or process.poll() is not None)
        time.sleep(0.2 * number)
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
    code, _, err = run_command(here, *arguments)
    assert code == 0, err
    assert "Traceback" not in err
    assert outcomes(search_of(here)) == outcomes(search_of(folder))


def test_a_killed_worker_is_replaced_and_two_workers_do_each_trial_once(whole, tmp_path):
    _, arguments = whole
    here = tmp_path / "here"
    process = start_command(here, *arguments, *TWO)
    wait_for(lambda: is_training(here, 1) or process.poll() is not None)
    kill_a_worker(process)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    search = search_of(here)
    assert [trial.number for trial in search.trials] == list(range(5))
    assert all(trial.state in ("complete", "pruned") for trial in search.trials)
    told = [line for line in err.splitlines() if line.startswith("tiny_tpe_0: trial ")]
    assert sorted(line.split()[2] for line in told) == list("01234")
    starts = sorted((trial.started, trial.ended) for trial in search.trials)
    assert any(begin < end for (_, end), (begin, _) in itertools.pairwise(starts))  # side by side


def test_ctrl_c(whole, tmp_path):
    here = tmp_path / "here"
    process = start_command(here, *whole[1], "trainer.max_epochs=500")
    wait_for(lambda: any(here.rglob("last.ckpt")) or process.poll() is not None)
    assert interrupted(process)[-1] == "search=tiny: interrupted; the same command resumes it"


def test_submitit(whole, tmp_path):
    """A cluster's launcher, with two workers."""
    _, arguments = whole
    code, _, err = run_command(tmp_path, *arguments, "hydra/launcher=submitit_local", "search.workers=2")
    assert code == 0, err
    assert [trial.state for trial in search_of(tmp_path).trials].count("running") == 0
    assert len(search_of(tmp_path).trials) == 5
