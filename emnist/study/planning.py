"""Plan a study: which cells its values make, which runs they need, and which value is best.

A cell is a configuration apart from fold and seed; a run is a cell with both. The folder of a run follows from its
resolved configuration and its images alone. So a cell that factors or studies share is trained once, and a study
that was stopped finds what has been trained.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

from emnist.errors import UserError
from emnist.runs.folder import RunFolder
from emnist.runs.identity import cell_id, run_name
from emnist.runs.plan import Plan, PlannedFactor, PlannedSource, PlannedValue
from emnist.runs.result import DIVERGED
from emnist.study.overrides import absolute, key_of, merge, quoted
from emnist.study.spec import Study, Value

Composes = Callable[[tuple[str, ...]], dict[str, Any]]  # overrides → resolved configuration
Fingerprints = Callable[[dict[str, Any]], str]  # its `data` → which images these are
Starts = dict[str | None, tuple[str, ...]]  # setting, or None in a study without → the overrides factors start from
AS_BEFORE = "as before"  # label of the cell that a factor starts from, if none of its values makes that cell


@dataclass(frozen=True)
class PlannedCell:
    id: str  # its folder, below that of all studies
    overrides: tuple[str, ...]
    config: dict[str, Any]


@dataclass(frozen=True)
class PlannedRun:
    path: Path
    overrides: tuple[str, ...]
    config: dict[str, Any] = field(compare=False, repr=False)  # what the overrides make


@dataclass(frozen=True)
class Step:
    """Runs that can be trained in any order."""

    runs: list[PlannedRun]
    later: int  # about how many runs the later steps add

    @property
    def missing(self) -> list[PlannedRun]:
        return [run for run in self.runs if not RunFolder(run.path).result.exists()]


def planned_cell(overrides: tuple[str, ...], compose: Composes, fingerprint: Fingerprints) -> PlannedCell:
    """The cell that these overrides make. Raises UserError if they are invalid or start from no trained network."""
    config = compose(overrides)
    if config.get("init"):
        from emnist.training.init import find_source  # imports torch

        find_source(config["init"])  # whose sha256 is part of what a cell is
    if config.get("loss", {}).get("name") == "distill":
        from emnist.training.distillation import find_teachers

        find_teachers(config["loss"])  # likewise
    return PlannedCell(cell_id(config, fingerprint(config["data"])), overrides, config)


def planned_run(folder: Path, cell: PlannedCell, fold: int | None, seed: int) -> PlannedRun:
    """A run of a cell, in the folder of all cells."""
    return PlannedRun(
        folder / cell.id / run_name(fold, seed),
        (*cell.overrides, f"data.fold={'null' if fold is None else fold}", f"seed={seed}"),
        {**cell.config, "data": {**cell.config["data"], "fold": fold}, "seed": seed},
    )


class Planner:
    """The steps of a study, and its plan: <study>.json in `folder`, which also holds the cells.

    `compose` turns overrides into a resolved configuration; `fingerprint` identifies the images of its `data`.
    All values are composed at once. Raises UserError, naming the value, if one is invalid. The cell of a value that
    starts from a source is known once the source is trained: its network is part of what the cell is.
    """

    def __init__(
        self,
        name: str,
        study: Study,
        start: tuple[str, ...],
        folder: Path,
        compose: Composes,
        fingerprint: Fingerprints,
    ):
        self.name, self.study, self.start, self.folder = name, study, start, folder
        self.compose, self.fingerprint = cache(compose), fingerprint  # composing a cell takes 60 ms
        self.composed: dict[tuple[str, ...], PlannedCell] = {}
        # Where the factors start in each setting, whose keys win over those of the command line as those of a value do.
        self.starts: Starts = {setting: merge(start, more) for setting, more in study.settings.items()} or {None: start}
        self.references = {setting: self.cell(start, setting=setting) for setting, start in self.starts.items()}
        self.sources = {source: self.source(source) for source in study.sources}
        for setting, start in self.starts.items():
            for factor in study.factors:
                for label in study.values(factor, setting):
                    self.check(start, factor, label, setting)
        self.plan = Plan(
            study=name,
            mode=study.mode,
            runs=[],
            delta=study.delta,
            reference=self.reference.id,
            overrides=list(self.start),
            sources={
                source: PlannedSource(
                    overrides=study.sources[source],
                    cell=run.path.parent.relative_to(folder).as_posix(),
                    run=run.path.name,
                )
                for source, run in self.sources.items()
            },
            factors=[
                PlannedFactor(
                    name=factor,
                    setting=setting,
                    reference=None,
                    chosen=None,
                    values=[_planned(label, value, None) for label, value in study.values(factor, setting).items()],
                )
                for setting in self.starts
                for factor in study.factors
            ],
        )

    @property
    def reference(self) -> PlannedCell:
        """The study's first cell; with settings, the start of the first one."""
        return next(iter(self.references.values()))

    def steps(self) -> Iterator[Step]:
        """What to train: the sources that values start from, then the factors.

        Train the runs of a step before asking for the next. The plan is written before and after every step. Raises
        UserError if a greedy study can't choose.
        """
        yield from self.source_steps()
        yield from self.factor_steps()

    def source_steps(self) -> Iterator[Step]:
        """The runs of the sources. Values whose source ends without a network are not trained."""
        wanted = [
            self.study.factors[factor.name][label].init
            for factor in self.plan.factors
            for label in self.study.wanted(factor.name, factor.setting)
        ]
        used = [source for source in self.sources if source in wanted]
        if used:
            self.write()
            yield Step([self.sources[source] for source in used], len(wanted) * len(self.study.runs))
        for source in used:
            if reason := missing_network(self.sources[source]):
                lost = f"the values that start from it ({wanted.count(source)}) are not trained"
                tell(f"study={self.name}: no network from source {source} ({reason}): {lost}")

    def factor_steps(self) -> Iterator[Step]:
        """All factors around the reference at once, or in a greedy study one factor after another."""
        study, starts = self.study, self.starts
        groups = [self.plan.factors] if study.mode == "around" else [[factor] for factor in self.plan.factors]
        wanted = [sum(len(study.wanted(factor.name, factor.setting)) for factor in group) for group in groups]
        for number, group in enumerate(groups):
            for factor in group:
                self.place(factor, starts[factor.setting])
            new = sum(max(count - 1, 0) for count in wanted[number + 1 :])  # a later factor's first cell is known then
            yield from self.train(group, starts, new)
            if study.mode == "greedy":  # which has no settings
                (factor,) = group
                factor.chosen, start = self.best(factor, starts[None])
                starts = {None: start}
            self.write()

    def train(self, group: list[PlannedFactor], starts: Starts, later: int) -> Iterator[Step]:
        """The runs of these factors, which start from the cell of their setting; `later` cells follow."""
        study = self.study
        values, references = [], []
        for factor in group:
            start = starts[factor.setting]
            if labels := self.labels(factor):
                references.append(self.cell(start))
                values += [self.cell(start, factor.name, label) for label in labels]
        references = list({cell.id: cell for cell in references}.values())
        cells = list({cell.id: cell for cell in (*references, *values)}.values())
        self.enter_runs(cells)
        self.write()
        yield Step(self.runs(cells, references), later * len(study.runs))
        if self.adds_up:
            self.enter_runs(cells)  # the same study may be running on another machine, too

    @property
    def adds_up(self) -> bool:
        """A greedy study has only its own runs: on others it might have chosen otherwise."""
        return self.study.mode == "around"

    def cell(
        self, start: tuple[str, ...], factor: str | None = None, label: str | None = None, setting: str | None = None
    ) -> PlannedCell:
        """The cell of these overrides, or of a factor's value that starts from them. Errors name the setting."""
        overrides, place = start, [] if setting is None else [setting]
        if factor is not None and label is not None:
            overrides, place = self.overrides(start, factor, label), [*place, f"{factor}/{label}"]
        return self.compose_cell(overrides, *place)

    def compose_cell(self, overrides: tuple[str, ...], *place: str) -> PlannedCell:
        """The cell of these overrides; `place` is where errors say that they are."""
        if overrides not in self.composed:
            try:
                self.composed[overrides] = planned_cell(overrides, self.compose, self.fingerprint)
            except UserError as error:
                raise self.error(error, *place) from error
        return self.composed[overrides]

    def error(self, error: UserError, *place: str) -> UserError:
        """The error, with the place in the study where it was made."""
        return UserError(": ".join([f"study={self.name}", *place, str(error)]))

    def overrides(self, start: tuple[str, ...], factor: str, label: str) -> tuple[str, ...]:
        """Those of a factor's value that starts from these."""
        value = self.study.factors[factor][label]
        if value.init is None:
            return merge(start, value.set)
        run = absolute(self.sources[value.init].path)  # a worker may stand in another folder
        return merge(start, ["init=run", f"init.run={quoted(run)}", *value.set])

    def check(self, start: tuple[str, ...], factor: str, label: str, setting: str | None) -> None:
        """Raises UserError if the value is invalid, as far as that shows before its source is trained."""
        value = self.study.factors[factor][label]
        if value.init is None or self.can_start(value):
            self.cell(start, factor, label, setting)
            return
        source = self.sources[value.init]
        try:
            config = self.compose(self.overrides(start, factor, label))
            if config["model"] != source.config["model"]:
                from emnist.training.init import check_model  # imports torch

                check_model(config["model"], source.config["model"], source.path)
        except UserError as error:
            raise self.error(error, *([] if setting is None else [setting]), f"{factor}/{label}") from error

    def source(self, name: str) -> PlannedRun:
        """The run whose network is a source: on all training images unless its overrides set `data.fold`, seed 0."""
        own = merge(["data.fold=null"], self.study.sources[name])
        cell = self.compose_cell(merge(self.start, own), f"sources.{name}")
        fold = cell.config["data"]["fold"]
        overrides = tuple(override for override in cell.overrides if key_of(override) != "data.fold")
        return planned_run(self.folder, replace(cell, overrides=overrides), fold, 0)

    def can_start(self, value: Value) -> bool:
        """Whether the network that the value starts from is trained, if it starts from one."""
        return value.init is None or missing_network(self.sources[value.init]) is None

    def labels(self, factor: PlannedFactor) -> list[str]:
        """Labels of the factor's values that are to be trained, and can be."""
        values = self.study.factors[factor.name]
        return [label for label in self.study.wanted(factor.name, factor.setting) if self.can_start(values[label])]

    def runs(self, cells: Sequence[PlannedCell], references: Sequence[PlannedCell]) -> list[PlannedRun]:
        """The runs of these cells; `references` are those of them that the others are compared with.

        The first run of each cell comes first, so a study that is stopped has about as many of each.
        """
        shared = len(self.study.runs)
        return [
            self.run(cell, fold, seed)
            for number, (fold, seed) in enumerate(self.study.reference_runs)
            for cell in (cells if number < shared else references)
        ]

    def run(self, cell: PlannedCell, fold: int | None, seed: int) -> PlannedRun:
        return planned_run(self.folder, cell, fold, seed)

    def place(self, factor: PlannedFactor, start: tuple[str, ...]) -> None:
        """Enter the cells of a factor that starts from these overrides."""
        factor.reference = self.cell(start).id
        factor.values = [
            _planned(label, value, self.cell(start, factor.name, label).id if self.can_start(value) else None)
            for label, value in self.study.values(factor.name, factor.setting).items()
        ]
        if factor.reference not in [value.cell for value in factor.values]:
            factor.values.insert(0, _planned(AS_BEFORE, Value(set=[]), factor.reference))

    def enter_runs(self, cells: list[PlannedCell]) -> None:
        """Enter this study's runs and, if it adds up, those on other folds and seeds that have ended in each cell."""
        own = [run_name(*run) for run in self.study.runs]
        reference = [run_name(*run) for run in self.study.reference_runs]
        if self.adds_up and cells:
            first, *others = (self.folder / cell.id for cell in cells)
            trained = sorted(path.name for path in first.glob("*") if RunFolder(path).result.exists())
            own += [name for name in trained if all(RunFolder(cell / name).has_ended for cell in others)]
        self.plan.runs = list(dict.fromkeys(own))
        self.plan.reference_runs = list(dict.fromkeys([*reference, *own]))

    def best(self, planned: PlannedFactor, start: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
        """Label and overrides of the value with the highest validation accuracy, averaged over folds and seeds.

        Only values whose runs are all trained, now or before, can be chosen; `start` stays unless one is better.
        Raises UserError if values were to be trained and none has an accuracy in every run.
        """
        factor = planned.name
        values = self.study.factors[factor].items()
        cells = {label: self.cell(start, factor, label) for label, value in values if self.can_start(value)}
        reference = self.cell(start)
        before = next((label for label, cell in cells.items() if cell.id == reference.id), AS_BEFORE)
        means = {}
        for label, cell in {before: reference, **cells}.items():  # `before` comes first and wins a tie
            accuracies = [_val_accuracy(self.run(cell, *run)) for run in self.chooses_by]
            known = [accuracy for accuracy in accuracies if accuracy is not None]
            if len(known) == len(accuracies):
                means[label] = fmean(known)
        if not self.study.wanted(factor) and len(means) < 2:
            return None, start
        if not means:
            raise UserError(
                f"study={self.name}: {factor}: no value has a validation accuracy in every run, so none can be chosen; "
                f"failure.json and result.json under {self.folder} give the reasons"
            )
        chosen = max(means, key=means.__getitem__)
        return chosen, cells[chosen].overrides if chosen in cells else start

    @property
    def chooses_by(self) -> list[tuple[int | None, int]]:
        """The runs whose validation accuracies choose the best value of a factor: those that all values have."""
        return self.study.runs

    def write(self) -> None:
        self.plan.write(self.folder / f"{self.name.replace('/', '_')}.json")  # a study's file may be in a subfolder


def _planned(label: str, value: Value, cell: str | None) -> PlannedValue:
    about = value.model_dump(exclude={"set", "settings"})
    return PlannedValue(label=label, overrides=value.set, cell=cell, **about)


def missing_network(run: PlannedRun) -> str | None:
    """Why there is no trained network in the folder of the run; None if there is one."""
    folder = RunFolder(run.path)
    if not folder.result.exists():
        failure = folder.read_failure()
        return failure.error if failure else "not trained"
    if folder.best.is_file():
        return None
    result = folder.read_result()
    return DIVERGED if result and result.stopped == DIVERGED else f"{folder.best} is missing"


def tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _val_accuracy(run: PlannedRun) -> float | None:
    result = RunFolder(run.path).read_result()
    return result.val_accuracy if result else None
