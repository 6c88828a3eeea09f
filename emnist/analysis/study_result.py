"""What a study shows: the difference of every value from its start, with a verdict, and what the values are."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from emnist.analysis.collection import FAILED, FINISHED, UNFINISHED, Cell
from emnist.analysis.statistics import LEVEL
from emnist.analysis.verdict import BETTER, EQUAL, INCOMPLETE, UNDECIDED, WORSE
from emnist.runs.result import DIVERGED


class Estimate(NamedTuple):
    """An accuracy or a difference of two with its 95% interval, as fractions of 1."""

    mean: float
    low: float
    high: float


@dataclass
class Difference:
    """The difference in test accuracy between two settings, measured on the same test images."""

    estimate: Estimate  # with an interval that covers all differences of the study together
    p: float  # of no difference, corrected for the number of comparisons
    verdict: str  # better, worse, equal, undecided, incomplete
    runs: int
    reference_runs: int
    more_runs: int | None = None  # that would probably settle an undecided one; None: none would, or unknown
    images: int | None = None  # test images that would probably settle it with the runs at hand
    reason: str = ""  # why there can be no verdict

    @property
    def of_networks(self) -> bool:
        """One run has shown nothing about another training: interval and p are about these two networks alone."""
        return min(self.runs, self.reference_runs) < 2

    @property
    def is_clear(self) -> bool:
        """Better or worse, or of single networks: other than 0 beyond chance."""
        return self.p < LEVEL if self.of_networks else self.verdict in (BETTER, WORSE)


@dataclass
class Claim:
    """What the reference report says of a value against the starting value of its factor."""

    direction: str  # better, worse, not better, no different
    points: float | None = None  # of published accuracies in %
    beyond_error: bool | None = None  # larger than the sampling error of two test sets of the official size
    within_delta: bool = False  # so small that it counts as equal

    def agrees(self, verdict: str) -> str:
        if verdict == INCOMPLETE:
            return ""
        if verdict == UNDECIDED:
            return "undecided"
        if verdict == EQUAL:
            return "no" if self.direction in ("better", "worse") and not self.within_delta else "yes"
        return "yes" if verdict == self.direction or (verdict, self.direction) == ("worse", "not better") else "no"


@dataclass
class Row:
    """One value of a factor."""

    factor: str
    setting: str | None  # of a study that has settings
    label: str
    init: str | None  # the source whose network its runs start from
    cell: Cell
    names: list[str]  # of its runs
    planned_against: int  # runs of what it is compared with
    is_start: bool  # the other values of the factor are compared with it
    is_chosen: bool  # by a greedy study
    published: float | None
    claim: Claim | None
    val: Estimate | None
    test: Estimate | None
    difference: Difference | None

    @property
    def planned(self) -> int:
        """Runs."""
        return len(self.names)

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
    starts: dict[str | None, Cell]  # by setting; None in a study without
    best: Cell | None  # by mean validation accuracy, among the cells with all their runs
    runs: list[str]  # names, in each cell
    reference_runs: list[str]  # names, in the starting cell
    folder: Path
    delta: float  # as a fraction of 1
    looks: list[int]  # of a study that decides
    namesake: str | None = None  # the name it shares with a study in another folder
    sources: dict[str, Cell] = field(default_factory=dict)  # of one run each, whose networks values start from
    factors: dict[str, list[Row]] = field(default_factory=dict)  # by name, after that of the setting

    @property
    def start(self) -> Cell:
        """The first cell; with settings, the start of the first one."""
        return next(iter(self.starts.values()))

    @property
    def settings(self) -> list[str]:
        return [setting for setting in self.starts if setting is not None]

    @property
    def by_setting(self) -> dict[str, list[Row]]:
        """The rows of each setting."""
        return {setting: [row for _, row in self.rows if row.setting == setting] for setting in self.settings}

    @property
    def by_value(self) -> dict[tuple[str, str], dict[str, Row]]:
        """Factor and label of every value → its row in each setting; without the starts."""
        values: dict[tuple[str, str], dict[str, Row]] = {}
        for setting, rows in self.by_setting.items():
            for row in (row for row in rows if not row.is_start):
                values.setdefault((row.factor, row.label), {})[setting] = row
        return values

    @property
    def planned(self) -> int:
        """Runs a cell, except of those with more."""
        return len(self.runs)

    @property
    def rows(self) -> list[tuple[str, Row]]:
        """Factor and value of every row."""
        return [(factor, row) for factor, rows in self.factors.items() for row in rows]

    @property
    def cells(self) -> list[Cell]:
        """Each once, with all its runs."""
        cells = {start.id: start for start in self.starts.values()}
        for _, row in self.rows:
            if row.cell.id not in cells or len(row.cell.runs) > len(cells[row.cell.id].runs):
                cells[row.cell.id] = row.cell
        return [cell for id, cell in cells.items() if id]

    def run_names(self, cell: Cell) -> list[str]:
        """The names of all runs that the study wants of a cell."""
        names = [row.names for _, row in self.rows if row.cell.id == cell.id]
        return max(names, key=len, default=self.runs)

    @property
    def compared(self) -> list[tuple[str, Row, Difference]]:
        """Factor, value and difference of every comparison."""
        return [(factor, row, row.difference) for factor, row in self.rows if row.difference is not None]
