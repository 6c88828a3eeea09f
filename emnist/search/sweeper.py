"""A search as a Hydra multirun: its workers are the jobs of Hydra's launcher, and take trials until none is left."""

import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import fmean
from typing import Any, cast

from filelock import Timeout
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from emnist.checks import validate
from emnist.errors import UserError, describe
from emnist.runs.config import Split
from emnist.runs.folder import RunFolder
from emnist.runs.identity import run_name
from emnist.runs.result import DIVERGED
from emnist.runs.search import COMPLETE, FAILED, Scalar, Trial
from emnist.search import final
from emnist.search.progress import print_best, watch
from emnist.search.space import Space, fit_to_command, holds, parameter_of, text_of
from emnist.search.spec import SearchSpec, read_search
from emnist.search.trials import Trials
from emnist.search.worker import Setting, Worker
from emnist.study.compose import Compose, fingerprint
from emnist.study.launch import absolute
from emnist.study.overrides import merge, parsed, quoted
from emnist.study.planning import Step, planned_cell, planned_run
from emnist.study.progress import print_summary
from emnist.study.sweeper import check_reference, chosen, train
from emnist.training.job import JobFailed

MISSING = "???"  # of a configuration's keys that don't exist


def sweep(arguments: list[str], config: DictConfig, context: HydraContext) -> None:
    """Search, or go on with a search. Raises JobFailed if runs of the final failed."""
    name = chosen("search", config)
    if config.hydra.runtime.choices.get("study") is not None:
        raise UserError("give a study or a search, not both")
    setting, lasting, parameters = read(name, arguments, Compose(config, context))
    spec, trials = setting.spec, setting.trials()
    trials.begin(setting.start, space_name=name)
    worker = Worker(setting)
    launcher = Plugins.instance().instantiate_launcher(context, worker, config)
    try:
        hand_tuned = train_reference(name, setting, config, context)
        hand_tuned.parameters = parameters
        trials.describe(reference=hand_tuned.model_dump())
        with watch(trials.record, trials.planned):
            search(trials, launcher, worker, setting.start, workers_of(spec, config))
        record = trials.as_record()
        print_best(record)
        if record.best is None:
            reasons = sorted({trial.reason for trial in record.trials})
            raise UserError(f"search={name}: no trial was completed ({'; '.join(reasons[:3])})")
        found_nothing = record.best.cell == hand_tuned.cell
        if spec.final is not None and found_nothing:
            print("the best trial is the hand-tuned configuration itself, so there is no final")
        if spec.final is None or found_nothing:
            if record.winner not in (None, record.best.number):  # of the final of an earlier, shorter search
                trials.describe(final=None, winner=None, fresh=[])
                (setting.cells / f"{record.final}.json").unlink(missing_ok=True)  # its runs stay
            return
        planner = final.planner(spec, lasting, record.best, setting.cells, setting.compose)
        fresh = [run_name(*run) for run in spec.final_runs]
        trials.describe(final=planner.plan.study, winner=record.best.number, fresh=fresh)
        again = final.repeats(spec, setting.start, record.best, setting.cells, setting.compose)
        failures = train(planner.name, planner.steps_with(again), planner.study.together, config, context)
    except (KeyboardInterrupt, SystemExit) as end:  # Lightning turns the first into the second
        print(f"search={name}: interrupted; the same command resumes it", file=sys.stderr)
        raise SystemExit(1) from end
    print_summary(planner.plan, planner.folder)
    if failures:
        raise JobFailed(f"{len(failures)} runs failed")


def read(name: str, arguments: list[str], compose: Compose) -> tuple[Setting, tuple[str, ...], dict[str, Scalar]]:
    """What the command and the configuration ask for.

    Also returns the overrides of the final, and the hand-tuned values of the parameters. Raises UserError if something
    is wrong.
    """
    config = compose.config
    split = validate(Split, {key: config.data[key] for key in Split.model_fields if key in config.data}, "data.")
    settings = cast(dict[str, Any], OmegaConf.to_container(config.search, resolve=True))
    spec, space = read_search(name, settings, split.folds)
    given: list[Override] = []
    swept: list[Override] = []
    for override in parsed(arguments, compose.context.config_loader, "search"):
        (swept if override.is_sweep_override() else given).append(override)
    lasting = merge(spec.reference, [str(override.input_line) for override in given])
    start = lasting if spec.epochs is None else merge(lasting, [f"trainer.max_epochs={spec.epochs}"])
    reference, choices = compose.with_choices(start)
    value_of = partial(value_in, reference, choices)
    space, fixed = fit_to_command(
        space,
        {override.key_or_group for override in given},
        [parameter_of(override, str(override.input_line)) for override in swept],
        spec.only,
        lambda key: None if value_of(key) is MISSING else text_of(value_of(key)),
    )
    check_reference(f"search={name}", {**reference, "data": {**reference["data"], "fold": spec.folds[0]}})
    cells = absolute(Path(config.hydra.sweep.dir))
    setting = Setting(spec, space, fixed, start, cells, reference["trainer"]["max_epochs"], compose)
    return setting, lasting, parameters_of(space, fixed, value_of)


def search(trials: Trials, launcher: Launcher, worker: Worker, start: tuple[str, ...], workers: int) -> None:
    """Launch workers until all trials have ended. Raises UserError if they can't work."""
    place = [*start, f"hydra.sweep.dir={quoted(trials.folder)}", "hydra.output_subdir=null"]
    jobs = [[*place, f"hydra.sweep.subdir=workers/{i}"] for i in range(workers)]
    while trials.running() or not trials.is_over:
        starts = trials.starts()
        try:
            work(launcher, jobs)
        except ProcessDied as error:
            died = [number for number, count in trials.starts().items() if count > starts.get(number, 0)]
            if not died:
                raise UserError(f"launcher: {error}; the same command resumes the search") from error
            for number in died:  # each alone: one process that dies ends the others of a pool, too
                retry(trials, launcher, worker, jobs[0], number)
        for trial in trials.running():
            wait_for(trials, trial.number)


class ProcessDied(Exception):
    """A launcher lost a process, or could not start one."""


def work(launcher: Launcher, jobs: list[list[str]]) -> None:
    """Launch these workers and wait for them. Raises what a worker raised, and ProcessDied."""
    try:
        returned = launcher.launch(jobs, initial_job_idx=0)
    except Exception as error:
        raise ProcessDied(describe(error)) from error
    for job in returned:
        _ = job.return_value  # raises what the worker raised


def retry(trials: Trials, launcher: Launcher, worker: Worker, job: list[str], number: int) -> None:
    """Train one trial alone; it has failed if its process dies again."""
    worker.only = number
    try:
        work(launcher, [job])
    except ProcessDied as error:
        trials.fail(number, f"its process died ({str(error).partition('. ')[0]})")
    finally:
        worker.only = None


def wait_for(trials: Trials, number: int) -> None:
    """Wait for another process that is training this trial."""
    lock = trials.trial_lock(number)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        print(f"waiting for another process that is training trial {number}", file=sys.stderr, flush=True)
        lock.acquire()
    lock.release()


def workers_of(spec: SearchSpec, config: DictConfig) -> int:
    """How many workers are launched at once."""
    if spec.workers is not None:
        return spec.workers
    jobs = config.hydra.launcher.get("n_jobs", 1)
    return jobs if jobs > 0 else os.cpu_count() or 1


def train_reference(name: str, setting: Setting, config: DictConfig, context: HydraContext) -> Trial:
    """The hand-tuned configuration, trained as a trial is. Trials don't learn from it.

    Raises UserError if it fails, in which case hardly any trial could do better.
    """
    spec = setting.spec
    cell = planned_cell(setting.start, setting.compose, fingerprint)
    runs = [planned_run(setting.cells, cell, fold, seed) for fold, seed in spec.runs]
    train(f"{spec.name}: hand-tuned", [Step(runs, 0)], "off", config, context)
    trial = Trial(number=-1, state=COMPLETE, parameters={}, overrides=list(setting.start), cell=cell.id)
    for run in runs:
        folder = RunFolder(run.path)
        result = folder.read_result()
        if result is None:
            failure = folder.read_failure()
            reason = failure.error if failure else "its process died"
            raise UserError(f"search={name}: the hand-tuned configuration failed: {reason}")
        best = folder.read_best_epoch()
        if best is None:
            trial.state, trial.reason = FAILED, DIVERGED
            return trial
        trial.values.append(best[spec.metric])
        trial.seconds += result.duration_s
    trial.value = fmean(trial.values)
    return trial


def value_in(config: Mapping[str, Any], choices: Mapping[str, Any], key: str) -> Any:
    """What was chosen of a group, such as adam of `optimizer`, or the value of a key; MISSING if there is none."""
    if key in choices:
        return choices[key]
    value = OmegaConf.select(OmegaConf.create(dict(config)), key, default=MISSING)
    return OmegaConf.to_container(value) if OmegaConf.is_config(value) else value


def parameters_of(space: Space, fixed: Mapping[str, str], value_of: Callable[[str], Any]) -> dict[str, Scalar]:
    """The values that a configuration has of the parameters of the space."""
    found: dict[str, Scalar] = {}
    for name, parameter in space.items():
        if holds(parameter, space, fixed, found) and (value := value_of(parameter.key)) is not MISSING:
            found[name] = text_of(value) if parameter.kind == "categorical" else value
    return found
