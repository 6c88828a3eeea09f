"""Hand the runs of a study to a Hydra launcher, and retry those whose process died."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from filelock import FileLock, Timeout
from hydra.core.hydra_config import HydraConfig
from hydra.plugins.launcher import Launcher
from omegaconf import DictConfig, OmegaConf

from emnist.errors import UserError, describe
from emnist.runs.folder import RunFolder
from emnist.study.overrides import quoted
from emnist.study.planning import PlannedRun
from emnist.training.job import run_job


def train_run(cfg: DictConfig) -> str | None:
    """Train or resume one run in the process that the launcher chose. Returns the error message if it failed."""
    folder = RunFolder(HydraConfig.get().runtime.output_dir)
    lock = FileLock(folder.lock)
    try:
        try:
            held = lock.acquire(timeout=0)
        except Timeout:
            print(f"{folder.path}: waiting for another process that is training it", file=sys.stderr, flush=True)
            held = lock.acquire()
        with held:
            run_job(cfg, folder.path, resume=True, quiet=True)
    except Exception as error:
        return describe(error)
    return None


def launch(runs: Sequence[PlannedRun], launcher: Launcher) -> None:
    """Train these runs; each ends with a result or a failure.

    If the launcher's processes die (a worker killed, no memory left, a cluster's limit), each run that had started is
    retried alone and the others together: a run whose process dies when it is alone has failed. Raises UserError if
    the launcher fails before any run starts.
    """
    batches = [list(runs)]
    while batches:
        batch = unfinished(batches.pop(0))  # a cluster's other jobs continue while one is retried
        if not batch:
            continue
        before = {run: RunFolder(run.path).last_write for run in batch}
        try:
            returned = launcher.launch([[*run.overrides, *_placed(run.path)] for run in batch], initial_job_idx=0)
        except Exception as error:
            left = unfinished(batch)
            started = [run for run in left if RunFolder(run.path).last_write != before[run]]
            if left and not started:
                raise UserError(f"launcher: {describe(error)}; the same command resumes the study") from error
            if len(batch) == len(started) == 1:
                _record_failure(started[0].path, f"its process died ({describe(error).partition('. ')[0]})")
            else:
                waiting = [run for run in left if run not in started]
                batches = [*([run] for run in started), waiting, *batches]
        else:
            for run, job in zip(batch, returned, strict=True):
                if not RunFolder(run.path).has_ended:
                    _record_failure(run.path, job.return_value)


def unfinished(runs: Sequence[PlannedRun]) -> list[PlannedRun]:
    return [run for run in runs if not RunFolder(run.path).has_ended]


def _placed(path: Path) -> list[str]:
    return [f"hydra.sweep.dir={quoted(path.parent)}", f"hydra.sweep.subdir={path.name}"]


def _record_failure(path: Path, reason: str) -> None:
    folder = RunFolder(path)
    folder.write_failure(reason, cast(dict[str, Any], OmegaConf.to_container(folder.read_config(), resolve=True)))
