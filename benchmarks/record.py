"""How long experiment=record takes for the accuracy that cnn_best reaches in 20 epochs.

    python benchmarks/record.py [--epochs 3 4 6] [--data emnist]

Both train on the same fold through `fit`, one after the other in one process, with all that a run does but its end:
evaluation, metrics, checkpoints. cnn_best has the epoch with the highest validation accuracy; the record its last one,
since its number of epochs is fixed beforehand.
"""

import argparse
import tempfile
from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table

from emnist.command import CONF
from emnist.runs.folder import RunFolder
from emnist.training.fit import fit


def train(*overrides: str) -> tuple[float, list[dict[str, float]]]:
    """The seconds of training and evaluation, and the rows of metrics.csv, of a run with these overrides."""
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = OmegaConf.to_container(compose("train", [*overrides, "patience=null"]), resolve=True)
    with tempfile.TemporaryDirectory() as folder:
        result = fit(config, RunFolder(Path(folder)))  # type: ignore[arg-type]
        assert result is not None
        return result.duration_s, RunFolder(Path(folder)).read_metrics()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, nargs="+", default=[3, 4, 6])
    parser.add_argument("--data", default="emnist")
    arguments = parser.parse_args()
    data = f"data={arguments.data}"
    seconds, rows = train("experiment=cnn_best", data)
    best = max(rows, key=lambda row: row["val_accuracy"])
    table = Table("", "epochs", "seconds", "of cnn_best", "validation %", "test %")
    shown = f"{100 * best['val_accuracy']:.2f}", f"{100 * best['test_accuracy']:.2f}"
    table.add_row("cnn_best", str(len(rows)), f"{seconds:.0f}", "1.00", *shown)
    for epochs in arguments.epochs:
        own, rows = train("experiment=record", data, f"trainer.max_epochs={epochs}")
        last = rows[-1]
        shown = f"{100 * last['val_accuracy']:.2f}", f"{100 * last['test_accuracy']:.2f}"
        table.add_row("record", str(epochs), f"{own:.0f}", f"{own / seconds:.2f}", *shown)
    Console().print(table)


if __name__ == "__main__":
    main()
