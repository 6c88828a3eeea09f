"""The results of a study: every value of a factor compared with its starting configuration, with a verdict."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

import numpy as np

from emnist.analysis.collection import FAILED, FINISHED, UNFINISHED, Cell, Collection, Run
from emnist.analysis.statistics import (
    LEVEL,
    holm,
    mean_interval,
    paired_interval,
    paired_p,
    proportions_differ,
    wilson_interval,
)
from emnist.runs.plan import Plan, PlannedValue
from emnist.runs.result import DIVERGED

OFFICIAL_TEST_IMAGES = 18_800  # of the reference report
NO_DIFFERENCE = "no measurable difference"
INCOMPLETE = "incomplete"


class Estimate(NamedTuple):
    """An accuracy or a difference of two with its 95% interval, as fractions of 1."""

    mean: float
    low: float
    high: float


@dataclass
class Difference:
    """The difference in test accuracy between two cells on the same test images."""

    estimate: Estimate
    p: float  # uncorrected
    pairs: int  # trainings with the same fold and seed
    same_sign: int  # pairs whose difference has the sign of the mean
    planned: int  # pairs
    p_corrected: float | None = None  # for the number of comparisons

    @property
    def verdict(self) -> str:
        """better or worse only if no run is missing, p is below 0.05 and all pairs of runs agree in sign."""
        if self.pairs < self.planned:
            return INCOMPLETE  # the missing or diverged ones may be the worst
        if self.p_corrected is None or self.p_corrected >= LEVEL or self.same_sign < self.pairs:
            return NO_DIFFERENCE
        return "better" if self.estimate.mean > 0 else "worse"


@dataclass
class Claim:
    """What the reference report says of a value against the starting value of its factor."""

    direction: str  # better, worse, not better, no different
    points: float | None = None  # of published accuracies in %
    beyond_error: bool | None = None  # larger than the sampling error of two test sets of the official size

    def agrees(self, verdict: str) -> str:
        if verdict == INCOMPLETE:
            return ""
        if verdict == NO_DIFFERENCE:
            return "not confirmed" if self.direction in ("better", "worse") else "yes"
        return "yes" if verdict == self.direction or (verdict, self.direction) == ("worse", "not better") else "no"


@dataclass
class Row:
    """One value of a factor."""

    label: str
    cell: Cell
    planned: int  # runs
    is_start: bool  # the other values of the factor are compared with it
    is_chosen: bool  # by a greedy study
    published: float | None
    claim: Claim | None
    val: Estimate | None
    test: Estimate | None
    difference: Difference | None

    @property
    def problem(self) -> str:
        """What is wrong with its runs, if anything is."""
        if not self.cell.runs:
            return "missing"
        if self.planned == 1 and (status := self.cell.runs[0].status) != FINISHED:
            return status
        statuses = Counter(run.status for run in self.cell.runs)
        parts = [f"{statuses[status]} {status}" for status in (DIVERGED, FAILED, UNFINISHED) if statuses[status]]
        if missing := self.planned - len(self.cell.runs):
            parts.append(f"{missing} missing")
        return f"of {self.planned} runs: {', '.join(parts)}" if parts else ""

    @property
    def reasons(self) -> list[str]:
        return sorted({run.failure for run in self.cell.runs if run.failure is not None})


@dataclass
class StudyResult:
    name: str
    mode: str
    overrides: list[str]
    start: Cell
    best: Cell | None  # by mean validation accuracy, among the cells with all their runs
    runs: list[str]  # names, in each cell
    folder: Path
    namesake: str | None = None  # the name it shares with a study in another folder
    factors: dict[str, list[Row]] = field(default_factory=dict)

    @property
    def planned(self) -> int:
        """Runs a cell."""
        return len(self.runs)

    @property
    def cells(self) -> list[Cell]:
        """Each once."""
        cells = {self.start.id: self.start} | {row.cell.id: row.cell for rows in self.factors.values() for row in rows}
        return [cell for id, cell in cells.items() if id]

    @property
    def compared(self) -> list[tuple[str, Row, Difference]]:
        """Factor, value and difference of every comparison."""
        rows = [(factor, row) for factor, rows in self.factors.items() for row in rows]
        return [(factor, row, row.difference) for factor, row in rows if row.difference is not None]


def compare(plan: Plan, folder: Path, collection: Collection) -> StudyResult:
    """The study with this plan, from the runs that exist. Test accuracies choose nothing."""

    def cell(id: str | None) -> Cell:
        return collection.cell(id, folder, plan.runs)

    study = StudyResult(plan.study, plan.mode, plan.overrides, cell(plan.reference), None, plan.runs, folder)
    planned = len(plan.runs)
    for factor in plan.factors:
        start = cell(factor.reference)
        starts = [value for value in factor.values if value.cell == factor.reference and value.cell]
        rows = study.factors[factor.name] = []
        for value in factor.values:
            here = cell(value.cell)
            is_start = value in starts
            rows.append(
                Row(
                    label=value.label,
                    cell=here,
                    planned=planned,
                    is_start=is_start,
                    is_chosen=value.label == factor.chosen,
                    published=value.published,
                    claim=None if is_start or not starts else claim(value, starts[0]),
                    val=val_accuracy(here),
                    test=test_accuracy(here),
                    difference=None if is_start else difference(here, start, planned),
                )
            )
    correct([difference for *_, difference in study.compared])
    complete = [c for c in study.cells if len(c.values("val_accuracy")) == planned]
    study.best = max(complete, key=lambda c: fmean(c.values("val_accuracy")), default=None)
    return study


def claim(value: PlannedValue, start: PlannedValue) -> Claim | None:
    """The claim of the reference report, from its words, its accuracies or its order of the values."""
    if value.claim is not None:
        return Claim(value.claim)
    a, b = value.published, start.published
    if a is not None and b is not None:
        direction = "better" if a > b else "worse" if a < b else "no different"
        return Claim(direction, a - b, proportions_differ(a / 100, b / 100, OFFICIAL_TEST_IMAGES))
    i, j = value.rank, start.rank
    if i is not None and j is not None:
        return Claim("better" if i < j else "worse" if i > j else "no different")
    return None


def val_accuracy(cell: Cell) -> Estimate | None:
    """Mean over the runs, with an interval from their spread or, for a single run, from the number of images."""
    values = cell.values("val_accuracy")
    if not values:
        return None
    if len(values) > 1:
        return Estimate(fmean(values), *mean_interval(values))
    results = [run.result for run in cell.runs if run.result is not None]
    images = next(result.data.val for result in results if result.val_accuracy is not None)
    return Estimate(values[0], *wilson_interval(values[0] * images, images))


def test_accuracy(cell: Cell) -> Estimate | None:
    """Mean over the runs, which share the test images, with Wilson's interval for that number of images."""
    results = [run.result for run in cell.tested if run.result is not None]
    if not results:
        return None
    mean, images = fmean(cell.values("test_accuracy")), results[0].data.test
    return Estimate(mean, *wilson_interval(mean * images, images))


def difference(cell: Cell, start: Cell, planned: int = 1) -> Difference | None:
    """The paired comparison of two cells over runs with the same fold and seed, `planned` of them.

    None if no pair of runs was tested on the same images.
    """
    others = {(run.fold, run.seed): run for run in start.tested}
    sums = []
    for run in cell.tested:
        other = others.get((run.fold, run.seed))
        if other is not None and (pair := right_more_often(run, other)) is not None:
            sums.append(pair)
    if not sums:
        return None
    total = np.sum(sums, axis=0)
    sign = np.sign(total.sum())
    return Difference(
        estimate=Estimate(float(total.mean()) / len(sums), *paired_interval(total, len(sums))),
        p=paired_p(total),
        pairs=len(sums),
        planned=planned,
        same_sign=sum(int(np.sign(pair.sum()) == sign) for pair in sums),
    )


def right_more_often(run: Run, other: Run) -> np.ndarray | None:
    """Per test image 1 if only `run` is right, -1 if only `other` is, else 0: int64 [N]; None on other images."""
    if run.predictions is None or other.predictions is None:
        return None
    (labels, predicted), (other_labels, other_predicted) = run.predictions, other.predictions
    if run.fingerprint != other.fingerprint or not np.array_equal(labels, other_labels):
        return None
    return (predicted == labels).astype(int) - (other_predicted == labels)


def correct(differences: list[Difference]) -> None:
    """Correct the p of these comparisons for their number."""
    for d, p in zip(differences, holm([d.p for d in differences]), strict=True):
        d.p_corrected = p
