"""The best cell of each model, and how they differ."""

import itertools
from collections import Counter
from dataclasses import dataclass
from statistics import fmean

from emnist.analysis.collection import Cell
from emnist.analysis.comparison import difference
from emnist.analysis.study_result import Difference
from emnist.analysis.verdict import BETTER, UNDECIDED, WORSE


@dataclass
class Candidate:
    """A cell that may be the best of its model."""

    cell: Cell
    label: str
    planned: int  # runs

    @property
    def epochs(self) -> int:
        """At most."""
        return self.cell.config["trainer"]["max_epochs"]

    @property
    def stopped_early(self) -> bool:
        """Whether all its runs stopped because more epochs did not help."""
        return all(run.result is not None and run.result.stopped == "early_stopping" for run in self.cell.tested)


@dataclass
class Selection:
    """Cells on the same images, and the best of each model among them."""

    candidates: list[Candidate]
    best: list[Candidate]  # one a model
    left_out: list[Cell]  # tested on other images

    @property
    def differences(self) -> list[tuple[Candidate, Candidate, Difference]]:
        """Each best cell compared with those before it, corrected for the number of comparisons.

        Which model is better is undecided where the one that seems worse might only need more epochs.
        """
        pairs = list(itertools.combinations(self.best, 2))
        compared = [(a, b, d) for a, b in pairs if (d := difference(b.cell, a.cell, len(pairs))) is not None]
        for a, b, d in compared:
            lower, higher = (b, a) if d.verdict == WORSE else (a, b)
            if d.verdict in (BETTER, WORSE) and lower.epochs < higher.epochs and not lower.stopped_early:
                d.verdict = UNDECIDED
                d.reason = f"{lower.epochs} epochs against {higher.epochs}: more might help"
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
