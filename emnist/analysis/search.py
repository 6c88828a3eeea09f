"""What hyperparameter searches found: how fast, which parameters mattered, at which cost, and how lucky the winner was.

A search tries many configurations and reports the best value, which is partly luck: the maximum of many noisy values is
too high. The final trains the winner again, and the hand-tuned configuration with it, on other folds and seeds.
"""

import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

from emnist.analysis.collection import Cell, Collection, Run
from emnist.analysis.comparison import compare, overlap
from emnist.analysis.statistics import corrected_half_width
from emnist.analysis.study_result import Row, StudyResult
from emnist.inference.cost import multiply_accumulates
from emnist.runs.identity import fold_and_seed
from emnist.runs.search import COMPLETE, RUNNING, Parameter, Search, Trial

LEAST_TRIALS = 20  # for importances: the best tenth, which they are about, are two of these


@dataclass
class Step:
    """Where a search stands when a trial ends."""

    trial: Trial
    hours: float  # of training so far
    best: float | None  # value so far, None before a trial is complete


@dataclass
class Inflation:
    """How much better the winner's value was in the search than on fresh folds and seeds; positive is too good."""

    sign: int  # 1 if high values are good, else -1
    searched: float  # the winner's value in the search
    fresh: float  # its mean on fresh folds and seeds
    runs: int  # these
    unseen: bool  # whether their folds are others than those of the trials
    reference: tuple[float, float] | None = None  # the same of the hand-tuned configuration, which no search chose
    interval: tuple[float, float] | None = None  # 95%, of `corrected`

    @property
    def winner(self) -> float:
        return self.sign * (self.searched - self.fresh)

    @property
    def corrected(self) -> float | None:
        """Without what other folds and seeds change for any configuration."""
        return None if self.reference is None else self.winner - self.sign * (self.reference[0] - self.reference[1])


@dataclass
class Outcome:
    """One search with the runs of its trials, and its final once that has begun."""

    search: Search
    cells: dict[int, Cell]  # by the number of the trial, without those that have no run
    reference: Cell  # without runs if there is none
    final: StudyResult | None
    winner_again: Cell  # the winner, trained as a trial on the folds and seeds of the final
    reference_again: Cell

    @property
    def ended(self) -> list[Trial]:
        """The trials that have ended, in that order."""
        over = [trial for trial in self.search.trials if trial.state != RUNNING]
        return sorted(over, key=lambda trial: (trial.ended or float("inf"), trial.number))

    def number(self, state: str) -> int:
        return sum(trial.state == state for trial in self.search.trials)

    @property
    def hours(self) -> float:
        """Of training, of all trials together."""
        return sum(trial.seconds for trial in self.search.trials) / 3600

    @property
    def steps(self) -> list[Step]:
        """The best value so far, after each trial."""
        steps: list[Step] = []
        seconds, best = 0.0, None
        for trial in self.ended:
            seconds += trial.seconds
            value = trial.value if trial.state == COMPLETE else None
            if value is not None and (best is None or self.search.sign * (value - best) > 0):
                best = value
            steps.append(Step(trial, seconds / 3600, best))
        return steps

    @property
    def winner(self) -> Trial | None:
        """The trial that the final trains again, or else the best one so far."""
        return winner_of(self.search)

    @property
    def found_nothing(self) -> bool:
        """Whether the winner is the hand-tuned configuration itself."""
        winner, reference = self.winner, self.search.reference
        return winner is not None and reference is not None and winner.cell == reference.cell

    def row(self, label: str) -> Row | None:
        """The hand-tuned or the searched configuration in the final."""
        rows = [] if self.final is None else [row for _, row in self.final.rows]
        return next((row for row in rows if row.label == label), None)

    def fresh(self, label: str) -> dict[str, float]:
        """The metric of the final's runs, by their names."""
        row = self.row(label)
        return {} if row is None else values_of(row.cell, self.search.metric)

    @property
    def inflation(self) -> Inflation | None:
        """None before the winner has been trained again as a trial, for as many epochs.

        The interval is the t-interval of the differences between winner and hand-tuned configuration over the fresh
        folds and seeds that both have. It takes their values in the search as given.
        """
        winner, reference = self.winner, self.search.reference
        here, there = (values_of(cell, self.search.metric) for cell in (self.winner_again, self.reference_again))
        folds = {fold_and_seed(name)[0] for name in self.search.runs}
        if unseen := {name for name in here if fold_and_seed(name)[0] not in folds}:  # which did not choose the winner
            here, there = ({name: value for name, value in runs.items() if name in unseen} for runs in (here, there))
        if winner is None or winner.value is None or not here or self.found_nothing:
            return None
        result = Inflation(self.search.sign, winner.value, fmean(here.values()), len(here), bool(unseen))
        if reference is None or reference.value is None or not there:
            return result
        result.reference = reference.value, fmean(there.values())
        if result.corrected is not None and len(here) > 1 and here.keys() == there.keys():
            half = corrected_half_width([here[name] - there[name] for name in here], overlap(self.winner_again))
            result.interval = result.corrected - half, result.corrected + half
        return result


@dataclass
class CostPoint:
    """A complete trial in the plane of accuracy and cost."""

    search: Search
    trial: Trial
    macs: int  # multiply-accumulates per image
    accuracy: float  # mean validation accuracy


@dataclass
class SearchResult:
    """Searches of one space by the same metric, with several samplers and seeds."""

    name: str  # of the space; numbered where several have it
    outcomes: list[Outcome]  # by sampler and seed
    importance: dict[str, float] | None  # by parameter, which add up to 1, the largest first; None without Optuna
    costs: list[CostPoint] = field(default_factory=list)
    reference_cost: CostPoint | None = None  # the hand-tuned configuration

    @property
    def search(self) -> Search:
        """The first of them, which has the same space, metric and runs as the others."""
        return self.outcomes[0].search

    @property
    def space(self) -> dict[str, Parameter]:
        return self.search.space

    @property
    def sign(self) -> int:
        return self.search.sign

    @property
    def reference(self) -> Trial | None:
        """The hand-tuned configuration with its value, from the first search that has one."""
        found = [one.search.reference for one in self.outcomes if one.search.reference is not None]
        return next((trial for trial in found if trial.value is not None), found[0] if found else None)

    @cached_property
    def chosen(self) -> Outcome:
        """The search with the best value, of those with a final if there are any."""
        with_final = [one for one in self.outcomes if one.final is not None] or self.outcomes
        return max(with_final, key=lambda one: _rank(one.winner, self.sign))

    @property
    def trials(self) -> list[tuple[Outcome, Trial]]:
        """All trials that have ended."""
        return [(one, trial) for one in self.outcomes for trial in one.ended]

    @property
    def complete(self) -> list[tuple[Outcome, Trial]]:
        """The complete trials, the best first."""
        complete = [pair for pair in self.trials if pair[1].state == COMPLETE and pair[1].value is not None]
        return sorted(complete, key=lambda pair: -_rank(pair[1], self.sign))

    @property
    def front(self) -> list[CostPoint]:
        """The trials that no other beats in both accuracy and cost, the cheapest first."""
        return pareto_front(self.costs)

    @property
    def tried(self) -> list[Cell]:
        """Of all trials and of the hand-tuned configuration with their runs."""
        return [cell for one in self.outcomes for cell in (*one.cells.values(), one.reference)]

    @property
    def cells(self) -> list[Cell]:
        """Those, and those of the finals."""
        again = [cell for one in self.outcomes for cell in (one.winner_again, one.reference_again)]
        return self.tried + again + [cell for one in self.outcomes if one.final is not None for cell in one.final.cells]

    def reasons(self, state: str) -> list[tuple[str, list[tuple[Search, Trial]]]]:
        """Why trials failed or were pruned, the most frequent reason first; reasons that differ in numbers are one."""
        found: dict[str, list[tuple[Search, Trial]]] = defaultdict(list)
        for one, trial in self.trials:
            if trial.state == state:
                found[re.sub(r"\d+(\.\d+)?(e[+-]?\d+)?", "…", trial.reason)].append((one.search, trial))
        named = [
            (here[0][1].reason if len({trial.reason for _, trial in here}) == 1 else pattern, here)
            for pattern, here in found.items()
        ]
        return sorted(named, key=lambda item: -len(item[1]))


def _rank(trial: Trial | None, sign: int) -> float:
    return float("-inf") if trial is None or trial.value is None else sign * trial.value


def searches_of(collection: Collection) -> list[SearchResult]:
    """The searches of a collection, grouped by space, metric and the runs of a trial."""
    groups: dict[str, list[Outcome]] = defaultdict(list)
    for search, folder in collection.searches:
        same = search.model_dump_json(include={"space_name", "metric", "direction", "runs", "space"})
        groups[same].append(outcome(search, folder, collection))
    results = []
    names: Counter[str] = Counter()
    for outcomes in groups.values():
        outcomes.sort(key=lambda one: (one.search.sampler, one.search.seed, one.search.name))
        name = outcomes[0].search.space_name
        names[name] += 1
        result = SearchResult(f"{name}_{names[name]}" if names[name] > 1 else name, outcomes, None)
        result.importance = importance(result.search, [trial for _, trial in result.trials])
        add_costs(result)
        results.append(result)
    return results


def outcome(search: Search, folder: Path, collection: Collection) -> Outcome:
    """The search with what the collection has of it; `folder` is that of its cells."""
    cells = {trial.number: collection.cell(trial.cell, folder, search.runs) for trial in search.trials}
    winner = winner_of(search)
    plans = [(plan, place) for plan, place in collection.studies if is_final(plan.study, place, search, folder)]
    return Outcome(
        search,
        {number: cell for number, cell in cells.items() if cell.runs},
        collection.cell(search.reference.cell if search.reference else None, folder, search.runs),
        compare(*plans[0], collection) if plans else None,
        collection.cell(winner.cell if winner else None, folder, search.fresh),
        collection.cell(search.reference.cell if search.reference else None, folder, search.fresh),
    )


def winner_of(search: Search) -> Trial | None:
    of_final = [trial for trial in search.trials if trial.number == search.winner]
    return of_final[0] if of_final else search.best


def is_final(study: str, place: Path, search: Search, folder: Path) -> bool:
    """Whether the plan of that name in `place` is the final of this search."""
    return study == search.final and place.resolve() == folder.resolve()


def values_of(cell: Cell, metric: str) -> dict[str, float]:
    """A validation metric of the runs that have it, by their names."""
    values = {run.folder.path.name: metric_of(run, metric) for run in cell.runs}
    return {name: value for name, value in values.items() if value is not None}


def metric_of(run: Run, metric: str) -> float | None:
    """A validation metric of the run's best epoch; None before the run has a result."""
    if run.result is None:
        return None
    value = getattr(run.result, metric, None)
    if value is None:
        value = next((row.get(metric) for row in run.epochs if row["epoch"] == run.result.best_epoch), None)
    return value


def reached(trial: Trial, sign: int) -> float | None:
    """The value of a complete trial, or what another one had reached when it ended."""
    if trial.value is not None:
        return trial.value
    if trial.values:
        return fmean(trial.values)
    return max(trial.curve, key=lambda value: sign * value, default=None)


def importance(search: Search, trials: Sequence[Trial]) -> dict[str, float] | None:
    """How much each parameter decides whether a trial is among the best tenth: shares of 1, the largest first.

    Watanabe et al., PED-ANOVA, IJCAI 2023, from these trials; what a pruned one would have reached does not matter, as
    it would not be among the best. Empty if they are fewer than LEAST_TRIALS, None if Optuna is not installed. Optuna 4
    assesses a conditional parameter among the trials that have it.
    """
    try:
        import optuna
    except ImportError:
        return None
    if len(trials) < LEAST_TRIALS:
        return {}
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # or it reports a new study
    distributions = {name: distribution(parameter) for name, parameter in search.space.items()}
    study = optuna.create_study(direction=search.direction)
    for trial in trials:
        own = {name: distributions[name] for name in trial.parameters}
        value = reached(trial, search.sign)
        if value is not None:
            study.add_trial(optuna.trial.create_trial(value=value, params=trial.parameters, distributions=own))
    present = [name for name in search.space if sum(name in trial.parameters for trial in trials) > 1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna 4 warns that PED-ANOVA is experimental
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
        shares = {name: float(evaluator.evaluate(study, [name])[name]) for name in present}
    total = sum(shares.values())
    return (
        dict(sorted(((name, share / total) for name, share in shares.items()), key=lambda item: -item[1]))
        if total
        else {}
    )


def distribution(parameter: Parameter) -> Any:
    """The dimension as one of Optuna."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if parameter.kind == "categorical":
        return CategoricalDistribution(parameter.choices or [])
    low, high = parameter.low or 0.0, parameter.high or 0.0
    if parameter.kind == "int":
        return IntDistribution(int(low), int(high), log=parameter.log, step=int(parameter.step or 1))
    return FloatDistribution(low, high, log=parameter.log, step=parameter.step)


def add_costs(result: SearchResult) -> None:
    """Enter accuracy and cost of the complete trials whose runs exist, and of the hand-tuned configuration."""
    tested = next((run for cell in result.cells for run in cell.tested if run.num_classes), None)
    if tested is None or tested.result is None:
        return
    shape = tested.result.data.image_shape
    classes = tested.num_classes
    for one in result.outcomes:
        for trial in one.ended:
            cell = one.cells.get(trial.number)
            if (
                trial.state == COMPLETE
                and cell is not None
                and (point := _cost(one.search, trial, cell, classes, shape))
            ):
                result.costs.append(point)
        if result.reference_cost is None and one.search.reference is not None:
            result.reference_cost = _cost(one.search, one.search.reference, one.reference, classes, shape)


def _cost(
    search: Search, trial: Trial, cell: Cell, classes: int, image_shape: tuple[int, int, int]
) -> CostPoint | None:
    """None without a validation accuracy."""
    values = cell.values("val_accuracy")
    if not values:
        return None
    return CostPoint(search, trial, multiply_accumulates(cell.config["model"], classes, image_shape), fmean(values))


def pareto_front(points: Iterable[CostPoint]) -> list[CostPoint]:
    front: list[CostPoint] = []
    for point in sorted(points, key=lambda point: (point.macs, -point.accuracy)):
        if not front or point.accuracy > front[-1].accuracy:
            front.append(point)
    return front


def metric_name(metric: str) -> str:
    """val_accuracy → validation accuracy."""
    return metric.replace("val_", "validation ").replace("_", " ")


def scale_of(metric: str) -> float:
    """What turns the metric into what is shown: fractions into percent."""
    return 1.0 if metric.endswith("loss") else 100.0


def sampler_name(sampler: str) -> str:
    return {"tpe": "TPE", "gp": "GP", "cmaes": "CMA-ES"}.get(sampler, sampler)
