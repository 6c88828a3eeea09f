"""A run is a folder. Only this module knows the names of its files; none of it needs torch."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import DictConfig, OmegaConf

from emnist.atomic import remove_temporaries, write_atomically, write_bytes, write_text
from emnist.errors import UserError
from emnist.runs.augmentation import Movement
from emnist.runs.checksums import LIST, Checksums, sha256, verify
from emnist.runs.config import is_run_config
from emnist.runs.result import Failure, Result


class RunFolder:
    """The files of one run. Every write is atomic."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.config = self.path / "config.yaml"
        self.hydra_config = self.path / ".hydra" / "config.yaml"  # Hydra's copy, written before the run starts
        self.log = self.path / "train.log"
        self.lock = self.path / ".lock"
        self.best = self.path / "checkpoints" / "best.ckpt"
        self.last = self.path / "checkpoints" / "last.ckpt"
        self.metrics = self.path / "metrics.csv"
        self.predictions = self.path / "predictions.npz"
        self.validation = self.path / "validation.npz"
        self.augmentation = self.path / "augmentation.json"
        self.result = self.path / "result.json"
        self.failure = self.path / "failure.json"
        self._verified: dict[Path, tuple[tuple[int, ...], bool]] = {}  # a report reads some files ten times

    def figure(self, name: str) -> Path:
        return self.path / "figures" / f"{name}.png"

    @property
    def has_run(self) -> bool:
        """Whether a run has finished an epoch here."""
        return self.result.exists() or self.last.exists()

    @property
    def has_ended(self) -> bool:
        """Whether the run has a result or has failed."""
        return self.result.exists() or self.failure.exists()

    @property
    def last_write(self) -> int | None:
        """When the run last wrote to its log, in ns; None if it has not started."""
        return self.log.stat().st_mtime_ns if self.log.exists() else None

    def read_result(self) -> Result | None:
        """The result of a finished run; None while it is unfinished, and for another program's file."""
        return Result.read(self.result) if self.result.exists() else None

    def read_failure(self) -> Failure | None:
        """Why the run failed; None if it did not."""
        return Failure.read(self.failure) if self.failure.exists() else None

    def read_augmentation(self) -> Movement | None:
        """How far the run's augmentation moves images; None if it has none, and for runs from before version 0.6."""
        if not self.augmentation.exists():
            return None
        self.verify(self.augmentation)
        return Movement.read(self.augmentation)

    def read_config(self) -> DictConfig:
        """The configuration that the run started with. Raises UserError if the folder holds no run."""
        path = next((path for path in (self.config, self.hydra_config) if path.is_file()), None)
        if path is None:
            raise UserError(f"{self.path}: not the folder of a run ({self.config} is missing)")
        try:
            config = OmegaConf.load(path)
        except Exception as error:
            raise UserError(f"{path}: damaged ({' '.join(str(error).split())})") from error
        if not isinstance(config, DictConfig) or not is_run_config(config):
            raise UserError(f"{self.path}: not the folder of a run ({path} is not the configuration of one)")
        return config

    def read_metrics(self) -> list[dict[str, float]]:
        """The rows of metrics.csv, one an epoch, each with the metrics that it has; empty before the first.

        Raises UserError for a damaged file.
        """
        if not self.metrics.exists():
            return []
        self.verify(self.metrics)
        try:
            with self.metrics.open(newline="") as file:
                return [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]
        except (ValueError, TypeError, csv.Error) as error:
            raise UserError(f"{self.metrics}: damaged ({error}); {self.remedy(self.metrics)}") from error

    def read_best_epoch(self) -> dict[str, float] | None:
        """The row of metrics.csv of the best epoch; None before a result, and if the first epoch diverged."""
        result = self.read_result()
        if result is None or result.best_epoch is None:
            return None
        return self.read_metrics()[result.best_epoch - 1]

    def read_predictions(self, *names: str) -> list[np.ndarray] | None:
        """Arrays of predictions.npz: `label` and `predicted` int64 [N], `probabilities` float32 [N, classes].

        None if there are no predictions. Raises UserError for a damaged file.
        """
        return self._read_arrays(self.predictions, names)

    def read_validation(self) -> list[np.ndarray] | None:
        """True and predicted class of each validation image in the best epoch, int64 [V] each, from validation.npz.

        None without validation, and for runs from before version 0.5. Raises UserError for a damaged file.
        """
        return self._read_arrays(self.validation, ("label", "predicted"))

    def write_config(self, config: dict[str, Any]) -> None:
        write_text(self.config, OmegaConf.to_yaml(config))

    def write_metrics(self, rows: list[dict[str, float]]) -> None:
        text = io.StringIO()
        columns = dict.fromkeys(key for row in rows for key in row)  # a later version may have added one
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.metrics, text.getvalue())

    def write_predictions(self, label: np.ndarray, predicted: np.ndarray, probabilities: np.ndarray) -> None:
        arrays = {"label": label, "predicted": predicted, "probabilities": probabilities}
        write_atomically(self.predictions, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]

    def write_validation(self, label: np.ndarray, predicted: np.ndarray) -> None:
        write_atomically(self.validation, lambda file: np.savez(file, label=label, predicted=predicted))

    def write_figure(self, name: str, png: bytes) -> None:
        write_bytes(self.figure(name), png)

    def write_result(self, result: Result) -> None:
        result.write(self.result)

    def write_failure(self, error: str, config: dict[str, Any]) -> None:
        Failure(error=error, config=config).write(self.failure)

    def clean(self) -> None:
        """Remove temporary files of killed processes."""
        remove_temporaries(self.path)

    def checksums(self) -> dict[str, str]:
        """SHA-256 of the files that are read when the run is complete, by name: for result.json."""
        files = self.best, self.metrics, self.predictions, self.validation, self.augmentation
        return {path.name: sha256(path) for path in files if path.exists()}

    def verify(self, path: Path) -> bool:
        """Whether a file of the run is as it was written; False if that isn't known: for runs before version 0.7.

        Raises UserError for a damaged file.
        """
        stamp = _stamp(path)
        known = self._verified.get(path)
        if known is None or known[0] != stamp:
            known = stamp, verify(path, lambda: self._listed(path), self.remedy(path))
            self._verified[path] = known
        return known[1]

    def remedy(self, path: Path) -> str:
        """What to do about a damaged file of the run."""
        resume = f"python -m emnist.train resume={self.path}"
        older = "" if self.result.exists() else f"; if a version before 0.7 wrote it, delete {LIST} instead"
        if path == self.last:
            return f"delete it, then {resume} trains the run from its first epoch on{older}"
        if path == self.best:
            return f"delete {path.parent} and result.json, then {resume} trains the run again{older}"
        return f"delete result.json beside it, then {resume} tests the run again"

    def _listed(self, path: Path) -> list[str]:
        if path != self.last and (result := self.read_result()):
            return [result.checksums[path.name]] if path.name in result.checksums else []
        return Checksums.of(path) if path in (self.best, self.last) else []

    def _read_arrays(self, path: Path, names: Sequence[str]) -> list[np.ndarray] | None:
        if not path.exists():
            return None
        self.verify(path)
        try:
            with np.load(path) as arrays:
                return [arrays[name] for name in names]
        except Exception as error:  # zipfile, zlib and numpy raise various exceptions
            raise UserError(f"{path}: damaged ({type(error).__name__}); {self.remedy(path)}") from error


def _stamp(path: Path) -> tuple[int, ...]:
    """What changes with the file; empty without one."""
    if not path.exists():
        return ()
    stat = path.stat()
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
