"""How a study goes: one line that counts its runs, on a terminal in place, in a log file anew with every change."""

import json
import shlex
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import Any

INTERVAL = 0.2  # seconds between two looks at the folders
CLEAR = "\r\x1b[K"  # the line of a terminal


class Monitor:
    """Counts runs by what they leave in their folders, so it works with any launcher."""

    def __init__(self, name: str):
        self.name = name
        self.done: set[Path] = set()
        self.failures: dict[Path, str] = {}
        self.finished_here = 0  # in this sitting
        self.begin = time.monotonic()
        self.seen: tuple[int, ...] = ()  # done, failed, running at the last look
        self.shown: tuple[int, ...] = ()  # done, failed in the last line of a log file

    @contextmanager
    def watch(self, runs: list[Path], later: int) -> Iterator[None]:
        """Keep the line up to date while these runs go; about `later` more are to follow."""
        self.runs, self.later = runs, later
        self.done |= {path for path in runs if (path / "result.json").exists()}
        self.stamps = {path: changed(path / "train.log") for path in runs}
        over = threading.Event()

        def look() -> None:
            while not over.wait(INTERVAL):
                self.show()

        thread = threading.Thread(target=look, daemon=True)
        self.show(settled=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            self.show(settled=True)
            if sys.stderr.isatty():
                print(file=sys.stderr)

    def fail(self, path: Path, reason: str) -> None:
        """Say that the run failed, once."""
        if path not in self.failures:
            self.failures[path] = reason
            print(f"{CLEAR if sys.stderr.isatty() else ''}failed: {path}: {reason}", file=sys.stderr, flush=True)

    def show(self, settled: bool = False) -> None:
        """Look at the folders and bring the line up to date; in a log file not until the counts are `settled`."""
        running = 0
        for path in self.runs:
            if path in self.done:
                continue
            if (path / "result.json").exists():
                self.done.add(path)
                self.finished_here += 1
            elif (path / "failure.json").exists():
                self.fail(path, _reason(path))
            elif changed(path / "train.log") != self.stamps[path]:
                running += 1
        self.failures = {path: reason for path, reason in self.failures.items() if path not in self.done}
        done, failed = len(self.done), len(self.failures)
        total = len(self.done | self.failures.keys() | set(self.runs)) + self.later
        line = f"{self.name}: {done} of {'about ' if self.later else ''}{total} runs done, "
        line += f"{running} running, {failed} failed"
        remaining = total - done - failed
        if self.finished_here and remaining > 0:
            line += f", {_duration((time.monotonic() - self.begin) / self.finished_here * remaining)} left"
        settled |= self.seen == (done, failed, running)  # when a run ends, the next one takes a moment to begin
        self.seen = (done, failed, running)
        if sys.stderr.isatty():
            print(CLEAR + line, end="", file=sys.stderr, flush=True)
        elif settled and self.shown != (done, failed):
            self.shown = (done, failed)
            print(line, file=sys.stderr, flush=True)


def print_summary(plan: dict[str, Any], folder: Path) -> None:
    """The end of a study: accuracies by factor and value, averaged over folds and seeds."""
    from rich.console import Console
    from rich.table import Table

    table = Table("factor", "value", "validation", "test", "runs", title=f"study {plan['study']}")
    for column in table.columns[2:]:
        column.justify = "right"
    for factor in plan["factors"]:
        for i, value in enumerate(factor["values"]):
            results = _results(folder / value["cell"], plan["runs"]) if value["cell"] else []
            shown = [
                f"{fmean(figures):.2%}" if (figures := [r[key] for r in results if r[key] is not None]) else "–"
                for key in ("val_accuracy", "test_accuracy")
            ]
            mark = " *" if value["cell"] == factor["reference"] else ""
            mark += " ←" if value["label"] == factor["chosen"] else ""
            table.add_row(
                factor["name"] if i == 0 else "", value["label"] + mark, *shown, f"{len(results)}/{len(plan['runs'])}"
            )
        table.add_section()
    Console().print(table)
    print("* the configuration it starts from" + ("   ← the best of it" if plan["mode"] == "greedy" else ""))
    print(f"python -m emnist.report {shlex.quote(str(folder))} tells which differences are real")


def _results(cell: Path, runs: list[str]) -> list[dict[str, Any]]:
    paths = [cell / run / "result.json" for run in runs]
    return [json.loads(path.read_text()) for path in paths if path.exists()]


def _reason(path: Path) -> str:
    try:
        return json.loads((path / "failure.json").read_text())["error"]
    except FileNotFoundError:  # just taken up again
        return "unknown"


def changed(path: Path) -> int | None:
    """When the file was last written to, if there is one."""
    return path.stat().st_mtime_ns if path.exists() else None


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{seconds:.0f} s" if seconds < 100 else f"{minutes} min" if minutes < 100 else f"{minutes / 60:.1f} h"
