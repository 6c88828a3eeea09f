"""A run is a folder: the names in it, how it is written, and how a trained classifier comes back from it."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from emnist.atomic import remove_temporaries, write_atomically
from emnist.data.batches import EVALUATION_BATCH, normalize
from emnist.errors import UserError
from emnist.models import build_model

PARTS = {"data", "model", "optimizer", "scheduler", "regularization", "augmentation", "trainer"}  # groups of conf/
PARTS |= {"seed", "patience", "threads"}


class RunFolder:
    """The files of one run. Every write is whole or not at all."""

    def __init__(self, path: str | Path):
        self.path = Path(path)

    @property
    def best(self) -> Path:
        return self.path / "checkpoints" / "best.ckpt"

    @property
    def last(self) -> Path:
        return self.path / "checkpoints" / "last.ckpt"

    @property
    def result(self) -> Path:
        return self.path / "result.json"

    @property
    def failure(self) -> Path:
        return self.path / "failure.json"

    def read_result(self) -> dict | None:
        """What a finished run found out; None while it isn't finished."""
        if not self.result.exists():
            return None
        try:
            return json.loads(self.result.read_text())
        except ValueError as error:
            raise UserError(f"{self.result}: damaged ({error}); delete it to finish the run again") from error

    def read_failure(self) -> dict | None:
        """What a failed run failed of; None for others."""
        try:
            return json.loads(self.failure.read_text()) if self.failure.exists() else None
        except ValueError as error:
            raise UserError(f"{self.failure}: damaged ({error}); delete it") from error

    def read_config(self) -> DictConfig:
        """The configuration the run began with; raises UserError where there is no run."""
        # Hydra's own copy serves a run that was killed before it came to write its resolved one.
        candidates = (self.path / "config.yaml", self.path / ".hydra" / "config.yaml")
        path = next((path for path in candidates if path.is_file()), None)
        if path is None:
            raise UserError(f"resume={self.path}: not the folder of a run ({candidates[0]} is missing)")
        try:
            config = OmegaConf.load(path)
        except Exception as error:
            raise UserError(f"{path}: damaged ({' '.join(str(error).split())})") from error
        if not isinstance(config, DictConfig) or not config.keys() >= PARTS:
            raise UserError(f"resume={self.path}: not the folder of a run ({path} is no configuration of one)")
        return config

    def write_text(self, name: str, text: str) -> None:
        self.write_bytes(name, text.encode())

    def write_json(self, name: str, content: Any) -> None:
        self.write_text(name, json.dumps(content, indent=2, allow_nan=False) + "\n")

    def write_csv(self, name: str, rows: list[dict]) -> None:
        text = io.StringIO()
        writer = csv.DictWriter(text, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        self.write_text(name, text.getvalue())

    def write_arrays(self, name: str, **arrays: np.ndarray) -> None:
        write_atomically(self.path / name, lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]

    def write_bytes(self, name: str, content: bytes) -> None:
        write_atomically(self.path / name, lambda file: file.write(content))

    def clean(self) -> None:
        remove_temporaries(self.path)


class TrainedClassifier:
    """The best network of a run, ready to use."""

    def __init__(self, network: torch.nn.Module, classes: tuple[str, ...], mean: float, std: float):
        self.network, self.classes, self.mean, self.std = network.eval(), classes, mean, std

    def predict(self, images: Tensor | np.ndarray) -> Tensor:
        """Upright images, uint8 [N, 28, 28] (0 = paper, 255 = ink) → probabilities float32 [N, classes].

        Raises ValueError for another shape or type.
        """
        return self.logits(images).softmax(1)

    @torch.inference_mode()
    def logits(self, images: Tensor | np.ndarray) -> Tensor:
        """uint8 [N, 28, 28] → logits float32 [N, classes], in 32-bit whatever precision it was trained in."""
        images = images if isinstance(images, Tensor) else torch.from_numpy(np.ascontiguousarray(images))
        if images.dtype != torch.uint8 or images.shape[1:] != (28, 28):
            raise ValueError(f"images are {images.dtype} {list(images.shape)}; give uint8 [N, 28, 28]")
        device = next(self.network.parameters()).device
        batches = images.split(EVALUATION_BATCH)
        return torch.cat([self.network(normalize(batch.to(device), self.mean, self.std)).cpu() for batch in batches])


def read_checkpoint(path: Path, device: Any = "cpu") -> dict[str, Any]:
    """Tensors and plain values, nothing that could run code. Raises UserError for a file that has anything else."""
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # a truncated or altered file fails in a dozen ways
        raise UserError(f"{path}: not a checkpoint of this project, or damaged") from error


def load_run(folder: str | Path, device: str | torch.device = "cpu") -> TrainedClassifier:
    """The classifier with the highest validation accuracy that the run in `folder` has come to so far.

    Nothing but tensors and plain values is read, so the folder may come from a stranger. Raises UserError
    where there is no such run or it has no finished epoch.
    """
    path = RunFolder(folder).best
    if not path.exists():
        raise UserError(f"{folder}: not the folder of a run with a finished epoch ({path} is missing)")
    checkpoint = read_checkpoint(path)
    try:
        about = checkpoint["about"]
        network = build_model(num_classes=len(about["classes"]), **about["model"])
        state, prefix = checkpoint["state_dict"], "network."
        network.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
        classifier = TrainedClassifier(network, tuple(about["classes"]), about["mean"], about["std"])
    except Exception as error:
        raise UserError(f"{path}: not a checkpoint of this project ({str(error).splitlines()[0]})") from error
    network.to(device)
    return classifier
