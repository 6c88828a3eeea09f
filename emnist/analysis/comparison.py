"""The results of a study: every value of a factor compared with its starting configuration, with a verdict."""

from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

import numpy as np

from emnist.analysis.collection import Cell, Collection
from emnist.analysis.statistics import (
    LEVEL,
    corrected_mean_interval,
    holm,
    mcnemar_interval,
    mcnemar_p,
    proportions_differ,
    wilson_interval,
)
from emnist.analysis.study_result import Claim, Difference, Estimate, Row, StudyResult
from emnist.analysis.variance import NO_PRIOR, Prior, Sample, accuracy_interval, moderate
from emnist.analysis.verdict import (
    INCOMPLETE,
    UNDECIDED,
    Contrast,
    Limit,
    bonferroni_limit,
    contrast,
    images_needed,
    joint_limit,
    more_runs,
    sequential_limit,
)
from emnist.runs.plan import Plan, PlannedValue

OFFICIAL_TEST_IMAGES = 18_800  # of the reference report


def compare(plan: Plan, folder: Path, collection: Collection) -> StudyResult:
    """The study with this plan, from the runs that exist. Test accuracies choose nothing."""
    reference_runs = plan.reference_runs or plan.runs
    references: dict[str | None, str | None] = {
        factor.setting: factor.reference for factor in plan.factors if factor.setting is not None
    }
    study = StudyResult(
        plan.study,
        plan.mode,
        plan.overrides,
        {
            key: collection.cell(id, folder, reference_runs)
            for key, id in (references or {None: plan.reference}).items()
        },
        None,
        plan.runs,
        reference_runs,
        folder,
        plan.delta / 100,
        plan.looks,
    )
    study.sources = {name: collection.cell(source.cell, folder, [source.run]) for name, source in plan.sources.items()}
    against: list[tuple[Row, Cell]] = []  # each row and what it is compared with
    for factor in plan.factors:
        starts = [value for value in factor.values if value.cell == factor.reference and value.cell]
        rows = study.factors[factor.title] = []
        for value in factor.values:
            is_start = value in starts
            names = plan.runs_against(value) if is_start else plan.runs_of(value)
            here = collection.cell(value.cell, folder, names)
            row = Row(
                factor=factor.name,
                setting=factor.setting,
                label=value.label,
                init=value.init,
                cell=here,
                names=names,
                planned_against=len(plan.runs_against(value)),
                is_start=is_start,
                is_chosen=value.label == factor.chosen,
                published=value.published,
                claim=None if is_start or not starts else claim(value, starts[0], plan.delta),
                val=val_accuracy(here),
                test=None,
                difference=None,
            )
            rows.append(row)
            considered = not plan.looks or value.runs is not None  # by a study that decides
            if not is_start and considered:
                against.append((row, collection.cell(factor.reference, folder, plan.runs_against(value))))
    steps = [list(study.factors)]
    if plan.looks and plan.mode == "greedy":  # each step was decided by what was known then
        steps = [[factor] for factor in study.factors]
    compared = {id(row) for row, _ in against}
    known: dict[str | None, dict[str, Cell]] = {setting: {} for setting in study.starts}
    for step in steps:
        rows = [row for factor, row in study.rows if factor in step]
        decided = {factor for factor, row in study.rows if id(row) in compared}
        for title, row in study.rows:
            if title in step and title in decided and (row.is_start or id(row) in compared):
                known[row.setting][row.cell.id] = row.cell
        # Runs of one setting vary alike, those of another model, or on fewer images, do not.
        priors = {setting: prior_of(list(cells.values()), plan.looks) for setting, cells in known.items()}
        for row in rows:
            row.test = test_accuracy(row.cell, priors[row.setting])
        ids = {id(row) for row in rows}
        compare_rows([pair for pair in against if id(pair[0]) in ids], priors, study.delta, plan)
    complete = [c for c in study.cells if len(c.values("val_accuracy")) >= study.planned]
    study.best = max(complete, key=lambda c: fmean(c.values("val_accuracy")), default=None)
    return study


def prior_of(cells: Sequence[Cell], looks: Sequence[int] = ()) -> Prior:
    """What the run-to-run variances of these cells say together."""
    return moderate([sample for cell in cells if (sample := sample_of(cell, looks)) is not None])


def compare_rows(pairs: Sequence[tuple[Row, Cell]], priors: dict[str | None, Prior], delta: float, plan: Plan) -> None:
    """Enter the differences of these rows from the cells they are compared with; priors by setting."""
    contrasts: list[tuple[Row, Contrast]] = []
    networks: list[tuple[Row, Cell, np.ndarray]] = []  # one pair of runs
    for row, cell in pairs:
        here, there = common(row.cell, cell)
        if here is None or there is None:
            continue
        if min(here.runs, there.runs) > 1:
            contrasts.append((row, contrast(here, there, priors[row.setting])))
        elif (answers := one_pair(row.cell, cell)) is not None:
            networks.append((row, cell, answers))
    if contrasts:
        every = [c for _, c in contrasts]
        limit = joint_limit(every, LEVEL, [row.cell.fingerprint for row, _ in contrasts])
        if plan.looks:  # a study that decides has no settings
            first = [at_first_look(c, plan.looks[0], priors[None]) for c in every if c.value.runs >= plan.looks[0]]
            limit = sequential_limit(first, plan.looks, plan.comparisons, LEVEL)
        for row, c in contrasts:
            row.difference = measured(c, limit, delta, row.planned, row.planned_against)
    p = holm([mcnemar_p(answers) for *_, answers in networks])
    for (row, cell, answers), corrected in zip(networks, p, strict=True):
        estimate = Estimate(float(answers.mean()), *mcnemar_interval(answers))
        missing = len(row.cell.tested) < row.planned
        runs = len(row.cell.tested), len(cell.tested)
        row.difference = Difference(estimate, corrected, INCOMPLETE if missing else UNDECIDED, *runs)


def at_first_look(c: Contrast, runs: int, prior: Prior) -> Contrast:
    """The difference as it was known when the value had so many runs."""
    return contrast(c.value.first(runs), c.reference.first(c.reference.runs * runs // c.value.runs), prior)


def measured(c: Contrast, limit: Limit, delta: float, planned: int, planned_against: int) -> Difference:
    """The difference of two settings with several runs each."""
    interval = limit.interval(c)
    missing = c.value.runs < planned or c.reference.runs < planned_against
    verdict = INCOMPLETE if missing else interval.verdict(delta)  # the missing ones may be the worst
    difference = Difference(
        Estimate(c.mean, interval.low, interval.high), interval.p, verdict, c.value.runs, c.reference.runs
    )
    if verdict == UNDECIDED:
        difference.more_runs = more_runs(c, limit.deviate, delta)
        difference.images = images_needed(c, limit.deviate, delta)
    return difference


def claim(value: PlannedValue, start: PlannedValue, delta: float = 0.0) -> Claim | None:
    """The claim of the reference report, from its words, its accuracies or its order of the values."""
    if value.claim is not None:
        return Claim(value.claim)
    a, b = value.published, start.published
    if a is not None and b is not None:
        direction = "better" if a > b else "worse" if a < b else "no different"
        beyond_error = proportions_differ(a / 100, b / 100, OFFICIAL_TEST_IMAGES)
        return Claim(direction, a - b, beyond_error, abs(a - b) <= delta)
    i, j = value.rank, start.rank
    if i is not None and j is not None:
        return Claim("better" if i < j else "worse" if i > j else "no different")
    return None


def val_accuracy(cell: Cell) -> Estimate | None:
    """Mean over the runs with an interval that knows that folds overlap; for a single run, from its images."""
    values = cell.values("val_accuracy")
    if not values:
        return None
    if len(values) > 1:
        return Estimate(fmean(values), *corrected_mean_interval(values, overlap(cell)))
    results = [run.result for run in cell.runs if run.result is not None]
    images = next(result.data.val for result in results if result.val_accuracy is not None)
    return Estimate(values[0], *wilson_interval(values[0] * images, images))


def test_accuracy(cell: Cell, prior: Prior = NO_PRIOR) -> Estimate | None:  # noqa: PT028, not a test
    """Mean over the runs, with an interval for other trainings and images; for a single run, for other images only."""
    results = [run.result for run in cell.tested if run.result is not None]
    if not results:
        return None
    mean, images = fmean(cell.values("test_accuracy")), results[0].data.test
    sample = sample_of(cell)
    if sample is None or sample.runs < 2:
        return Estimate(mean, *wilson_interval(mean * images, images))
    return Estimate(mean, *accuracy_interval(sample, prior, LEVEL))


def overlap(cell: Cell) -> float:
    """Validation over training images of a run, by which the training sets of folds are correlated."""
    return 1 / (cell.config["data"]["folds"] - 1)


def sample_of(cell: Cell, looks: Sequence[int] = ()) -> Sample | None:
    """The answers of the runs that have predictions; of a study that decides, of those at its first look."""
    answers = [right for run in cell.tested if (right := run.right) is not None]
    if not answers:
        return None
    sample = Sample(np.stack(answers), overlap(cell))
    if not looks:
        return sample
    return sample.first(looks[0]) if sample.runs >= looks[0] else None


def common(cell: Cell, other: Cell) -> tuple[Sample | None, Sample | None]:
    """The answers of two cells; None for both if they were tested on other images."""
    here, there = sample_of(cell), sample_of(other)
    if here is None or there is None or cell.fingerprint != other.fingerprint:
        return None, None
    return here, there


def one_pair(cell: Cell, other: Cell) -> np.ndarray | None:
    """Per test image 1 if only the run of `cell` is right, -1 if only that of `other` is, else 0: int64 [N].

    Of the first two runs with the same fold and seed; None if there are none.
    """
    others = {(run.fold, run.seed): run for run in other.tested}
    for run in cell.tested:
        if (before := others.get((run.fold, run.seed))) and run.right is not None and before.right is not None:
            return run.right.astype(int) - before.right.astype(int)
    return None


def difference(cell: Cell, other: Cell, others: int = 1) -> Difference | None:
    """The difference between two cells, as one of so many comparisons; None on other images."""
    here, there = common(cell, other)
    if here is None or there is None:
        return None
    if min(here.runs, there.runs) < 2:
        answers = one_pair(cell, other)
        if answers is None:
            return None
        estimate = Estimate(float(answers.mean()), *mcnemar_interval(answers))
        return Difference(estimate, min(1.0, others * mcnemar_p(answers)), UNDECIDED, here.runs, there.runs)
    c = contrast(here, there, NO_PRIOR)
    return measured(c, bonferroni_limit(LEVEL, others), 0.0, here.runs, there.runs)
