"""How checkpoints are written and read during training."""

import io
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO

from emnist.atomic import write_bytes
from emnist.inference.load import read_checkpoint


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoints are written whole or not at all, and loading one runs no code."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path, storage_options=None) -> None:
        # Through memory, since torch reports a full disk as an error that doesn't mention it.
        buffer = io.BytesIO()
        torch.save(checkpoint, buffer)
        write_bytes(Path(path), buffer.getbuffer())

    def load_checkpoint(self, path, map_location="cpu", weights_only=True) -> dict[str, Any]:
        return read_checkpoint(Path(path), map_location)
