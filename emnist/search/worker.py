"""A worker of a search: takes trials, one after another, until none is left."""

import os
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

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
from emnist.training.job import JobFailed, run_job

if TYPE_CHECKING:  # imports torch, which errors in the search's file needn't wait for
    from emnist.training.recorder import Recorder

FAILURES = 5  # in a row: then something other than the parameters is wrong


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
        self.only: int | None = None  # the number of the one trial to take

    def __call__(self, cfg: DictConfig) -> None:
        """Raises UserError if the storage can't be written, or if one trial after another fails."""
        parent = os.getppid()
        while os.getppid() == parent and (claimed := self.trials.claim(self.only)) is not None:  # while that is alive
            try:
                self.train(claimed)
            finally:
                claimed.lock.release()
            reasons = self.trials.failed_in_a_row()
            if len(reasons) >= FAILURES:
                raise UserError(f"the last {len(reasons)} trials failed ({reasons[-1]}); the same command goes on")

    @cached_property
    def trials(self) -> Trials:
        return self.setting.trials()

    def __getstate__(self) -> dict:
        return {name: value for name, value in vars(self).items() if name != "trials"}  # each opens the storage anew

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
            if claimed.pruned_after is not None:
                reason = f"{self.spec.pruner} after epoch {claimed.pruned_after}"
                return self.trials.end(claimed, PRUNED, cell=cell.id, seconds=claimed.seconds, reason=reason)
            result = RunFolder(run.path).read_result()
            seconds += result.duration_s if result else claimed.seconds if i == 0 else 0.0
            about = {"cell": cell.id, "values": values, "seconds": seconds}
            if result is None:
                return self.trials.end(claimed, FAILED, **about, reason=reason)
            best = RunFolder(run.path).read_best_epoch()
            if best is None:
                return self.trials.end(claimed, PRUNED, **about, reason=DIVERGED)
            values.append(best[self.spec.metric])
            if i + 1 < len(runs) and (lost := self.race(runs[: i + 1])) is not None:
                value, reason = lost
                return self.trials.end(claimed, PRUNED, **about, value=value, reason=reason)
        self.trials.end(claimed, COMPLETE, **about)

    def run(self, run: PlannedRun, claimed: Claimed | None) -> str:
        """Train or resume a run; the first of a trial only as long as the pruner lets it. Returns why it failed."""
        with locked(run.path):
            if claimed is not None and not self.replay(run.path, claimed):
                return ""
            after_epoch = partial(self.goes_on, claimed) if claimed is not None else None
            try:
                run_job(OmegaConf.create(run.config), run.path, resume=True, quiet=True, after_epoch=after_epoch)
            except JobFailed as error:
                return describe(error)
            result = RunFolder(run.path).read_result()
            if claimed is not None and result is not None:
                self.trials.report(claimed, self.curve(run.path), result.duration_s, is_last=True)
        return ""

    def replay(self, path: Path, claimed: Claimed) -> bool:
        """Hand the pruner what has been trained before, by whatever: it decides as if the trial were the first.

        Returns whether the run is to go on.
        """
        result = RunFolder(path).read_result()
        curve, seconds = (self.curve(path), result.duration_s) if result else self.interrupted(path)
        for epoch in range(claimed.asked + 1, len(curve) + (result is None)):
            if claimed.pruned_after is None:
                self.trials.report(claimed, curve[:epoch], seconds * epoch / len(curve), is_last=False)
        return claimed.pruned_after is None

    def interrupted(self, path: Path) -> tuple[list[float], float]:
        """The learning curve and the seconds of training of a run as last.ckpt has it, from which it is resumed."""
        import torch

        from emnist.inference.load import read_checkpoint
        from emnist.training.recorder import Recorder

        last = RunFolder(path).last
        if not last.exists():
            return [], 0.0
        recorded = read_checkpoint(last, torch.device("cpu"))["callbacks"][Recorder(RunFolder(path)).state_key]
        return [row[self.spec.metric] for row in recorded["rows"]], recorded["seconds"]

    def goes_on(self, claimed: Claimed, recorder: "Recorder") -> bool:
        curve = [row[self.spec.metric] for row in recorder.rows]
        return self.trials.report(claimed, curve, recorder.seconds, is_last=False)

    def curve(self, path: Path) -> list[float]:
        """The metric after each epoch of a run."""
        return [row[self.spec.metric] for row in RunFolder(path).read_metrics()]

    def race(self, runs: list[PlannedRun]) -> tuple[float, str] | None:
        """The accuracy to expect of a trial with these runs after all of them, and why it has lost against the best.

        None if it has not lost.
        """
        images, best = self.spec.images, self.trials.incumbent()
        if images is None or best is None or best.value is None:
            return None
        own = [right_in_validation(run.path) for run in runs]
        others = [right_in_validation(path) for path in paths_of(best, self.setting.cells, self.spec)[: len(runs)]]
        if any(right is None for right in (*own, *others)):  # of runs from before validation.npz
            return None
        race = own, others, len(self.spec.runs) - 1, images.level, images.run_sd / 100
        if not loses(*race):  # type: ignore[arg-type]
            return None
        difference, half = gap(*race)  # type: ignore[arg-type]
        after = f"{len(runs)} of {len(self.spec.runs)} runs"
        reason = f"{-100 * difference:.1f} ± {100 * half:.1f} points behind trial {best.number} after {after}"
        return best.value + difference, reason


def paths_of(trial: Trial, cells: Path, spec: SearchSpec) -> list[Path]:
    return [cells / str(trial.cell) / run_name(fold, seed) for fold, seed in spec.runs]


def right_in_validation(path: Path) -> np.ndarray | None:
    """Whether the run got each validation image right, bool [V]; None if that was not kept."""
    arrays = RunFolder(path).read_validation()
    return None if arrays is None else arrays[0] == arrays[1]
