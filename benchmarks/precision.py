"""Does bf16 cost accuracy? The best CNN of the reference report in 32-bit and in bf16, over the same folds.

    python benchmarks/precision.py [--folds 3] [--epochs 10] [--out outputs/precision]

Compares validation accuracies, fold by fold. The runs stay in the folder, which has to be new.
"""

import argparse
import statistics
from pathlib import Path

from hydra import compose, initialize_config_dir
from rich.console import Console
from rich.table import Table

from emnist.command import CONF
from emnist.training.job import run_job

PRECISIONS = ("32-true", "bf16-mixed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--out", type=Path, default=Path("outputs/precision"))
    arguments = parser.parse_args()

    accuracies: dict[str, list[float]] = {precision: [] for precision in PRECISIONS}
    for fold in range(arguments.folds):
        for precision in PRECISIONS:
            folder = arguments.out / f"fold_{fold}_{precision}"
            folder.mkdir(parents=True, exist_ok=True)
            epochs, number = f"trainer.max_epochs={arguments.epochs}", f"data.fold={fold}"
            with initialize_config_dir(str(CONF.resolve()), version_base="1.3"):
                config = compose("train", ["experiment=cnn_best", f"trainer.precision={precision}", epochs, number])
            result = run_job(config, folder)
            accuracies[precision].append(100 * result.val_accuracy)
            data = result.data.description
    differences = [bf16 - full for full, bf16 in zip(*accuracies.values(), strict=True)]
    table = Table(title=f"experiment=cnn_best, {arguments.epochs} epochs, {data}: validation accuracy %")
    table.add_column("fold")
    for column in (*PRECISIONS, "difference"):
        table.add_column(column, justify="right")
    for fold, row in enumerate(zip(*accuracies.values(), differences, strict=True)):
        table.add_row(str(fold), *(f"{value:.2f}" for value in row[:2]), f"{row[2]:+.2f}")
    means = [statistics.mean(values) for values in accuracies.values()]
    table.add_row("mean", *(f"{mean:.2f}" for mean in means), f"{statistics.mean(differences):+.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
