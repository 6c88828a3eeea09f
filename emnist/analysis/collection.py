"""The runs, studies and searches below some folders: every run with its result, its failure or neither."""

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from omegaconf import OmegaConf

from emnist.errors import UserError
from emnist.runs.augmentation import Movement
from emnist.runs.folder import RunFolder
from emnist.runs.identity import cell_id
from emnist.runs.plan import Plan
from emnist.runs.result import DIVERGED, Result
from emnist.runs.search import Search
from emnist.runs.stored import DamagedFile, Stored

T = TypeVar("T", bound=Stored)

# How a run can stand, the good ones last.
UNFINISHED, FAILED, FINISHED = "unfinished", "failed", "finished"


@dataclass
class Run:
    """One run folder, as far as it has got."""

    folder: RunFolder
    name: str  # its path below the folder that was asked for
    config: dict[str, Any]
    result: Result | None
    failure: str | None

    @property
    def fold(self) -> int | None:
        return self.config["data"]["fold"]

    @property
    def seed(self) -> int:
        return self.config["seed"]

    @property
    def status(self) -> str:
        """finished, diverged, failed or unfinished."""
        if self.result is None:
            return UNFINISHED if self.failure is None else FAILED
        return DIVERGED if self.result.stopped == DIVERGED else FINISHED

    @property
    def fingerprint(self) -> str:
        """Of its images; empty before it has a result."""
        return self.result.data.fingerprint if self.result is not None else ""

    @cached_property
    def epochs(self) -> list[dict[str, float]]:
        """The rows of metrics.csv."""
        return self.folder.read_metrics()

    @cached_property
    def movement(self) -> Movement | None:
        """How far its augmentation moves images; None if it has none, or has not measured it."""
        return self.folder.read_augmentation()

    @cached_property
    def predictions(self) -> tuple[np.ndarray, np.ndarray] | None:
        """True and predicted class of each test image, int64 [N] each; None without a test."""
        arrays = None if self.result is None else self.folder.read_predictions("label", "predicted")
        return None if arrays is None else (arrays[0], arrays[1])

    @cached_property
    def right(self) -> np.ndarray | None:
        """Whether each test image was classified correctly, bool [N]; None without a test."""
        return None if self.predictions is None else self.predictions[0] == self.predictions[1]

    @property
    def num_classes(self) -> int:
        """0 without a test."""
        arrays = None if self.result is None else self.folder.read_predictions("probabilities")
        return 0 if arrays is None else arrays[0].shape[1]


@dataclass
class Cell:
    """Runs of one configuration on the same images, apart from fold and seed."""

    id: str
    runs: list[Run] = field(default_factory=list)

    @property
    def distinct(self) -> list[Run]:
        """One run for each fold and seed, one with a result if there is any: repetitions add nothing."""
        distinct: dict[tuple[str, str], Run] = {}
        for run in self.runs:
            key = str(run.fold), str(run.seed)  # a run may have failed because of their values
            if run.result is not None or key not in distinct:
                distinct[key] = run
        return list(distinct.values())

    @property
    def tested(self) -> list[Run]:
        """The runs with a test accuracy."""
        return [run for run in self.distinct if run.result is not None and run.result.test_accuracy is not None]

    def values(self, metric: str) -> list[float]:
        """A metric of result.json, over the runs that have it."""
        values = [getattr(run.result, metric) for run in self.distinct if run.result is not None]
        return [value for value in values if value is not None]

    @property
    def config(self) -> dict[str, Any]:
        return self.runs[0].config

    @property
    def model(self) -> str:
        return self.config["model"]["name"]

    @property
    def fingerprint(self) -> str:
        """Of the images, given a tested run."""
        return self.tested[0].fingerprint

    @property
    def is_handwriting(self) -> bool:
        return self.config["data"]["name"] == "emnist"


@dataclass
class Collection:
    runs: list[Run]
    studies: list[tuple[Plan, Path]]  # with the folder of its cells
    searches: list[tuple[Search, Path]] = field(default_factory=list)  # likewise

    def others(self, taken: set[Path]) -> list[Cell]:
        """Cells of the runs whose folder is not in `taken`."""
        rest = [run for run in self.runs if run.folder.path.resolve() not in taken]
        # An unfinished run doesn't know its images; one with the same configuration and data folder does.
        places = [cell_id(run.config, run.config["data"]["root"]) for run in rest]
        known = {place: run.fingerprint for place, run in zip(places, rest, strict=True) if run.result}
        cells: dict[str, list[Run]] = defaultdict(list)
        for place, run in zip(places, rest, strict=True):
            cells[cell_id(run.config, run.fingerprint or known.get(place, ""))].append(run)
        return [Cell(id, runs) for id, runs in sorted(cells.items())]

    def cell(self, id: str | None, folder: Path, names: list[str]) -> Cell:
        """A cell of a study with the runs that exist; without runs if its id is not known yet."""
        if id is None:
            return Cell("")
        paths = [(folder / id / name).resolve() for name in names]
        return Cell(id, [run for path in paths if (run := self._by_path.get(path))])

    @cached_property
    def _by_path(self) -> dict[Path, Run]:
        return {run.folder.path.resolve(): run for run in self.runs}


def collect(folders: list[Path]) -> Collection:
    """All runs, studies and searches below these folders. Raises UserError, naming the folder, if one holds no runs."""
    runs: dict[Path, Run] = {}
    studies: dict[Path, tuple[Plan, Path]] = {}
    searches: dict[Path, tuple[Search, Path]] = {}
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder; give one with runs, such as outputs")
        found = 0
        for path in _run_folders(folder):
            if (run := _read_run(path, folder)) is not None:
                runs.setdefault(path.resolve(), run)
                found += 1
        for path in sorted(folder.rglob("*.json")):
            if (plan := _read(Plan, path)) is not None:
                studies.setdefault(path.resolve(), (plan, path.parent))
            elif path.name == "search.json" and (search := _read(Search, path)) is not None:
                searches.setdefault(path.resolve(), (search, path.resolve().parents[2]))
        if not found:
            raise UserError(f"{folder}: no runs in it; train one with python -m emnist.train")
    return Collection(list(runs.values()), list(studies.values()), list(searches.values()))


def _run_folders(folder: Path) -> list[Path]:
    """Folders with a configuration or a failure, in order."""
    example = RunFolder("")
    found = {path.parent for name in (example.config, example.failure) for path in folder.rglob(name.name)}
    return sorted({path.parent if path.name == example.hydra_config.parent.name else path for path in found})


def _read_run(path: Path, base: Path) -> Run | None:
    folder = RunFolder(path)
    name = path.relative_to(base).as_posix()
    if folder.result.exists():
        result = folder.read_result()
        return None if result is None else Run(folder, name, result.config, result, None)
    if folder.failure.exists():
        failure = folder.read_failure()
        return None if failure is None else Run(folder, name, failure.config, None, failure.error)
    try:
        config = cast(dict[str, Any], OmegaConf.to_container(folder.read_config()))
    except UserError:  # of another program
        return None
    if "study" in config:  # what Hydra left of a study without -m
        return None
    return Run(folder, name, config, None, None)


def _read(kind: type[T], path: Path) -> T | None:
    try:
        return kind.read(path)
    except DamagedFile:  # of another program: ours are written atomically
        return None
