"""What a search says while it goes on: a line a trial."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from rich.console import Console
from rich.table import Table

from emnist.errors import UserError
from emnist.runs.search import COMPLETE, FAILED, PRUNED, RUNNING, Search, Trial
from emnist.study.progress import WIDTH, repeating

INTERVAL = 0.5  # seconds between two looks at search.json
SHOWN = 5  # trials in the table


@contextmanager
def watch(path: Path, planned: int | None) -> Iterator[None]:
    """Print a line on stderr for each trial that ends, whichever process trains it; `planned` are the trials in all."""
    told = {trial.number for trial in ended(Search.read(path))}

    def look() -> None:
        with suppress(UserError):
            search = Search.read(path)
            for trial in ended(search):
                if search is not None and trial.number not in told:
                    told.add(trial.number)
                    print(line(search, trial, planned), file=sys.stderr, flush=True)

    try:
        with repeating(look, INTERVAL):
            yield
    finally:
        look()


def ended(search: Search | None) -> list[Trial]:
    """The trials that have ended, in that order."""
    trials = [] if search is None else [trial for trial in search.trials if trial.state != RUNNING]
    return sorted(trials, key=lambda trial: trial.ended or 0.0)


def line(search: Search, trial: Trial, planned: int | None) -> str:
    """How a trial ended."""
    of = f" of {planned}" if planned else ""
    best = search.best
    what = {
        COMPLETE: shown(search, trial.value) + (", the best so far" if best and best.number == trial.number else ""),
        PRUNED: f"pruned: {trial.reason}",
        FAILED: f"failed: {trial.reason}",
    }[trial.state]
    settings = " ".join(f"{search.space[name].key}={value}" for name, value in trial.parameters.items())
    return f"{search.name}: trial {trial.number}{of}, {trial.seconds:.0f} s: {what}  {settings}"


def print_best(search: Search) -> None:
    """The best trials, and how many there are of each state."""
    counts = {state: sum(trial.state == state for trial in search.trials) for state in (COMPLETE, PRUNED, FAILED)}
    hours = sum(trial.seconds for trial in search.trials) / 3600
    states = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    table = Table(
        "trial", search.metric, "parameters", title=f"search {search.name}: {states}, {hours:.2f} h of training"
    )
    complete = [trial for trial in search.trials if trial.state == COMPLETE and trial.value is not None]
    complete.sort(key=lambda trial: -search.sign * (trial.value or 0.0))
    for trial in complete[:SHOWN]:
        table.add_row(str(trial.number), shown(search, trial.value), " ".join(trial.overrides))
    if search.reference and search.reference.value is not None:
        table.add_row("hand-tuned", shown(search, search.reference.value), "")
    Console(width=None if sys.stdout.isatty() else WIDTH).print(table)


def shown(search: Search, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.4f}" if search.metric.endswith("loss") else f"{value:.2%}"
