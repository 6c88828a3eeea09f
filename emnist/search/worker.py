"""A worker of a search: takes trials, one after another, until none is left."""

import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from omegaconf import DictConfig, OmegaConf

from emnist.analysis.racing import gap, loses
from emnist.errors import UserError, describe
from emnist.runs.folder import RunFolder
from emnist.runs.identity import run_name
from emnist.runs.result import DIVERGED
from emnist.runs.search import COMPLETE, FAILED, PRUNED, Trial
from emnist.search.space import Space
from emnist.search.spec import SearchSpec
from emnist.search.trials import Claimed, Trials
from emnist.study.compose import Compose, fingerprint
from emnist.study.launch import locked
from emnist.study.overrides import merge
from emnist.study.planning import PlannedRun, planned_cell, planned_run
from emnist.training.job import run_job
from emnist.training.recorder import Recorder


@dataclass(frozen=True)
class Setting:
    """What the workers of a search have in common."""

    spec: SearchSpec
    space: Space
    fixed: dict[str, str]  # keys that are the same in all trials
    start: tuple[str, ...]  # overrides of every trial
    cells: Path  # absolute, the folder of the cells, in which search/<name> is the search's own
    epochs: int  # of a trial
    compose: Compose

    @property
    def folder(self) -> Path:
        return self.cells / "search" / self.spec.name

    def trials(self) -> Trials:
        return Trials(self.folder, self.spec, self.space, self.fixed, self.epochs)


class Worker:
    """The task that a launcher runs once per worker. Trials are taken by whoever is free, so none waits for others."""

    def __init__(self, setting: Setting):
        self.setting, self.spec = setting, setting.spec

    def __call__(self, cfg: DictConfig) -> None:
        """Raises UserError if the storage or a folder can't be written; a trial that fails is only recorded."""
        parent = os.getppid()
        while os.getppid() == parent and (claimed := self.trials.claim()) is not None:  # not without who started it
            try:
                self.train(claimed)
            finally:
                claimed.lock.release()

    @cached_property
    def trials(self) -> Trials:
        return self.setting.trials()

    def __getstate__(self) -> dict:
        return {"setting": self.setting, "spec": self.spec}  # each process opens the storage for itself

    def train(self, claimed: Claimed) -> None:
        """Train the runs of a trial until they are complete, or it is pruned or has failed."""
        try:
            cell = planned_cell(merge(self.setting.start, claimed.overrides), self.setting.compose, fingerprint)
        except UserError as error:
            return self.trials.end(claimed, FAILED, reason=str(error))
        runs = [planned_run(self.setting.cells, cell, fold, seed) for fold, seed in self.spec.runs]
        values: list[float] = []
        seconds = 0.0
        for i, run in enumerate(runs):
            reason = self.run(run, claimed if i == 0 else None)
            result = RunFolder(run.path).read_result()
            seconds += result.duration_s if result else claimed.seconds if i == 0 else 0.0
            about = {"cell": cell.id, "values": values, "seconds": seconds}
            if claimed.pruned_after is not None and result is None:
                best = (max if self.spec.direction == "maximize" else min)(claimed.curve)
                reason = f"{self.spec.pruner} after epoch {claimed.pruned_after}"
                return self.trials.end(claimed, PRUNED, **{**about, "values": [best]}, reason=reason)
            if result is None:
                return self.trials.end(claimed, FAILED, **about, reason=reason)
            curve = [row[self.spec.metric] for row in RunFolder(run.path).read_metrics()]
            if result.best_epoch is None:
                return self.trials.end(claimed, PRUNED, **about, reason=DIVERGED)
            values.append(curve[result.best_epoch - 1])
            if i == 0:
                self.trials.report(claimed, curve, result.duration_s)  # its last epoch, or all if it was trained before
            if i + 1 < len(runs) and (reason := self.lost(runs[: i + 1])):
                return self.trials.end(claimed, PRUNED, **about, reason=reason)
        self.trials.end(claimed, COMPLETE, **about)

    def run(self, run: PlannedRun, claimed: Claimed | None) -> str:
        """Train or resume a run; the first of a trial only as long as the pruner lets it. Returns why it failed."""

        def goes_on(recorder: Recorder) -> bool:
            assert claimed is not None
            return self.trials.report(claimed, [row[self.spec.metric] for row in recorder.rows], recorder.seconds)

        if claimed is not None and claimed.pruned_after is not None:  # before the process was killed
            return ""
        try:
            with locked(run.path):
                after_epoch = goes_on if claimed is not None else None
                run_job(OmegaConf.create(run.config), run.path, resume=True, quiet=True, after_epoch=after_epoch)
        except Exception as error:
            return describe(error)
        return ""

    def lost(self, runs: list[PlannedRun]) -> str:
        """Why the trial with these runs has lost against the best so far; empty if it has not."""
        images, best = self.spec.images, self.trials.incumbent()
        if images is None or best is None:
            return ""
        own = [right_in_validation(run.path) for run in runs]
        others = [right_in_validation(path) for path in paths_of(best, self.setting.cells, self.spec)[: len(runs)]]
        if any(right is None for right in (*own, *others)):  # of runs from before validation.npz
            return ""
        race = own, others, len(self.spec.runs) - 1, images.level, images.run_sd / 100
        if not loses(*race):  # type: ignore[arg-type]
            return ""
        difference, half = gap(*race)  # type: ignore[arg-type]
        after = f"{len(runs)} of {len(self.spec.runs)} runs"
        return f"{-100 * difference:.1f} ± {100 * half:.1f} points behind trial {best.number} after {after}"


def paths_of(trial: Trial, cells: Path, spec: SearchSpec) -> list[Path]:
    return [cells / str(trial.cell) / run_name(fold, seed) for fold, seed in spec.runs]


def right_in_validation(path: Path) -> np.ndarray | None:
    """Whether the run got each validation image right, bool [V]; None if that was not kept."""
    arrays = RunFolder(path).read_validation()
    return None if arrays is None else arrays[0] == arrays[1]
