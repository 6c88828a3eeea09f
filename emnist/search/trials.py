"""The trials of a search, which its workers share: Optuna's storage, changed under a lock.

Whatever a worker is doing when it is killed, the trial stays RUNNING and its lock is free. The next worker takes it up
and finds the runs that it has trained. A sampler is seeded anew for each trial and sees the trials that came before,
so with one worker a search that was killed goes on as it would have.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from pathlib import Path
from statistics import fmean
from typing import Any

import optuna
from filelock import FileLock, Timeout
from optuna.trial import FrozenTrial, TrialState

from emnist.errors import UserError
from emnist.runs.identity import run_name
from emnist.runs.search import COMPLETE, FAILED, PRUNED, RUNNING, Scalar, Search, State, Trial
from emnist.search.samplers import Listed, build_pruner, build_sampler
from emnist.search.space import Space, grid, overrides_of, suggest
from emnist.search.spec import SearchSpec
from emnist.search.tensorboard import log_trial

STATES = {PRUNED: TrialState.PRUNED, FAILED: TrialState.FAIL}  # of trials without a value


@dataclass
class Claimed:
    """A trial that this process is training."""

    number: int
    id: int  # in the storage
    parameters: dict[str, Scalar]
    overrides: list[str]
    lock: FileLock
    curve: list[float]  # the metric after each epoch of the first run
    asked: int  # epochs after which the pruner has been asked
    seconds: float  # of that run's training
    pruned_after: int | None  # epochs


class Trials:
    """The trials in the folder of a search. `fixed` are the keys that all trials share, with their values as text."""

    def __init__(self, folder: Path, spec: SearchSpec, space: Space, fixed: Mapping[str, str], epochs: int):
        self.folder, self.spec, self.space, self.fixed, self.epochs = folder, spec, space, fixed, epochs
        self.storage, self.record = folder / "optuna.db", folder / "search.json"
        self.lock = FileLock(folder / ".lock")  # for each access: SQLite's own is not safe on all file systems
        self.points = grid(space, fixed, spec.seed) if spec.sampler == "grid" else []
        self.pruner = build_pruner(spec.pruner, spec.pruners.get(spec.pruner, {}), epochs)

    @cached_property
    def study(self) -> optuna.Study:
        """Optuna's study. Raises UserError if the storage can't be read."""
        optuna.logging.set_verbosity(optuna.logging.ERROR)  # it would warn of trials that continue after a kill
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.lock:
            try:
                storage = optuna.storages.RDBStorage(f"sqlite:///{self.storage}")
                return optuna.create_study(
                    storage=storage, study_name=self.spec.name, direction=self.spec.direction, load_if_exists=True
                )
            except Exception as error:
                reason = " ".join(str(error).split())
                raise UserError(
                    f"{self.storage}: can't be used ({reason}); delete {self.folder} to start again"
                ) from error

    def begin(self, overrides: Sequence[str], space_name: str) -> None:
        """Start the search or go on with it. Raises UserError, naming the key, if it has other settings than before."""
        settings: dict[str, Any] = {"space": {name: one.model_dump() for name, one in self.space.items()}}
        settings |= {"overrides": [text for text in overrides if not text.startswith("data.root=")]}
        settings |= self.spec.settings
        runs = [run_name(*run) for run in self.spec.runs]
        with self.lock:
            before = self.study.user_attrs.get("settings")
            if before is None:
                self.study.set_user_attr("settings", settings)
            elif changed := [key for key in settings if key in before and before[key] != settings[key]]:
                raise UserError(
                    f"search.name={self.spec.name}: {self.folder} was started with other settings "
                    f"({difference(changed[0], before[changed[0]], settings[changed[0]])}); give this search another "
                    "search.name, or delete that folder"
                )
            self.describe(space_name=space_name, overrides=list(overrides), runs=runs)

    def describe(self, **about: Any) -> None:
        """Enter what search.json says of the whole search."""
        with self.lock:
            self.study.set_user_attr("about", {**self.study.user_attrs.get("about", {}), **about})
            self.export()

    def claim(self, only: int | None = None) -> Claimed | None:
        """A trial that was interrupted, or the next one; None if there is none left to start.

        With `only` that one, if it was interrupted.
        """
        with self.lock:
            for trial in self.running():
                lock = self.trial_lock(trial.number)
                try:
                    lock.acquire(timeout=0)
                except Timeout:  # another process is training it
                    continue
                if only in (None, trial.number):
                    return self.prepared(trial.number, trial._trial_id, lock)
                lock.release()
            if self.is_over or only is not None:
                return None
            asked = self.study.ask()  # the sampler is asked for the parameters in `prepared`
            lock = self.trial_lock(asked.number)
            lock.acquire()
            return self.prepared(asked.number, asked._trial_id, lock)

    def prepared(self, number: int, id: int, lock: FileLock) -> Claimed:
        """Suggest the parameters of a trial; one that has them keeps them."""
        spec, storage = self.spec, self.study._storage
        if spec.sampler == "grid":
            self.study.sampler = Listed(self.points[number])
        else:
            self.study.sampler = build_sampler(spec.sampler, spec.samplers.get(spec.sampler, {}), spec.seed, number)
        parameters = suggest(optuna.Trial(self.study, id), self.space, self.fixed)
        overrides = overrides_of(parameters, self.space)
        known = storage.get_trial(id)
        attributes = known.user_attrs
        self.set(id, starts=attributes.get("starts", 0) + 1, parameters=parameters, overrides=overrides)
        self.export()
        return Claimed(
            number,
            id,
            parameters,
            overrides,
            lock,
            curve=[value for _, value in sorted(known.intermediate_values.items())],
            asked=attributes.get("asked", 0),
            seconds=attributes.get("seconds", 0.0),
            pruned_after=attributes.get("pruned_after"),
        )

    def report(self, claimed: Claimed, curve: Sequence[float], seconds: float, is_last: bool) -> bool:
        """Enter the learning curve of a trial's first run. Returns whether the run is to go on.

        The pruner is asked once an epoch, but not after the last.
        """
        storage = self.study._storage
        with self.lock:
            for epoch in range(len(claimed.curve) + 1, len(curve) + 1):
                storage.set_trial_intermediate_value(claimed.id, epoch, curve[epoch - 1])
            claimed.curve, claimed.seconds, claimed.asked = list(curve), seconds, len(curve)
            self.set(claimed.id, seconds=seconds)
            if not is_last and self.pruner.prune(self.study, storage.get_trial(claimed.id)):
                claimed.pruned_after = len(curve)
                self.set(claimed.id, pruned_after=claimed.pruned_after)
            self.set(claimed.id, asked=claimed.asked)  # last: after a kill the pruner is asked again
        return claimed.pruned_after is None

    def end(self, claimed: Claimed, state: State, **about: Any) -> None:
        """Enter how a trial ended: its `cell`, the `values` of its runs, `seconds` of training, a `reason`.

        One that lost a race also has a `value`, what it would have had after all runs. To Optuna it is a complete trial
        with this value, since the median pruner and most samplers learn from no others.
        """
        with self.lock:
            self.tell(claimed.number, claimed.id, state, **about)

    def tell(self, number: int, id: int, state: State, **about: Any) -> None:
        values = about.get("values", [])
        value = fmean(values) if state == COMPLETE else about.get("value")
        self.set(id, **{"reason": "", **about, "value": value, "state": state})
        self.study.tell(number, value, state=TrialState.COMPLETE if value is not None else STATES[state])
        self.export()

    def fail(self, number: int, reason: str) -> None:
        """Enter a trial whose process died as failed."""
        with self.lock:
            for trial in self.running():
                if trial.number == number:
                    self.tell(number, trial._trial_id, FAILED, reason=reason)

    def incumbent(self) -> Trial | None:
        """The best complete trial so far."""
        with self.lock:
            return self.as_record().best

    def failed_in_a_row(self) -> list[str]:
        """Why the trials that ended last have failed, the last one last."""
        with self.lock:
            ended = [trial for trial in self.as_record().trials if trial.state != RUNNING]
        ended.sort(key=lambda trial: trial.ended or 0.0, reverse=True)
        return [trial.reason for trial in takewhile(lambda trial: trial.state == FAILED, ended)][::-1]

    @property
    def is_over(self) -> bool:
        """Whether no further trial is to be started."""
        with self.lock:
            trials = self.study.get_trials(deepcopy=False)
        spent = sum(trial.user_attrs.get("seconds", 0.0) for trial in trials)
        return len(trials) >= (self.planned or math.inf) or (self.spec.budget is not None and spent >= self.spec.budget)

    @property
    def planned(self) -> int | None:
        """How many trials there are to be; None if only the budget limits them."""
        return min((limit for limit in (self.spec.trials, len(self.points)) if limit), default=None)

    def running(self) -> list[FrozenTrial]:
        with self.lock:
            return self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))

    def starts(self) -> dict[int, int]:
        """How often each trial that has not ended was started."""
        return {trial.number: trial.user_attrs.get("starts", 0) for trial in self.running()}

    def trial_lock(self, number: int) -> FileLock:
        path = self.folder / "trials" / f"{number:03}" / ".lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(path)

    def set(self, id: int, **attributes: Any) -> None:
        for name, value in attributes.items():
            self.study._storage.set_trial_user_attr(id, name, value)

    def export(self) -> None:
        """Write search.json, and for TensorBoard every trial that has ended."""
        search = self.as_record()
        search.write(self.record)
        for trial in search.trials:
            if trial.state != RUNNING:
                log_trial(self.folder / "trials" / f"{trial.number:03}", search, trial)

    def as_record(self) -> Search:
        """The content of search.json, without trials that others have put into the storage."""
        spec = self.spec
        with self.lock:
            trials, attributes = self.study.get_trials(deepcopy=False), self.study.user_attrs
        return Search(
            name=spec.name,
            **attributes.get("about", {}),
            sampler=spec.sampler,
            seed=spec.seed,
            pruner=spec.pruner,
            images=spec.images is not None and len(spec.runs) > 1,
            metric=spec.metric,
            direction=spec.direction,
            space=self.space,
            trials=[_record(trial) for trial in trials if "parameters" in trial.user_attrs],
        )


def difference(key: str, before: Any, now: Any) -> str:
    """What has changed, in the keys of the configuration."""
    if isinstance(before, dict) and isinstance(now, dict):
        changed = next(part for part in {**before, **now} if before.get(part) != now.get(part))
        return f"search.{key}.{changed}: was {before.get(changed)}, now {now.get(changed)}"
    if key == "overrides":
        parts = [f"was {text}" for text in before if text not in now] + [
            f"now {text}" for text in now if text not in before
        ]
        return ", ".join(parts) or "another order of overrides"
    return f"search.{key}: was {before}, now {now}"


def _record(trial: FrozenTrial) -> Trial:
    attributes = trial.user_attrs
    return Trial(
        number=trial.number,
        state=RUNNING if trial.state == TrialState.RUNNING else attributes.get("state", FAILED),
        parameters=attributes.get("parameters", {}),
        overrides=attributes.get("overrides", []),
        cell=attributes.get("cell"),
        values=attributes.get("values", []),
        value=attributes.get("value"),
        curve=[value for _, value in sorted(trial.intermediate_values.items())],
        reason=attributes.get("reason", ""),
        seconds=attributes.get("seconds", 0.0),
        started=trial.datetime_start.timestamp() if trial.datetime_start else None,
        ended=trial.datetime_complete.timestamp() if trial.datetime_complete else None,
    )
