"""What lies in folders of runs: every run with its result, failure or neither, and the plans of studies."""

import csv
import json
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
from omegaconf import OmegaConf

from emnist.errors import UserError
from emnist.runs.identity import cell_id
from emnist.runs.folder import PARTS, RunFolder

PLAN = {"study", "mode", "runs", "reference", "overrides", "factors"}  # keys
FACTOR = {"name", "reference", "chosen", "values"}
VALUE = {"label", "overrides", "published", "rank", "claim", "cell"}


@dataclass
class Run:
    """One run folder, as far as it has come."""

    folder: RunFolder
    name: str  # its path below the folder that was asked for
    config: dict[str, Any]
    result: dict[str, Any] | None
    failure: str | None

    @property
    def fold(self) -> int | None:
        return self.config["data"]["fold"]

    @property
    def seed(self) -> int:
        return self.config["seed"]

    @property
    def fate(self) -> str:
        if self.result is None:
            return "unfinished" if self.failure is None else "failed"
        return "diverged" if self.result["stopped"] == "diverged" else "finished"

    @property
    def fingerprint(self) -> str:
        """Of its images, once it has a result."""
        return self.result["data"]["fingerprint"] if self.result is not None else ""

    @cached_property
    def rows(self) -> list[dict[str, float]]:
        """The epochs, as in metrics.csv."""
        path = self.folder.path / "metrics.csv"
        if not path.exists():
            return []
        with path.open(newline="") as file:
            return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]

    @cached_property
    def answers(self) -> tuple[np.ndarray, np.ndarray] | None:
        """True and predicted class of each test image, int [N] each; None where the run has none."""
        arrays = self._predictions("label", "predicted")
        return None if arrays is None else (arrays[0], arrays[1])

    @property
    def classes(self) -> int:
        """How many there are; 0 where no test has shown it."""
        arrays = self._predictions("probabilities")
        return 0 if arrays is None else arrays[0].shape[1]

    def _predictions(self, *names: str) -> list[np.ndarray] | None:
        path = self.folder.path / "predictions.npz"
        if self.result is None or not path.exists():
            return None
        try:
            with np.load(path) as arrays:
                return [arrays[name] for name in names]
        except Exception as error:
            reason = f"damaged ({type(error).__name__}); delete result.json beside it to test the run again"
            raise UserError(f"{path}: {reason}") from error


@dataclass
class Cell:
    """Runs of one configuration on one data set, apart from fold and seed."""

    id: str
    runs: list[Run] = field(default_factory=list)

    @property
    def distinct(self) -> list[Run]:
        """One run for each fold and seed, one with a result if there is any: another such says nothing new."""
        distinct: dict[tuple[str, str], Run] = {}
        for run in self.runs:
            key = str(run.fold), str(run.seed)  # a run may have failed of what they are
            if run.result is not None or key not in distinct:
                distinct[key] = run
        return list(distinct.values())

    @property
    def results(self) -> list[Run]:
        """Those with a test accuracy."""
        return [run for run in self.distinct if run.result is not None and run.result["test_accuracy"] is not None]

    def figures(self, key: str) -> list[float]:
        """A figure of result.json over the runs that have it."""
        return [run.result[key] for run in self.distinct if run.result is not None and run.result[key] is not None]

    @property
    def config(self) -> dict[str, Any]:
        return self.runs[0].config

    @property
    def family(self) -> str:
        return self.config["model"]["name"]

    @property
    def fingerprint(self) -> str:
        """Of the images, where there are results."""
        return self.results[0].fingerprint

    @property
    def is_handwriting(self) -> bool:
        return self.config["data"]["name"] == "emnist"


@dataclass
class Collection:
    runs: list[Run]
    studies: list[tuple[dict[str, Any], Path]]  # plan, and the folder its cells lie in

    def others(self, taken: set[Path]) -> list[Cell]:
        """Cells of runs that are in no study."""
        rest = [run for run in self.runs if run.folder.path.resolve() not in taken]
        # An unfinished run doesn't know its data; one with the same configuration and place does.
        places = [cell_id(run.config, run.config["data"]["root"]) for run in rest]
        known = {place: run.fingerprint for place, run in zip(places, rest, strict=True) if run.result}
        cells: dict[str, list[Run]] = defaultdict(list)
        for place, run in zip(places, rest, strict=True):
            cells[cell_id(run.config, run.fingerprint or known.get(place, ""))].append(run)
        return [Cell(id, runs) for id, runs in sorted(cells.items())]

    def cell(self, id: str | None, folder: Path, names: list[str]) -> Cell:
        """A cell of a study with the runs that there are; none where it is not known yet."""
        if id is None:
            return Cell("")
        paths = [(folder / id / name).resolve() for name in names]
        return Cell(id, [run for path in paths if (run := self._by_path.get(path))])

    @cached_property
    def _by_path(self) -> dict[Path, Run]:
        return {run.folder.path.resolve(): run for run in self.runs}


def collect(folders: list[Path]) -> Collection:
    """All runs and studies below these folders. Raises UserError, naming the folder, where there is none."""
    runs: dict[Path, Run] = {}
    studies: dict[Path, tuple[dict[str, Any], Path]] = {}
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder; give one that holds runs, such as outputs")
        found = 0
        signs = [path.parent for name in ("config.yaml", "failure.json") for path in folder.rglob(name)]
        for path in sorted({path.parent if path.name == ".hydra" else path for path in signs}):
            if (run := _read_run(path, folder)) is not None:
                runs.setdefault(path.resolve(), run)
                found += 1
        for plan in sorted(folder.rglob("*.json")):
            if plan.name not in ("result.json", "failure.json") and (content := _read_plan(plan)) is not None:
                studies.setdefault(plan.resolve(), (content, plan.parent))
        if not found:
            raise UserError(f"{folder}: no runs in it; train one with python -m emnist.train")
    return Collection(list(runs.values()), list(studies.values()))


def _read_run(path: Path, base: Path) -> Run | None:
    folder = RunFolder(path)
    result = folder.read_result()
    failure = folder.read_failure() if result is None else None
    found = result if result is not None else failure
    if found is not None:
        config = found.get("config") if isinstance(found, dict) else None
        if not isinstance(config, dict) or not config.keys() >= PARTS:
            return None  # of another program
    else:
        try:
            config = cast(dict[str, Any], OmegaConf.to_container(folder.read_config()))
        except UserError:  # of another program, too
            return None
        if "study" in config:
            return None  # what Hydra left of a study without -m
    return Run(folder, path.relative_to(base).as_posix(), config, result, None if failure is None else failure["error"])


def _read_plan(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_text())
        values = [value for factor in content["factors"] if factor.keys() >= FACTOR for value in factor["values"]]
        whole = content.keys() >= PLAN and values and all(value.keys() >= VALUE for value in values)
    except (ValueError, LookupError, TypeError, AttributeError):  # of another program
        return None
    return content if whole else None
