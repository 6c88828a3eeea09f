"""What a study found: every value of a factor beside the configuration it started from, with a verdict."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

from emnist.analysis.collection import Cell, Collection, Run
from emnist.analysis.statistics import (
    LEVEL,
    holm,
    mean_interval,
    paired_interval,
    paired_p,
    proportions_differ,
    wilson_interval,
)

OFFICIAL_TEST_IMAGES = 18_800  # on which the report measured
NO_DIFFERENCE = "no measurable difference"
INCOMPLETE = "incomplete"


class Estimate(NamedTuple):
    """A figure with its 95% interval, as shares of 1."""

    mean: float
    low: float
    high: float


@dataclass
class Difference:
    """How much more often one cell is right than another on the same test images."""

    estimate: Estimate
    p: float  # as tested
    pairs: int  # trainings with the same fold and seed
    same_sign: int  # of the pairs, those that go the way of the mean
    planned: int  # pairs
    p_corrected: float | None = None  # for all comparisons of the study

    @property
    def verdict(self) -> str:
        """Better or worse only where all are there, the images say so, and no pair of trainings contradicts."""
        if self.pairs < self.planned:
            return INCOMPLETE  # those that are missing or diverged may be the worst
        if self.p_corrected is None or self.p_corrected >= LEVEL or self.same_sign < self.pairs:
            return NO_DIFFERENCE
        return "better" if self.estimate.mean > 0 else "worse"


@dataclass
class Claim:
    """What the report says of a value against the one the factor started from."""

    direction: str  # better, worse, not better, no different
    points: float | None = None  # of published accuracies in %
    beyond_error: bool | None = None  # more than two samples of the official test set's size explain

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
    is_start: bool  # of the factor: what the other values are compared with
    is_chosen: bool  # by a greedy study
    published: float | None
    claim: Claim | None
    val: Estimate | None
    test: Estimate | None
    difference: Difference | None

    @property
    def state(self) -> str:
        """What there is to say of its runs where they are not simply all there."""
        if not self.cell.runs:
            return "missing"
        if self.planned == 1 and (fate := self.cell.runs[0].fate) != "finished":
            return fate
        fates = Counter(run.fate for run in self.cell.runs)
        parts = [f"{fates[fate]} {fate}" for fate in ("diverged", "failed", "unfinished") if fates[fate]]
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
    best: Cell | None  # by mean validation accuracy, of the cells with all their runs
    runs: list[str]  # names, in each cell
    folder: Path
    namesake: str | None = None  # the name it shares with one in another folder
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
        """Factor, value and what sets it apart, of every comparison."""
        rows = [(factor, row) for factor, rows in self.factors.items() for row in rows]
        return [(factor, row, row.difference) for factor, row in rows if row.difference is not None]


def compare(plan: dict[str, Any], folder: Path, collection: Collection) -> StudyResult:
    """The study that left this plan, from the runs there are. Nothing is chosen by a test figure."""

    def cell(id: str | None) -> Cell:
        return collection.cell(id, folder, plan["runs"])

    runs, start = plan["runs"], cell(plan["reference"])
    study = StudyResult(plan["study"], plan["mode"], plan["overrides"], start, None, runs, folder)
    planned = len(runs)
    for factor in plan["factors"]:
        start = cell(factor["reference"])
        starts = [value for value in factor["values"] if value["cell"] == factor["reference"] and value["cell"]]
        rows = study.factors[factor["name"]] = []
        for value in factor["values"]:
            here = cell(value["cell"])
            is_start = value in starts
            rows.append(
                Row(
                    label=value["label"],
                    cell=here,
                    planned=planned,
                    is_start=is_start,
                    is_chosen=value["label"] == factor["chosen"],
                    published=value["published"],
                    claim=None if is_start or not starts else claim(value, starts[0]),
                    val=val_accuracy(here),
                    test=test_accuracy(here),
                    difference=None if is_start else difference(here, start, planned),
                )
            )
    correct([difference for *_, difference in study.compared])
    complete = [c for c in study.cells if len(c.figures("val_accuracy")) == planned]
    study.best = max(complete, key=lambda c: fmean(c.figures("val_accuracy")), default=None)
    return study


def claim(value: dict[str, Any], start: dict[str, Any]) -> Claim | None:
    """The report's, from its words, its figures, or the order it gives."""
    if value["claim"] is not None:
        return Claim(value["claim"])
    a, b = value["published"], start["published"]
    if a is not None and b is not None:
        direction = "better" if a > b else "worse" if a < b else "no different"
        return Claim(direction, a - b, proportions_differ(a / 100, b / 100, OFFICIAL_TEST_IMAGES))
    a, b = value["rank"], start["rank"]
    if a is not None and b is not None:
        return Claim("better" if a < b else "worse" if a > b else "no different")
    return None


def val_accuracy(cell: Cell) -> Estimate | None:
    """Mean over the runs; its interval from their spread or, for one run alone, from the number of images."""
    values = cell.figures("val_accuracy")
    if not values:
        return None
    if len(values) > 1:
        return Estimate(fmean(values), *mean_interval(values))
    results = [run.result for run in cell.runs if run.result is not None]
    images = next(result["data"]["val"] for result in results if result["val_accuracy"] is not None)
    return Estimate(values[0], *wilson_interval(values[0] * images, images))


def test_accuracy(cell: Cell) -> Estimate | None:
    """Mean over the runs, which all see the same test images, with Wilson's interval for that many."""
    if not cell.results:
        return None
    mean = fmean(cell.figures("test_accuracy"))
    images = cell.results[0].result["data"]["test"]  # type: ignore[index]
    return Estimate(mean, *wilson_interval(mean * images, images))


def difference(cell: Cell, start: Cell, planned: int = 1) -> Difference | None:
    """The paired comparison of two cells on the same test images; None where no pair of runs has them.

    Of `planned` pairs of runs, those that are there.
    """
    others = {(run.fold, run.seed): run for run in start.results}
    sums = []
    for run in cell.results:
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
    """For each test image 1 where only `run` is right, -1 where only `other` is: int [N]; None on other images."""
    if run.answers is None or other.answers is None:
        return None
    (labels, predicted), (other_labels, other_predicted) = run.answers, other.answers
    if run.fingerprint != other.fingerprint or not np.array_equal(labels, other_labels):
        return None
    return (predicted == labels).astype(int) - (other_predicted == labels)


def correct(differences: list[Difference]) -> None:
    """Correct the p of these for their number."""
    for d, p in zip(differences, holm([d.p for d in differences]), strict=True):
        d.p_corrected = p
