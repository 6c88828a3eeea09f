"""Searches of one space: whether the winner beats the hand-tuned configuration, and what the trials show."""

from statistics import fmean

from emnist.analysis.search import (
    LEAST_TRIALS,
    Inflation,
    Outcome,
    SearchResult,
    metric_name,
    sampler_name,
    scale_of,
)
from emnist.analysis.study_result import Row
from emnist.analysis.verdict import BETTER, EQUAL, INCOMPLETE, WORSE
from emnist.figures import parameters
from emnist.figures import search as figures
from emnist.figures.style import to_png
from emnist.reporting.document import PAGE_WIDTH, Document
from emnist.reporting.wording import count, data_of, model_name, percent, points_of, verdict_of
from emnist.runs.search import COMPLETE, FAILED, HAND_TUNED, PRUNED, RUNNING, SEARCHED, Scalar, Trial

BEST = 10  # trials in the table
INSTALL = 'pip install "emnist[search]"'


def add_search(document: Document, result: SearchResult) -> None:
    name, data = model_name(result.name), data_of(result.cells)
    document.heading(f"Search: {name}")
    document.text(f"**{headline(result)}**")
    if (inflation := result.chosen.inflation) is not None:
        document.text(inflation_of(inflation, result))
    document.text(f"{data}. {_searches(result)}")
    if not result.complete:
        _add_searches(document, result)
        _add_reasons(document, result)
        return

    def picture(draw, kind: str, title: str) -> None:
        png = to_png(draw(result, f"{name}: {title}\n{data}"))
        document.picture(f"figures/search_{result.name}_{kind}.png", png, title.capitalize(), PAGE_WIDTH)

    picture(figures.best_so_far, "best", "the best so far over trials and hours of training")
    _add_searches(document, result)
    with document.fold(f"The best {min(BEST, len(result.complete))} trials"):
        _add_best(document, result)
    with document.fold("Every parameter, by importance"):
        document.text(_importances(result))
        picture(parameters.slices, "slices", f"{metric_name(result.search.metric)} over every parameter")
    with document.fold("How the parameters of a trial go together"):
        picture(parameters.parallel_coordinates, "parallel", "parameters of the trials and what they reached")
    if result.costs:
        with document.fold("Accuracy and cost"):
            picture(figures.accuracy_and_cost, "cost", "validation accuracy over multiply-accumulates")
    _add_reasons(document, result)


def headline(result: SearchResult) -> str:
    """Whether the winner beats the hand-tuned configuration on fresh trainings, by the test set."""
    chosen = result.chosen
    row, winner = chosen.row(SEARCHED), chosen.winner
    d = None if row is None else row.difference
    if chosen.found_nothing:
        return "The search found nothing better than the hand-tuned configuration, which it tried as well."
    if d is not None and not d.of_networks and chosen.final is not None:
        by = f"{points_of(d.estimate)} points of test accuracy in {d.runs} against {d.reference_runs} fresh trainings"
        verdicts = {BETTER: "beats", WORSE: "is worse than", EQUAL: "equals"}
        if d.verdict in verdicts:
            within = f" within {100 * chosen.final.delta:g} points" if d.verdict == EQUAL else ""
            return f"The search {verdicts[d.verdict]} the hand-tuned configuration{within}: {by}."
        why = "runs are missing" if d.verdict == INCOMPLETE else verdict_of(d, chosen.final.delta)
        return f"Whether the search beats the hand-tuned configuration is open ({why}): {by}."
    if winner is None or winner.value is None:
        return "No trial is complete yet."
    hand = result.reference
    beside = (
        "" if hand is None or hand.value is None else f", the hand-tuned configuration {_value(hand.value, result)}"
    )
    missing = "there is no final on fresh trainings yet" if row is None else "the final has too few runs for a verdict"
    return f"The best trial has {_value(winner.value, result)} in the search itself{beside}; {missing}."


def inflation_of(inflation: Inflation, result: SearchResult) -> str:
    """By how much the winner's value in the search is too good."""
    where = "on other folds" if inflation.unseen else "with other seeds on the same folds, whose images chose it,"
    text = (
        f"The winner's {metric_name(result.search.metric)} was {_value(inflation.searched, result)} in the search. "
        f"Trained again in the same way {where} ({count(inflation.runs, 'run')}), it is "
        f"{_value(inflation.fresh, result)}."
    )
    if inflation.reference is None or inflation.corrected is None:
        return text
    before, after = (_value(value, result) for value in inflation.reference)
    text += (
        f" The hand-tuned configuration, which was not chosen by it, goes from {before} to {after}. So the part of "
        f"the winner's value that was luck is {_amount(inflation.corrected, result)}"
    )
    if inflation.interval is None:
        return f"{text}."
    low, high = (f"{_scaled(end, result):+.{_digits(result)}f}" for end in inflation.interval)
    return f"{text} [{low}, {high}] (95%, from the paired differences of these runs)."


def _searches(result: SearchResult) -> str:
    trial = f"a trial is {', '.join(f'`{run}`' for run in result.search.runs)}"
    running = sum(one.number(RUNNING) for one in result.outcomes)
    rest = f"; {count(running, 'trial')} still running" if running else ""
    number = len(result.outcomes)
    searches = f"{number} search{'' if number == 1 else 'es'} with {count(len(result.trials), 'trial')}"
    return f"{searches} by {metric_name(result.search.metric)}, {trial}{rest}."


def _add_searches(document: Document, result: SearchResult) -> None:
    metric = f"{metric_name(result.search.metric)}{' %' if scale_of(result.search.metric) == 100 else ''}"
    columns = ["search", "how", "trials", "hours>", f"best {metric}>", "luck>", "fresh>", "test % [95%]>", "verdict"]
    rows = [_line(one, result) for one in result.outcomes]
    hand, chosen = result.reference, result.chosen
    if hand is not None:
        value = "–" if hand.value is None else f"{_number(hand.value, result)}"
        rows.append(
            [HAND_TUNED, "", "", f"{hand.seconds / 3600:.2f}", value, "", *_final(chosen, HAND_TUNED, result), ""]
        )
    document.table(columns, rows)
    document.text(
        "*Best* is the value that chose the winner, with the runs of a trial, and *luck* the part of it that another "
        "training of the same length does not repeat, in points. *Fresh* is the same metric, and *test* "
        "the test accuracy, of the winner trained in full with the folds and seeds of the final; the *verdict* is "
        "about these test accuracies against those of the hand-tuned configuration. *Hours* are of training, summed "
        "over runs side by side. A search of several has its verdict for itself, not corrected for their number."
    )


def _line(one: Outcome, result: SearchResult) -> list[str]:
    search, winner = one.search, one.winner
    pruners = [name for name in (search.pruner,) if name != "none"] + ["images"] * search.images
    pruning = f"pruned by {' and '.join(pruners)}" if pruners else "not pruned"
    numbers = [(one.number(state), state) for state in (COMPLETE, PRUNED, FAILED)]
    row = one.row(SEARCHED)
    luck = one.inflation.corrected if one.inflation is not None else None
    verdict = ""
    if row is not None and row.difference is not None and one.final is not None:
        verdict = verdict_of(row.difference, one.final.delta)
    return [
        search.name,
        f"{sampler_name(search.sampler)}, seed {search.seed}, {pruning}",
        ", ".join(f"{number} {state}" for number, state in numbers if number),
        f"{one.hours:.2f}",
        "–" if winner is None or winner.value is None else _number(winner.value, result),
        "–" if luck is None else f"{_scaled(luck, result):+.{_digits(result)}f}",
        *_final(one, SEARCHED, result),
        verdict,
    ]


def _final(one: Outcome, label: str, result: SearchResult) -> list[str]:
    """Mean metric and test accuracy in the final."""
    row: Row | None = one.row(label)
    fresh = one.fresh(label)
    return [_number(fmean(fresh.values()), result) if fresh else "–", percent(row.test if row is not None else None)]


def _add_best(document: Document, result: SearchResult) -> None:
    """A table of the best trials with their parameters, and the hand-tuned configuration."""
    names = parameters.by_importance(result)
    columns = ["search", "trial>", f"{metric_name(result.search.metric)}>", *names]

    def line(where: str, number: str, trial: Trial) -> list[str]:
        value = "–" if trial.value is None else _number(trial.value, result)
        return [where, number, value, *(_setting(trial.parameters.get(name)) for name in names)]

    rows = [line(one.search.name, f"{trial.number}", trial) for one, trial in result.complete[:BEST]]
    if result.reference is not None:
        rows.append(line(HAND_TUNED, "", result.reference))
    document.table(columns, rows)
    document.text(f"From `{' '.join(result.search.overrides)}`. An empty cell: the trial has no such parameter.")


def _importances(result: SearchResult) -> str:
    if result.importance is None:
        return f"Importances need Optuna: `{INSTALL}`."
    if not result.importance:
        return f"Importances need {LEAST_TRIALS} trials; there are {len(result.trials)}."
    return (
        f"*Importance* is that for being among the best tenth of all {len(result.trials)} trials, by "
        "PED-ANOVA (Watanabe et al., 2023), as a share of the sum over all parameters. It depends on the "
        "space and on where the samplers looked."
    )


def _add_reasons(document: Document, result: SearchResult) -> None:
    """A table of why trials were pruned or failed."""
    rows = []
    for state in (FAILED, PRUNED):
        for reason, trials in result.reasons(state):
            examples = ", ".join(f"{search.name} {trial.number}" for search, trial in trials[:5])
            rows.append([state, reason, f"{len(trials)}", examples + (" …" if len(trials) > 5 else "")])
    if rows:
        with document.fold("Failed and pruned trials, by reason"):
            document.table(["state", "reason", "trials>", "which"], rows)


def _setting(value: Scalar | None) -> str:
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else parameters.label_of(value)


def _scaled(value: float, result: SearchResult) -> float:
    return scale_of(result.search.metric) * value


def _digits(result: SearchResult) -> int:
    return 2 if scale_of(result.search.metric) == 100 else 4


def _number(value: float, result: SearchResult) -> str:
    return f"{_scaled(value, result):.{_digits(result)}f}"


def _value(value: float, result: SearchResult) -> str:
    """With its unit."""
    return f"{_number(value, result)}{'%' if scale_of(result.search.metric) == 100 else ''}"


def _amount(difference: float, result: SearchResult) -> str:
    """A difference with its sign and unit."""
    text = f"{_scaled(difference, result):+.{_digits(result)}f}"
    return f"{text} points" if scale_of(result.search.metric) == 100 else text
