"""The best cell of each model after the same number of epochs."""

from dataclasses import dataclass
from statistics import fmean

from emnist.analysis.collection import FINISHED
from emnist.analysis.selection import Candidate


@dataclass(frozen=True)
class Reached:
    """The accuracies of a cell in its best epoch by validation among the first ones, as means over its runs."""

    candidate: Candidate
    runs: int
    val: float
    test: float


def smallest_budget(best: list[Candidate]) -> int | None:
    """The smallest number of epochs that these cells could train for; None if they all have the same."""
    budgets = {candidate.epochs for candidate in best}
    return min(budgets) if len(budgets) > 1 else None


def reached_after(best: list[Candidate], epochs: int) -> list[Reached]:
    """What each cell reached in the first so many epochs, of those with validation.

    From metrics.csv, so nothing is trained again: schedules and early stopping are those of the whole training.
    """
    return [reached for candidate in best if (reached := _reached(candidate, epochs)) is not None]


def _reached(candidate: Candidate, epochs: int) -> Reached | None:
    chosen = []
    for run in candidate.cell.tested:
        rows = [row for row in run.epochs[:epochs] if "val_accuracy" in row and "test_accuracy" in row]
        if rows and run.status == FINISHED:
            chosen.append(max(rows, key=lambda row: row["val_accuracy"]))
    if not chosen:
        return None
    val, test = (fmean(row[key] for row in chosen) for key in ("val_accuracy", "test_accuracy"))
    return Reached(candidate, len(chosen), val, test)
