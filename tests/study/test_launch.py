"""Launchers that die, and runs whose process does; nothing is trained."""

import re
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from filelock import FileLock
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn, JobStatus

from emnist.errors import UserError
from emnist.runs.folder import RunFolder
from emnist.study.launch import Worker, launch
from emnist.study.planning import PlannedRun
from emnist.study.progress import Progress
from tests.fixtures.configuration import configure
from tests.fixtures.studies import CONFIG, made_up_result


class MadeUpLauncher:
    """Its runs end in a moment. One that is `deadly` takes its process and all others with it, `failing` fails."""

    def __init__(self):
        self.batches: list[int] = []

    def launch(self, job_overrides, initial_job_idx):
        self.batches.append(len(job_overrides))
        return [self.train(self.folder(overrides)) for overrides in job_overrides]

    def folder(self, overrides: list[str]) -> RunFolder:
        place = {o.key_or_group: o.value() for o in OverridesParser.create().parse_overrides(overrides)}
        return RunFolder(Path(place["hydra.sweep.dir"]) / place["hydra.sweep.subdir"])

    def train(self, folder: RunFolder) -> JobReturn:
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.write_config(CONFIG)
        with folder.log.open("a") as log:
            log.write("started")
        if folder.path.name.startswith("deadly"):
            raise RuntimeError("The worker died. Details follow.")
        job = JobReturn(status=JobStatus.COMPLETED)
        if folder.path.name.startswith("failing"):
            job.return_value = "no space left"
        else:
            folder.write_result(made_up_result(CONFIG))
        return job


def runs_in(folder: Path, *names: str) -> list[PlannedRun]:
    return [PlannedRun(folder / name, ("model=mlp",), CONFIG) for name in names]


def launch_alone(runs: list[PlannedRun], launcher) -> None:
    launch([[run] for run in runs], launcher, Worker())


def test_a_run_that_kills_its_process_fails_alone(tmp_path, capsys):
    launcher, runs = MadeUpLauncher(), runs_in(tmp_path, "a", "b", "deadly1", "c", "deadly2", "d")
    with Progress("tiny") as progress, progress.watch([run.path for run in runs], later=0):
        launch_alone(runs, launcher)
    assert {run.path.name for run in runs if RunFolder(run.path).result.exists()} == set("abcd")
    reasons = {path.name: reason for path, reason in progress.failures.items()}
    assert reasons == dict.fromkeys(("deadly1", "deadly2"), "its process died (RuntimeError: The worker died)")
    assert capsys.readouterr().err.splitlines()[-1] == "tiny: 4 of 6 runs done, 0 running, 2 failed"
    assert launcher.batches == [6, 1, 3, 1, 1]


def test_an_error_that_a_run_returns_is_recorded(tmp_path):
    launch_alone(runs_in(tmp_path, "a", "failing"), MadeUpLauncher())
    failure = RunFolder(tmp_path / "failing").read_failure()
    assert failure is not None
    assert (failure.error, failure.config) == ("no space left", CONFIG)
    assert RunFolder(tmp_path / "a").read_failure() is None


def test_runs_that_end_while_another_is_retried_are_not_launched_again(tmp_path):
    class Cluster(MadeUpLauncher):
        def train(self, folder):
            if len(self.batches) == 2:  # the first batch's other job is still running, and ends now
                super().train(RunFolder(tmp_path / "b"))
            return super().train(folder)

    launcher = Cluster()
    launch_alone(runs_in(tmp_path, "deadly", "b"), launcher)
    assert launcher.batches == [2, 1]


def test_a_process_that_dies_between_two_runs(tmp_path):
    """After one has ended and before the next begins: what is left is launched again."""

    class Fragile(MadeUpLauncher):
        def launch(self, job_overrides, initial_job_idx):
            if not self.batches:
                self.batches.append(len(job_overrides))
                self.train(self.folder(job_overrides[0]))
                raise RuntimeError("The worker died.")
            return super().launch(job_overrides, initial_job_idx)

    launcher, runs = Fragile(), runs_in(tmp_path, "a", "b", "c")
    launch_alone(runs, launcher)
    assert all(RunFolder(run.path).result.exists() for run in runs)
    assert launcher.batches == [3, 2]


def test_a_launcher_that_cannot_start(tmp_path):
    class Unable:
        def launch(self, job_overrides, initial_job_idx):
            raise RuntimeError("no such cluster")

    message = "launcher: RuntimeError: no such cluster; the same command resumes the study"
    with pytest.raises(UserError, match=re.escape(message)):
        launch_alone(runs_in(tmp_path, "a", "b"), Unable())


@pytest.fixture
def hydra_job(monkeypatch, tmp_path):
    """Lets a worker train in tmp_path, as if Hydra had started it."""
    runtime = SimpleNamespace(runtime=SimpleNamespace(output_dir=str(tmp_path)))
    monkeypatch.setattr(HydraConfig, "get", lambda: runtime)
    return RunFolder(tmp_path)


def test_a_run_that_another_process_trains_is_left_to_it(hydra_job, capsys):
    returned = []
    with FileLock(hydra_job.lock):
        thread = threading.Thread(target=lambda: returned.append(Worker()(configure("model=mlp"))))
        thread.start()
        err = ""
        while "waiting" not in err:
            time.sleep(0.01)
            err += capsys.readouterr().err
        assert err == f"{hydra_job.path}: waiting for another process that is training it\n"
        hydra_job.write_result(made_up_result(CONFIG))  # the other one ends
    thread.join()
    assert returned == [None]
    assert "already finished" in hydra_job.log.read_text()
    FileLock(hydra_job.lock).acquire(timeout=0).lock.release()  # free again


def test_an_error_is_returned(hydra_job):
    error = Worker()(configure("model=mlp", "trainer.max_epochs=0"))
    assert error == "trainer.max_epochs=0: must be greater than or equal to 1"
    hydra_job.lock.unlink()
    hydra_job.lock.mkdir()
    assert "Is a directory" in (Worker()(configure("model=mlp")) or "")
