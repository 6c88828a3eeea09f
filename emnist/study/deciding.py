"""A study that decides for itself which runs it still needs.

Each value is looked at after a growing number of runs (`study.looks`). At a look, its difference from the reference
gets a verdict. A value that is better, worse or equal within δ is settled, and one that more runs are not expected to
settle is given up. The others get the runs of their next look, first those that would probably take the least training.

The chance that any verdict of the study is false stays below 5%. The procedure is group-sequential: all looks at all
values have one limit (Pocock, Group sequential methods in the design and analysis of clinical trials, 1977), the
quantile of the largest of their deviates, which are correlated by the test images, the reference and the first runs
(`sequential_limit`). It is computed at the first look. A greedy study shares the 5% among its steps (Bonferroni).

A look uses the first runs of the value and of the reference in the order of the plan, and nothing else. So the verdicts
follow from the results alone, and a study that is killed and started again comes to the same ones. Only a budget in
time may end elsewhere, since it depends on how long the runs took.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import fmean

import numpy as np

from emnist.analysis.statistics import LEVEL
from emnist.analysis.variance import NO_PRIOR, Prior, Sample, moderate
from emnist.analysis.verdict import (
    INCOMPLETE,
    UNDECIDED,
    Contrast,
    Limit,
    bonferroni_limit,
    contrast,
    next_look,
    sequential_limit,
)
from emnist.errors import UserError
from emnist.runs.folder import RunFolder
from emnist.runs.identity import run_name
from emnist.runs.plan import PlannedFactor, PlannedValue
from emnist.study.planning import PlannedCell, PlannedRun, Planner, Starts, Step, tell

# What a study expects before it has trained anything, as fractions of 1; measured with the MLP on a quarter of EMNIST
# Balanced.
TYPICAL_RUN_SD = 0.003  # standard deviation of the accuracy from run to run
TYPICAL_DISAGREEMENT = 0.02  # variance over images of the difference between two settings
TYPICAL_DIFFERENCE = 0.01  # of values without a published figure


@dataclass
class Candidate:
    """A value, and how far the study has got with it."""

    planned: PlannedValue
    cell: PlannedCell
    start: PlannedValue | None  # the value of its factor that it is compared with
    looks: int = 0  # so far
    verdict: str = UNDECIDED  # at the last of them
    closed: bool = False  # settled or given up
    cost: float = 0.0  # seconds of training that settling it would probably take


class DecidingPlanner(Planner):
    """Plans the runs that the verdicts need, as far as the budget of the study goes."""

    def __init__(self, *arguments, test_images: int):
        super().__init__(*arguments)
        self.test_images = test_images
        self.wanted: dict[Path, None] = {}  # the runs of the study so far, in order
        self.known: dict[str, PlannedCell] = {}  # those with the runs of the first look
        self.not_reached = 0  # values that the budget ended before a verdict

    def factor_steps(self) -> Iterator[Step]:
        self.plan.looks = self.study.looks
        self.plan.comparisons = sum(
            self.study.mode == "greedy" or not self.is_start(factor, label)
            for factor, values in self.study.factors.items()
            for label in values
        )
        self.plan.runs = self.names(self.study.looks[0])
        least = (1 + self.study.reference_times) * self.study.looks[0]
        if self.study.max_runs is not None and self.study.max_runs < least:
            raise UserError(f"study.max_runs={self.study.max_runs}: the first look at one value takes {least} runs")
        tell(self.forecast())
        yield from super().factor_steps()

    def train(self, group: list[PlannedFactor], starts: Starts, later: int) -> Iterator[Step]:
        start = starts[None]  # a study that decides has no settings
        reference = self.cell(start)
        candidates = self.candidates(group, start)
        self.enter(candidates)
        if candidates and self.study.budget is not None:  # a time can't be planned with before something was trained
            yield self.step(self.needed(candidates[0], reference))
        prior, limit = NO_PRIOR, None
        open_ = candidates
        while open_:
            needed = {id(one): self.needed(one, reference) for one in open_}
            open_ = sorted(open_, key=lambda one: one.cost)
            reached = self.affordable(open_, needed)
            if not reached:
                self.not_reached += len(open_)
                break
            waiting = [one for one in open_ if one not in reached]  # until more is known of the time of a run
            yield self.step([run for one in reached for run in needed[id(one)]])
            for one in reached:
                if any(right_answers(run.path) is None for run in needed[id(one)]):  # failed, or diverged at once
                    one.closed, one.verdict = True, INCOMPLETE
            open_ = [one for one in reached if not one.closed]
            if limit is None:
                self.known |= {cell.id: cell for cell in (reference, *(one.cell for one in open_)) if open_}
                prior = moderate([self.sample(cell, self.study.looks[0]) for cell in self.known.values()])
                first = [self.contrast(one, reference, prior) for one in open_]
                limit = sequential_limit(first, self.study.looks, self.plan.comparisons, LEVEL)
            for one in open_:
                self.look(one, self.contrast(one, reference, prior), limit)
            open_ = [one for one in open_ if not one.closed] + waiting
            self.enter(candidates)
            tell(self.progress(candidates, len(open_)))

    def candidates(self, group: list[PlannedFactor], start: tuple[str, ...]) -> list[Candidate]:
        """The values of these factors that are compared with the cell they start from."""
        reference, found = self.cell(start).id, []
        for factor in group:
            first = next((value for value in factor.values if value.cell == reference), None)
            for value in factor.values:
                if value.cell != reference and value.label in self.labels(factor):
                    found.append(Candidate(value, self.cell(start, factor.name, value.label), first))
        return found

    def needed(self, one: Candidate, reference: PlannedCell) -> list[PlannedRun]:
        """The runs of the reference and of the value for its next look."""
        count = self.study.looks[one.looks]
        runs = [self.run(reference, *run) for run in self.study.first_runs(self.study.reference_times * count)]
        return runs + [self.run(one.cell, *run) for run in self.study.first_runs(count)]

    def affordable(self, candidates: Sequence[Candidate], needed: dict[int, list[PlannedRun]]) -> list[Candidate]:
        """The first of these values whose runs the budget allows."""
        wanted, reached = dict(self.wanted), []
        for one in candidates:
            wanted |= dict.fromkeys(run.path for run in needed[id(one)])
            if self.study.max_runs is not None and len(wanted) > self.study.max_runs:
                break
            if self.study.budget is not None and training_time(list(wanted)) > self.study.budget:
                break
            reached.append(one)
        return reached

    def step(self, runs: list[PlannedRun]) -> Step:
        """Ask for these runs, the first run of each cell before the next."""
        self.wanted |= dict.fromkeys(run.path for run in runs)
        order = {run_name(*run): i for i, run in enumerate(self.study.first_runs(len(self.wanted)))}
        distinct = list({run.path: run for run in runs}.values())
        return Step(sorted(distinct, key=lambda run: order[run.path.name]), 0)

    def sample(self, cell: PlannedCell, count: int) -> Sample:
        """The answers of the first runs of a cell."""
        answers = [right_answers(self.run(cell, *run).path) for run in self.study.first_runs(count)]
        return Sample(np.stack([right for right in answers if right is not None]), 1 / (self.study.all_folds - 1))

    def contrast(self, one: Candidate, reference: PlannedCell, prior: Prior) -> Contrast:
        """The difference of the value from the reference at its next look."""
        count = self.study.looks[one.looks]
        return contrast(self.sample(one.cell, count), self.sample(reference, self.study.reference_times * count), prior)

    def look(self, one: Candidate, c: Contrast, limit: Limit) -> None:
        """Draw a verdict from the runs of the next look, and close the value if it is settled or hopeless."""
        one.looks += 1
        one.verdict, more = next_look(c, limit, self.study.delta / 100, self.study.looks[-1])
        one.closed = more is None
        one.cost = (more or 0) * training_time([self.run(one.cell, *self.study.runs[0]).path])

    def enter(self, candidates: Sequence[Candidate]) -> None:
        """Write the runs that the last look at each value has used into the plan."""
        looks, times = self.study.looks, self.study.reference_times
        for one in candidates:
            # A run that failed belongs to the look that it prevented.
            count = looks[one.looks if one.verdict == INCOMPLETE else max(one.looks - 1, 0)]
            one.planned.runs, one.planned.against = self.names(count), self.names(times * count)
            if one.start is not None and len(one.start.against or []) < times * count:
                one.start.against = one.planned.against
            if len(self.plan.reference_runs) < times * count:
                self.plan.reference_runs = self.names(times * count)
        self.write()

    def names(self, count: int) -> list[str]:
        return [run_name(*run) for run in self.study.first_runs(count)]

    @property
    def chooses_by(self) -> list[tuple[int | None, int]]:
        return self.study.first_runs(self.study.looks[0])

    def forecast(self) -> str:
        """What the study will probably need, from the published differences and typical variances."""
        looks, limits = self.study.looks, []
        expected = [self.expected_look(*pair) for factor in self.study.factors for pair in self.published(factor)]

        def runs(counts: list[int]) -> int:
            return sum(counts) + self.study.reference_times * max(counts, default=0)

        folders = self.folder.glob(f"{self.reference.id.partition('/')[0]}/*/*")
        known = [seconds for path in folders if (seconds := duration(path)) is not None]
        time = f", {fmean(known) * runs(expected) / 3600:.1f} h of training" if known else ""
        if self.study.max_runs is not None:
            limits.append(f"{self.study.max_runs} runs")
        if self.study.budget is not None:
            limits.append(f"{self.study.budget / 3600:.2g} h of training")
        least, most = (runs([look] * len(expected)) for look in (looks[0], looks[-1]))
        return (
            f"{self.name}: {len(expected)} comparisons, expected to take about {runs(expected)} runs{time}; "
            f"at least {least}, at most {most}{', within ' + ' and '.join(limits) if limits else ''}"
        )

    def published(self, factor: str) -> list[tuple[float | None, float | None]]:
        """For each comparison of a factor: the published accuracies of the value and of the one it starts from, in %.

        A greedy study does not know yet where later factors start: from the best, as published.
        """
        values = self.study.factors[factor]
        start = max(values, key=lambda label: values[label].published or 0.0)
        if self.study.mode == "around":
            start = next((label for label in values if self.is_start(factor, label)), start)
        wanted = [label for label in self.study.wanted(factor) if label != start]
        return [(values[label].published, values[start].published) for label in wanted]

    def is_start(self, factor: str, label: str) -> bool:
        """Whether the value makes the reference of the study."""
        if not self.can_start(self.study.factors[factor][label]):
            return False
        return self.cell(self.start, factor, label).id == self.reference.id

    def expected_look(self, published: float | None, start: float | None) -> int:
        """After how many runs a value will probably be settled or given up."""
        known = published is not None and start is not None
        difference = abs(published - start) / 100 if known else TYPICAL_DIFFERENCE  # type: ignore[operator]
        looks, overlap, delta = self.study.looks, 1 / (self.study.all_folds - 1), self.study.delta / 100
        limit = bonferroni_limit(LEVEL, max(self.plan.comparisons, 1)).deviate  # about right for looks so correlated
        for count in looks:
            runs = TYPICAL_RUN_SD**2 * (1 / count + 1 / (self.study.reference_times * count) + 2 * overlap)
            half = limit * (runs + TYPICAL_DISAGREEMENT / self.test_images) ** 0.5
            if half < max(difference, delta - difference):
                return count
        return looks[0]  # more runs won't help: given up at the first look

    def progress(self, candidates: Sequence[Candidate], open_: int) -> str:
        incomplete = sum(one.verdict == INCOMPLETE for one in candidates)
        settled = sum(one.verdict != UNDECIDED for one in candidates) - incomplete
        parts = [f"{settled} values settled", f"{open_} need more"]
        if undecided := len(candidates) - settled - incomplete - open_:
            parts.append(f"{undecided} stay undecided")
        if incomplete:
            parts.append(f"{incomplete} incomplete")
        return f"{self.name}: after {len(self.wanted)} runs {', '.join(parts)}"


def right_answers(path: Path) -> np.ndarray | None:
    """Whether the run got each test image right, bool [N]; None without predictions."""
    return _answers(path) if RunFolder(path).result.exists() else None


@cache  # a run with a result doesn't change
def _answers(path: Path) -> np.ndarray | None:
    arrays = RunFolder(path).read_predictions("label", "predicted")
    return None if arrays is None else arrays[0] == arrays[1]


def duration(path: Path) -> float | None:
    """Seconds that the run was trained for; None without a result."""
    return _duration(path) if RunFolder(path).result.exists() else None


@cache
def _duration(path: Path) -> float | None:
    result = RunFolder(path).read_result()
    return result.duration_s if result else None


def training_time(paths: Sequence[Path]) -> float:
    """Seconds of training of these runs: measured, and for those without a result the mean of the others."""
    known = [seconds for path in paths if (seconds := duration(path)) is not None]
    return sum(known) + (len(paths) - len(known)) * (fmean(known) if known else 0.0)
