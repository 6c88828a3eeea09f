"""The best cell of each model, and how they differ."""

import itertools
from collections import Counter
from dataclasses import dataclass
from statistics import fmean

from emnist.analysis.collection import Cell
from emnist.analysis.comparison import Difference, correct, difference


@dataclass
class Candidate:
    """A cell that may be the best of its model."""

    cell: Cell
    label: str
    planned: int  # runs


@dataclass
class Selection:
    """Cells on the same images, and the best of each model among them."""

    candidates: list[Candidate]
    best: list[Candidate]  # one a model
    left_out: list[Cell]  # tested on other images

    @property
    def differences(self) -> list[tuple[Candidate, Candidate, Difference]]:
        """Each best cell compared with those before it; p corrected for the number of comparisons."""
        pairs = itertools.combinations(self.best, 2)
        compared = [(a, b, d) for a, b in pairs if (d := difference(b.cell, a.cell)) is not None]
        correct([d for *_, d in compared])
        return compared


def select(candidates: list[Candidate], order: list[str]) -> Selection:
    """The best cell of each model by mean validation accuracy, among those with all their runs; models in this order.

    Accuracies on other images can't be compared, so only one set of images counts: handwriting before generated
    characters, then the set with the most runs.
    """
    tested = [candidate for candidate in candidates if candidate.cell.tested]
    runs = Counter(run.fingerprint for candidate in tested for run in candidate.cell.tested)
    cells = [candidate.cell for candidate in tested]
    images = max(((c.is_handwriting, runs[c.fingerprint], c.fingerprint) for c in cells), default=(False, 0, ""))[2]
    same = [candidate for candidate in tested if candidate.cell.fingerprint == images]
    best: dict[str, Candidate] = {}
    for candidate in same:
        values = candidate.cell.values("val_accuracy")
        model = candidate.cell.model
        before = fmean(best[model].cell.values("val_accuracy")) if model in best else -1
        if len(values) == candidate.planned and fmean(values) > before:
            best[model] = candidate
    known = [model for model in order if model in best]
    others = {cell.id: cell for cell in cells if cell.fingerprint != images}
    return Selection(same, [best[m] for m in (*known, *sorted(best.keys() - set(known)))], list(others.values()))
