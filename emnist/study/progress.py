"""Progress line of a study, and the table at its end."""

import shlex
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import fmean
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table

from emnist.errors import UserError
from emnist.runs.folder import RunFolder
from emnist.runs.plan import Plan

ONE_RUN = "one run"  # says nothing about another training
WIDTH = 100  # of the summary where there is no terminal
INTERVAL = 0.2  # seconds between two looks at the folders


class Progress:
    """Counts the runs of a study by the files in their folders, which works with any launcher.

    Shown on stderr: a bar on a terminal, in a log file a line whenever a run has ended. Failures are printed when
    they happen.
    """

    def __init__(self, name: str):
        self.name = name
        self.done: set[Path] = set()
        self.failures: dict[Path, str] = {}
        self.ended_here = 0  # results since `begin`
        self.begin = time.monotonic()
        self.seen: tuple[int, ...] = ()  # done, failed, running at the last look
        self.printed: tuple[int, ...] = ()  # done, failed in the last line of a log file
        self.terminal = sys.stderr.isatty()
        self.console = Console(stderr=True, force_terminal=self.terminal)
        columns = TextColumn("{task.description}"), BarColumn(bar_width=None), TextColumn("{task.fields[counts]}")
        self.bar = Bar(*columns, console=self.console, auto_refresh=False, expand=True)
        self.task = self.bar.add_task(name, total=1, counts="")

    def __enter__(self) -> Self:
        if self.terminal:
            self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.terminal:
            self.bar.stop()

    @contextmanager
    def watch(self, runs: Sequence[Path], later: int) -> Iterator[None]:
        """Keep the display up to date while these runs are trained; about `later` more follow."""
        self.folders, self.later = [RunFolder(path) for path in runs], later
        self.done |= {folder.path for folder in self.folders if folder.result.exists()}
        self.stamps = {folder.path: folder.last_write for folder in self.folders}
        self.update(settled=True)
        try:
            with repeating(self.update, INTERVAL):
                yield
        finally:
            self.update(settled=True)

    def update(self, settled: bool = False) -> None:
        """Look at the folders and update the display; a log file gets no line until the counts are `settled`."""
        running = 0
        for folder in self.folders:
            if folder.path in self.done:
                continue
            if folder.result.exists():
                self.done.add(folder.path)
                self.ended_here += 1
            elif folder.failure.exists():
                self.fail(folder)
            elif folder.last_write != self.stamps[folder.path]:
                running += 1
        self.failures = {path: error for path, error in self.failures.items() if path not in self.done}
        done, failed = len(self.done), len(self.failures)
        total = len(self.done | self.failures.keys() | {folder.path for folder in self.folders}) + self.later
        counts = f"{done} of {'about ' if self.later else ''}{total} runs done, {running} running, {failed} failed"
        remaining = total - done - failed
        if self.ended_here and remaining > 0:
            counts += f", {_duration((time.monotonic() - self.begin) / self.ended_here * remaining)} left"
        settled |= self.seen == (done, failed, running)  # after a run has ended, the next takes a moment to start
        self.seen = (done, failed, running)
        if self.terminal:
            self.bar.update(self.task, total=total, completed=done + failed, counts=counts, refresh=True)
        elif settled and self.printed != (done, failed):
            self.printed = (done, failed)
            print(f"{self.name}: {counts}", file=sys.stderr, flush=True)

    def fail(self, folder: RunFolder) -> None:
        """Print why the run failed, once."""
        if folder.path in self.failures:
            return
        with suppress(UserError):  # another process may have deleted the file to resume the run
            if failure := folder.read_failure():
                self.failures[folder.path] = failure.error
                line = f"failed: {folder.path}: {failure.error}"
                self.console.print(line, markup=False, highlight=False, emoji=False, soft_wrap=True)


@contextmanager
def repeating(look: Callable[[], None], seconds: float) -> Iterator[None]:
    """Call `look` every so many seconds, in a thread."""
    over = threading.Event()

    def loop() -> None:
        while not over.wait(seconds):
            look()

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def print_summary(plan: Plan, folder: Path) -> None:
    """Print the accuracies of every value, averaged over its runs, and its verdict."""
    from emnist.analysis.collection import collect  # imports scipy and statsmodels, which takes a second
    from emnist.analysis.comparison import compare
    from emnist.analysis.verdict import UNDECIDED

    study = compare(plan, folder, collect([folder]))
    columns = "factor", "value", "validation", "test", "difference", "verdict", "runs"
    table = Table(*columns, title=f"study {plan.study}")
    for column in (*table.columns[2:5], table.columns[6]):
        column.justify, column.no_wrap = "right", True
    for factor, rows in study.factors.items():
        for i, row in enumerate(rows):
            mark = (" *" if row.is_start else "") + (" ←" if row.is_chosen else "")
            d = row.difference
            table.add_row(
                factor if i == 0 else "",
                row.label + mark,
                _mean(row.cell.values("val_accuracy")),
                _mean(row.cell.values("test_accuracy")),
                _points(d.estimate) if d else "",
                (ONE_RUN if d.of_networks and d.verdict == UNDECIDED else d.verdict) if d else "",
                f"{sum(run.result is not None for run in row.cell.runs)}/{row.planned}",
            )
        table.add_section()
    Console(width=None if sys.stdout.isatty() else WIDTH).print(table)
    print("* the configuration the factor starts from" + ("   ← the best value" if plan.mode == "greedy" else ""))
    print(f"python -m emnist.report {shlex.quote(str(folder))} shows more")


def _points(difference: tuple[float, float, float]) -> str:
    mean, low, high = difference
    return f"{100 * mean:+.2f} ± {50 * (high - low):.2f}"


def _mean(accuracies: Sequence[float | None]) -> str:
    known = [accuracy for accuracy in accuracies if accuracy is not None]
    return f"{fmean(known):.2%}" if known else "–"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{seconds:.0f} s" if seconds < 100 else f"{minutes} min" if minutes < 100 else f"{minutes / 60:.1f} h"
