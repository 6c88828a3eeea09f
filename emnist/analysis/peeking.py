"""What choosing the epoch on the test set is worth: how much it raises the test accuracy that is reported."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean, stdev

from emnist.analysis.collection import FINISHED, Run


@dataclass(frozen=True)
class Peeking:
    """The gains of the runs of one model on the same images, in points."""

    model: str
    data: str
    gains: list[float]

    @property
    def mean(self) -> float:
        return fmean(self.gains)

    @property
    def sd(self) -> float | None:
        """None for one run."""
        return stdev(self.gains) if len(self.gains) > 1 else None


def peeking(runs: Iterable[Run]) -> list[Peeking]:
    """Of all finished runs with validation, by model and images."""
    gains: dict[tuple[str, str], list[float]] = defaultdict(list)
    for run in runs:
        if run.status == FINISHED and run.result is not None and (gain := gain_of(run.epochs)) is not None:
            gains[run.config["model"]["name"], run.result.data.description].append(gain)
    return [Peeking(model, data, values) for (model, data), values in sorted(gains.items())]


def gain_of(epochs: list[dict[str, float]]) -> float | None:
    """Test accuracy in the best epoch on the test set less that in the best epoch by validation, in points.

    `epochs` are the rows of metrics.csv. The first of equally good epochs counts, as in training. None without
    validation.
    """
    rows = [row for row in epochs if "val_accuracy" in row and "test_accuracy" in row]
    if not rows:
        return None
    chosen = max(rows, key=lambda row: row["val_accuracy"])
    return 100 * (max(row["test_accuracy"] for row in rows) - chosen["test_accuracy"])
