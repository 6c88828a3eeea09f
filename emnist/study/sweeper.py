"""Studies for Hydra: a sweeper that hands its launcher every training a study still lacks.

A cell is a configuration apart from fold and seed; a run is a cell with both. Where a run lies follows from its
resolved configuration and its data alone. So a cell that factors or studies share is trained once, and a study that
was stopped finds what it has.
"""

import json
import logging
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, cast

from filelock import FileLock, Timeout
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict

from emnist.atomic import write_atomically
from emnist.errors import UserError, describe
from emnist.runs.identity import cell_id, run_name
from emnist.training.job import JobFailed, train
from emnist.study.progress import Monitor, changed, print_summary
from emnist.study.spec import Factor, Value, read_study

PLUGIN = "hydra_plugins.emnist.StudySweeper"  # the name in conf/hydra/sweeper/study.yaml
SPLITTING = ("batch_size", "folds", "fold", "fold_seed")  # keys of data that don't say which images there are
AS_BEFORE = "as before"  # where a factor starts, if that is none of its values


def register() -> None:
    """Let Hydra find the sweeper.

    It takes plugins from modules called hydra_plugins alone. An entry under such a name stands in for a
    package of its own; the class keeps its true module, by which worker processes import it.
    """
    Plugins.instance().class_name_to_class[PLUGIN] = StudySweeper


def train_run(cfg: DictConfig) -> None:
    """One run of a study, in whatever process the launcher chose; goes on where it was stopped."""
    folder = Path(HydraConfig.get().runtime.output_dir)
    lock = FileLock(folder / ".lock")
    try:
        held = lock.acquire(timeout=0)
    except Timeout:
        print(f"{folder}: another process is at this run; waiting for its end", file=sys.stderr, flush=True)
        held = lock.acquire()
    with held:
        train(cfg, folder, resume=True, quiet=True)


@dataclass(frozen=True)
class PlannedCell:
    id: str  # its folder, below that of all studies
    overrides: tuple[str, ...]
    config: dict[str, Any]


class StudySweeper(Sweeper):
    """Trains the cells of a study, a batch at a time, and leaves `<study>.json`, which says what they mean."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.config: DictConfig = config
        self.loader = hydra_context.config_loader
        self.launcher: Launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=train_run, config=config
        )
        self.folder = Path(config.hydra.sweep.dir)
        self.fingerprints: dict[str, str] = {}
        self.cells: dict[tuple[str, ...], PlannedCell] = {}  # composing one takes 60 ms
        self.launched = 0
        for name in ("hydra", "hydra_plugins"):  # a line a job, before the first of them
            logging.getLogger(name).setLevel(logging.WARNING)

    def sweep(self, arguments: list[str]) -> None:
        """Train what is missing. Raises JobFailed where runs failed, after all others are done."""
        name = self.config.hydra.runtime.choices.get("study")
        if name is None:
            raise UserError("hydra/sweeper=study: no study chosen; study=mlp, say, chooses the sweeper itself")
        config = cast(dict[str, Any], OmegaConf.to_container(self.config.study, resolve=True))
        self.study = study = read_study(name, config, self.config.data.folds)
        self.where = f"study={study.name}"
        self.monitor = Monitor(study.name)
        start = merge(study.reference, self.own_overrides(arguments))
        # Every value is composed before the first training, so that what can't be is said at once.
        for factor in study.factors:
            for value in factor.values:
                self.cell(merge(start, value.overrides), factor, value)
        self.check_reference(self.cell(start))
        plan: dict[str, Any] = {
            "study": study.name,
            "mode": study.mode,
            "runs": [],
            "reference": self.cell(start).id,
            "overrides": list(start),
            "factors": [{"name": f.name, "reference": None, "chosen": None, "values": []} for f in study.factors],
        }
        for entry, factor in zip(plan["factors"], study.factors, strict=True):
            entry["values"] = [in_plan(value, None) for value in factor.values]
        try:
            self.train_all(plan, start)
        except (KeyboardInterrupt, SystemExit) as end:  # Lightning makes the second of the first
            print(f"{self.where}: interrupted; the same command goes on from here", file=sys.stderr)
            raise SystemExit(1) from end
        print_summary(plan, self.folder)
        if self.monitor.failures:
            raise JobFailed(f"{len(self.monitor.failures)} runs failed")

    def train_all(self, plan: dict[str, Any], start: tuple[str, ...]) -> None:
        """Train the cells of all factors, or those of one factor after those of the one before; fills in the plan."""
        study, current = self.study, start
        everything = list(zip(plan["factors"], study.factors, strict=True))
        steps = [everything] if study.mode == "around" else [[pair] for pair in everything]
        wanted = [sum(len(study.wanted(factor)) for _, factor in step) for step in steps]
        for number, step in enumerate(steps):
            reference = self.cell(current)
            cells = {reference.id: reference} if wanted[number] else {}
            for entry, factor in step:
                here = {
                    value.label: self.cell(merge(current, value.overrides), factor, value) for value in factor.values
                }
                cells |= {here[value.label].id: here[value.label] for value in study.wanted(factor)}
                entry["reference"] = reference.id
                entry["values"] = [in_plan(value, here[value.label].id) for value in factor.values]
                if reference.id not in {cell.id for cell in here.values()}:
                    entry["values"].insert(0, in_plan(Value(AS_BEFORE, ()), reference.id))
            plan["runs"] = self.common_runs(list(cells.values()))
            self.write(plan)
            later = sum(max(count - 1, 0) for count in wanted[number + 1 :])  # of each step one is known by then
            self.train(list(cells.values()), later=len(study.folds) * len(study.seeds) * later)
            if study.mode == "greedy":
                ((entry, factor),) = step
                entry["chosen"], current = self.best(factor, current)
            else:
                plan["runs"] = self.common_runs(list(cells.values()))  # of the same study on another machine, too
            self.write(plan)

    def check_reference(self, cell: PlannedCell) -> None:
        """Raises UserError where the reference can't be trained, and so hardly anything could."""
        import torch

        from emnist.data.module import DataModule
        from emnist.training.fit import check
        from emnist.models import build_model

        try:
            for seed in self.study.seeds:
                check({**cell.config, "seed": seed})
            data = {**cell.config["data"], "fold": self.study.folds[0]}
            DataModule(**data, augmentation=cell.config["augmentation"], seed=self.study.seeds[0])
            with torch.device("meta"):
                build_model(num_classes=2, **cell.config["model"])
        except UserError as error:
            raise UserError(f"{self.where}: the reference can't be trained: {error}") from error

    def common_runs(self, cells: Sequence[PlannedCell]) -> list[str]:
        """Names of the runs of this command, and of those on other folds and seeds that each of the cells has.

        A greedy study has its own alone, since on others it might have chosen otherwise.
        """
        runs = [run_name(fold, seed) for fold in self.study.folds for seed in self.study.seeds]
        if self.study.mode == "greedy" or not cells:
            return runs
        first, *others = (self.folder / cell.id for cell in cells)
        there = [path.parent.name for path in first.glob("*/result.json")]
        return sorted({*runs, *(name for name in there if all(finished(cell / name) for cell in others))})

    @property
    def plan_file(self) -> Path:
        name = self.study.name.replace("/", "_")  # a study may lie in a folder below conf/study
        return self.folder / f"{name}.json"

    def own_overrides(self, arguments: list[str]) -> list[str]:
        """What the command line adds to every cell. Raises UserError for what a study decides by itself."""
        parser = OverridesParser.create(config_loader=self.loader)
        overrides = [o for o in parser.parse_overrides(arguments) if o.key_or_group.split(".")[0] != "study"]
        for override in overrides:
            key, given = override.key_or_group, override.input_line
            if key in ("data.fold", "seed"):
                raise UserError(f"{given}: a study has study.folds=[…] and study.seeds=[…] for that")
            if override.is_sweep_override():
                raise UserError(f"{given}: several values; a study varies its factors alone")
        return [cast(str, override.input_line) for override in overrides]

    def cell(self, overrides: tuple[str, ...], factor: Factor | None = None, value: Value | None = None) -> PlannedCell:
        """The cell that these overrides make. Raises UserError, naming the value, where Hydra can't compose it."""
        if overrides not in self.cells:
            try:
                composed = self.loader.load_sweep_config(self.config, list(overrides))
                with open_dict(composed):
                    del composed["hydra"]
                config = cast(dict[str, Any], OmegaConf.to_container(composed, resolve=True))
            except Exception as error:
                place = f"{factor.name}/{value.label}: " if factor and value else ""
                raise UserError(f"{self.where}: {place}{describe(error)}") from error
            id = cell_id(config, self.fingerprint(config["data"]))
            self.cells[overrides] = PlannedCell(id, overrides, config)
        return self.cells[overrides]

    def fingerprint(self, data: dict[str, Any]) -> str:
        """That of the images which this part of a configuration stands for."""
        source = {key: value for key, value in data.items() if key not in SPLITTING}
        key = json.dumps(source, sort_keys=True)
        if key not in self.fingerprints:
            from emnist.data.module import load_dataset  # torch comes in here

            self.fingerprints[key] = load_dataset(**source).fingerprint
        return self.fingerprints[key]

    def runs(self, cell: PlannedCell) -> dict[Path, list[str]]:
        """Folder and overrides of each run."""
        runs = {}
        for fold in self.study.folds:
            for seed in self.study.seeds:
                name = run_name(fold, seed)
                place = [f"hydra.sweep.dir={quoted(self.folder)}", f"hydra.sweep.subdir={cell.id}/{name}"]
                fold_and_seed = [f"data.fold={'null' if fold is None else fold}", f"seed={seed}"]
                runs[self.folder / cell.id / name] = [*cell.overrides, *fold_and_seed, *place]
        return runs

    def train(self, cells: Sequence[PlannedCell], later: int) -> None:
        """Train the runs of these cells that have no result yet, all in one batch; `later` are to follow."""
        runs = {path: overrides for cell in cells for path, overrides in self.runs(cell).items()}
        missing = {path: overrides for path, overrides in runs.items() if not (path / "result.json").exists()}
        for path in missing:
            (path / "failure.json").unlink(missing_ok=True)  # it gets another chance
        with self.monitor.watch(list(runs), later):
            if missing:
                self.launch(missing)

    def launch(self, runs: dict[Path, list[str]]) -> None:
        """Give these runs to the launcher.

        Where its processes die (a worker killed, no memory left, a cluster's limit), the runs that had begun are
        tried once more, one by one, and the others go on together: one that ends its process alone has failed.
        """
        stamps = {path: changed(path / "train.log") for path in runs}
        try:
            returns = self.launcher.launch(list(runs.values()), initial_job_idx=self.launched)
        except Exception as error:
            left = {path: overrides for path, overrides in runs.items() if not finished(path)}
            begun = [path for path in left if changed(path / "train.log") != stamps[path]]
            if left and not begun:
                raise UserError(f"{self.where}: {describe(error)}; the same command goes on from here") from error
            if len(runs) == len(begun) == 1:
                self.record_failure(begun[0], f"its process ended ({describe(error).partition('. ')[0]})")
                return
            for path in begun:
                alone = {path: left.pop(path)}
                if not finished(path):  # a cluster's other jobs go on meanwhile
                    self.launch(alone)
            if left := {path: overrides for path, overrides in left.items() if not finished(path)}:
                self.launch(left)
        else:
            self.launched += len(runs)
            for path, job in zip(runs, returns, strict=True):
                if not finished(path):
                    self.record_failure(path, describe(job._return_value))

    def record_failure(self, path: Path, reason: str) -> None:
        from emnist.runs.folder import RunFolder

        config = OmegaConf.to_container(RunFolder(path).read_config())
        RunFolder(path).write_json("failure.json", {"error": reason, "config": config})

    def best(self, factor: Factor, current: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
        """Label and overrides of the value with the highest validation accuracy, averaged over folds and seeds.

        Of the values that are trained, by this command or before; the configuration so far stays unless one is
        better. Raises UserError where values were to be trained and none has an accuracy in every run.
        """
        here = {value.label: merge(current, value.overrides) for value in factor.values}
        at_hand = self.cell(current)
        before = next((label for label, o in here.items() if self.cell(o).id == at_hand.id), AS_BEFORE)
        means = {}
        for label, overrides in {before: current, **here}.items():  # of two equals the first is chosen
            accuracies = [read_accuracy(path) for path in self.runs(self.cell(overrides))]
            if None not in accuracies:
                means[label] = fmean(cast(list[float], accuracies))
        if not self.study.wanted(factor) and len(means) < 2:
            return None, current
        if not means:
            raise UserError(
                f"{self.where}: {factor.name}: no value has a validation accuracy in every run, so none is the best; "
                f"the reasons are in failure.json and result.json under {self.folder}"
            )
        chosen = max(means, key=means.__getitem__)
        return chosen, here.get(chosen, current)

    def write(self, plan: dict[str, Any]) -> None:
        text = json.dumps(plan, indent=2, ensure_ascii=False) + "\n"
        write_atomically(self.plan_file, lambda file: file.write(text.encode()))


def in_plan(value: Value, cell: str | None) -> dict[str, Any]:
    """A value as the plan has it, with the cell it makes, once that is known."""
    return {
        "label": value.label,
        "overrides": list(value.overrides),
        "published": value.published,
        "rank": value.rank,
        "claim": value.claim,
        "cell": cell,
    }


def merge(overrides: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
    """Both, the later of two for the same key alone: Hydra refuses a choice made twice."""
    return tuple({override.lstrip("+~").partition("=")[0]: override for override in (*overrides, *more)}.values())


def quoted(path: Path) -> str:
    """A path as the value of an override; a backslash counts as itself, but before a quote."""
    return "'" + re.sub(r"(\\*)('|$)", lambda m: m[1] * 2 + ("\\'" if m[2] else ""), str(path)) + "'"


def finished(path: Path) -> bool:
    """Whether the run in `path` has come to a result or a failure."""
    return (path / "result.json").exists() or (path / "failure.json").exists()


def read_accuracy(path: Path) -> float | None:
    """Validation accuracy of the best epoch of the run in `path`; None where there is none."""
    from emnist.runs.folder import RunFolder

    return (RunFolder(path).read_result() or {}).get("val_accuracy")
