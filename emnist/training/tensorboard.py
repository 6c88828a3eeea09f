"""What TensorBoard shows of a run: curves per epoch, then figures, hyperparameters, the graph and a summary."""

import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import torch
from tensorboard.compat.proto.summary_pb2 import Summary
from torch import nn
from torch.utils.tensorboard import FileWriter, SummaryWriter
from torch.utils.tensorboard.summary import hparams

from emnist.errors import UserError
from emnist.runs.config import flatten
from emnist.runs.folder import RunFolder
from emnist.runs.result import Result

FINAL = ("test_accuracy", "test_loss", "val_accuracy")  # metrics of the HParams tab


class TensorBoardLog:
    """Writes the event file of a run. Raises UserError if the folder can't be written to."""

    def __init__(self, folder: RunFolder):
        self.folder = folder
        self.resumed_after = 0  # epochs; later events of an earlier session are dropped
        self.writer: SummaryWriter | None = None

    def log_epoch(self, epoch: int, metrics: dict[str, float], lr: float, seconds: float) -> None:
        """Add the scalars of a finished epoch."""
        with self._writing() as writer:
            for name, value in metrics.items():
                part, metric = name.split("_", 1)  # val_accuracy → accuracy/val: train, val and test side by side
                writer.add_scalar(f"{metric}/{part}", value, epoch)
            writer.add_scalar("lr", lr, epoch)
            writer.add_scalar("seconds", seconds, epoch)

    def finish(self, figures: dict[str, bytes], result: Result, network: nn.Module) -> None:
        """Add figures (PNG files by name), hyperparameters with the final metrics, the graph, and a summary as text."""
        final = {f"final/{name}": value for name in FINAL if (value := getattr(result, name)) is not None}
        # Without the experiment summary that add_hparams writes, TensorBoard's table has the columns of all runs.
        _, start, end = hparams(flatten(result.config), final)
        with self._writing() as writer:
            events = cast(FileWriter, writer.file_writer)
            for name, png in figures.items():
                events.add_summary(_image(f"figures/{name}", png), result.best_epoch)
            writer.add_text("run", summary_text(result, self.folder.config.read_text()), result.best_epoch)
            _add_graph(writer, network)
            for summary in (start, end):
                events.add_summary(summary)
            for name, value in final.items():
                writer.add_scalar(name, value, result.best_epoch)
            writer.close()

    @contextmanager
    def _writing(self) -> Iterator[SummaryWriter]:
        try:
            if self.writer is None:
                self.writer = SummaryWriter(str(self.folder.path), purge_step=self.resumed_after + 1)
            yield self.writer
            self.writer.flush()
        except OSError as error:
            reason = error.strerror or error
            raise UserError(f"{self.folder.path}: can't be written ({reason}); free some space there") from error


def summary_text(result: Result, config: str) -> str:
    """The outcome of a run and its configuration (YAML), in Markdown."""
    values = {key: value for key, value in result.model_dump().items() if not isinstance(value, dict | list)}
    rows = "\n".join(f"| {key} | {'–' if value is None else value} |" for key, value in values.items())
    heading = f"**{result.config['model']['name']}** on {result.data.description}"
    return f"{heading}\n\n| | |\n| --- | --- |\n{rows}\n\n```yaml\n{config}```"


def _image(tag: str, png: bytes) -> Summary:
    """The PNG as it is; SummaryWriter.add_image would decode and encode it again."""
    image = Summary.Image(encoded_image_string=png, colorspace=3)
    image.width, image.height = struct.unpack(">II", png[16:24])
    return Summary(value=[Summary.Value(tag=tag, image=image)])


def _add_graph(writer: SummaryWriter, network: nn.Module) -> None:
    image = torch.zeros(1, *cast(Sequence[int], network.image_shape), device=next(network.parameters()).device)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*torch.jit.*deprecated")  # which torch itself uses here
        writer.add_graph(network.eval(), image)
