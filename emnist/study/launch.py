"""Hand the runs of a study to a Hydra launcher, and retry those whose process died."""

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from filelock import FileLock, Timeout
from hydra.core.hydra_config import HydraConfig
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig

from emnist.errors import UserError, describe
from emnist.runs.folder import RunFolder
from emnist.study.overrides import absolute, quoted
from emnist.study.planning import PlannedRun
from emnist.study.together import is_stackable
from emnist.training.job import run_job, run_together

Job = list[PlannedRun]  # one run, or several that are trained together


class Worker:
    """The task of a launcher: trains or resumes the runs of a job in the process that the launcher chose."""

    def __init__(self, stacks: bool = True) -> None:
        self.stacks = stacks  # whether MLPs are trained on stacked weights, even one alone
        self.together: dict[Path, list[Path]] = {}  # the folders of a job, by its first one

    def __call__(self, cfg: DictConfig) -> str | None:
        """Returns the error message if a run failed."""
        path = Path(HydraConfig.get().runtime.output_dir)  # absolute
        paths = self.together.get(path, [])
        try:
            with ExitStack() as locks:
                for each in sorted(paths or [path]):  # in the same order everywhere, so that no two wait for each other
                    locks.enter_context(locked(each))
                if paths:
                    run_together(paths)
                else:
                    run_job(cfg, path, resume=True, quiet=True)
        except Exception as error:
            return describe(error)
        return None


def locked(path: Path):
    """The lock of a run's folder, for which another process that is training it is waited for."""
    lock = FileLock(RunFolder(path).lock)
    try:
        return lock.acquire(timeout=0)
    except Timeout:
        print(f"{path}: waiting for another process that is training it", file=sys.stderr, flush=True)
        return lock.acquire()


def launch(jobs: Sequence[Job], launcher: Launcher, worker: Worker) -> None:
    """Train the runs of these jobs; each run ends with a result or a failure.

    If the launcher's processes die (a worker killed, no memory left, a cluster's limit), each run that had started is
    retried alone and the others as they were: a run whose process dies when it is alone has failed. Raises UserError
    if the launcher fails before any run starts.
    """
    batches = [list(jobs)]
    while batches:
        batch = unfinished(batches.pop(0))  # a cluster's other jobs continue while one is retried
        if not batch:
            continue
        runs = [run for job in batch for run in job]
        before = {run: RunFolder(run.path).last_write for run in runs}
        stacked = [job for job in batch if worker.stacks and is_stackable(job[0].config)]
        worker.together = {absolute(job[0].path): _prepared(job) for job in stacked}
        try:
            returned = launcher.launch([[*job[0].overrides, *placed(job[0].path)] for job in batch], initial_job_idx=0)
        except Exception as error:
            left = [run for job in unfinished(batch) for run in job]
            moved = [run for run in runs if RunFolder(run.path).last_write != before[run]]
            started = [run for run in left if run in moved]
            if left and not moved:  # else those that are left were waiting for runs that have ended
                raise UserError(f"launcher: {describe(error)}; the same command resumes the study") from error
            if len(runs) == len(started) == 1:
                _record_failure(started[0], f"its process died ({describe(error).partition('. ')[0]})")
            else:
                waiting = [[run for run in job if run not in started] for job in batch]
                batches = [*([[run]] for run in started), [job for job in waiting if job], *batches]
        else:
            for job, answer in zip(batch, returned, strict=True):
                for run in (run for left in unfinished([job]) for run in left):
                    _record_failure(run, answer.return_value)


def unfinished(jobs: Sequence[Job]) -> list[Job]:
    """The jobs with those of their runs that have neither a result nor a failure."""
    left = [[run for run in job if not RunFolder(run.path).has_ended] for job in jobs]
    return [job for job in left if job]


def _prepared(job: Job) -> list[Path]:
    """The folders of a job, absolute, each with the configuration of its run: the images may have moved since."""
    for run in job:
        RunFolder(run.path).write_config(run.config)
    return [absolute(run.path) for run in job]


def placed(path: Path) -> list[str]:
    path = absolute(path)  # a worker that is reused may stand in another folder
    return [f"hydra.sweep.dir={quoted(path.parent)}", f"hydra.sweep.subdir={path.name}"]


def _record_failure(run: PlannedRun, reason: str) -> None:
    RunFolder(run.path).write_failure(reason, run.config)
