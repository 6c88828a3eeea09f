"""A study as a Hydra multirun: Hydra composes the cells and its launcher trains their runs."""

import logging
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, cast

from hydra.core.plugins import Plugins
from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf

from emnist.checks import validate
from emnist.errors import UserError
from emnist.runs.config import Split
from emnist.runs.folder import RunFolder
from emnist.study.compose import Compose, dataset, fingerprint
from emnist.study.deciding import DecidingPlanner
from emnist.study.launch import Worker, launch
from emnist.study.overrides import merge, shared_overrides
from emnist.study.planning import Planner, Step
from emnist.study.progress import Progress, print_summary
from emnist.study.spec import read_study
from emnist.study.together import groups
from emnist.training.job import JobFailed


def sweep(arguments: list[str], config: DictConfig, context: HydraContext) -> None:
    """Train the missing runs of the study. Raises JobFailed if runs failed, after all others have ended."""
    name = chosen("study", config)
    split = validate(Split, {key: config.data[key] for key in Split.model_fields if key in config.data}, "data.")
    study = read_study(name, cast(dict[str, Any], OmegaConf.to_container(config.study, resolve=True)), split.folds)
    start = merge(study.reference, shared_overrides(arguments, context.config_loader))
    parts = name, study, start, Path(config.hydra.sweep.dir), Compose(config, context), fingerprint
    planner = DecidingPlanner(*parts, test_images=test_images(config.data)) if study.decide else Planner(*parts)
    for setting, cell in planner.references.items():
        what = f"study={name}" + ("" if setting is None else f": {setting}")
        check_reference(what, {**cell.config, "data": {**cell.config["data"], "fold": study.folds[0]}})
    for source, run in planner.sources.items():
        check(f"study={name}: sources.{source}", run.config)
    try:
        failures = train(name, planner.steps(), study.together, config, context)
    except (KeyboardInterrupt, SystemExit) as end:  # Lightning turns the first into the second
        print(f"study={name}: interrupted; the same command resumes it", file=sys.stderr)
        raise SystemExit(1) from end
    print_summary(planner.plan, planner.folder)
    if isinstance(planner, DecidingPlanner) and planner.not_reached:
        print(f"the budget ended before {planner.not_reached} verdicts; with a larger one the same command continues")
    if failures:
        raise JobFailed(f"{len(failures)} runs failed")


def chosen(kind: str, config: DictConfig) -> str:
    """The name of the study or search. Raises UserError if there is none."""
    for logger in ("hydra", "hydra_plugins"):
        logging.getLogger(logger).setLevel(logging.WARNING)  # else a line a job
    name = config.hydra.runtime.choices.get(kind)
    if name is None:
        raise UserError(f"hydra/sweeper={kind}: no {kind} chosen; {kind}=mlp, for example, also chooses the sweeper")
    return name


def train(
    name: str, steps: Iterable[Step], together: Literal["auto", "off"] | int, config: DictConfig, context: HydraContext
) -> dict[Path, str]:
    """Train the missing runs of these steps. Returns why runs failed, by folder."""
    worker = Worker(stacks=together != "off")
    launcher = Plugins.instance().instantiate_launcher(context, worker, config)
    with Progress(name) as progress:
        for step in steps:
            missing = step.missing
            for run in missing:
                RunFolder(run.path).failure.unlink(missing_ok=True)  # failed runs get another chance
            with progress.watch([run.path for run in step.runs], step.later):
                launch(list(groups(missing, together)), launcher, worker)
    return progress.failures


def test_images(data: DictConfig) -> int:
    """Number of test images described by `data`."""
    return len(dataset(cast(dict[str, Any], OmegaConf.to_container(data, resolve=True))).test_labels)


def check_reference(what: str, config: dict[str, Any]) -> None:
    """Raises UserError if the reference can't be trained, in which case hardly any cell could."""
    check(f"{what}: invalid reference", config)


def check(what: str, config: dict[str, Any]) -> None:
    """Raises UserError if a run with this configuration can't be trained."""
    from emnist.training.preflight import preflight

    try:
        preflight(config)
    except UserError as error:
        raise UserError(f"{what}: {error}") from error
