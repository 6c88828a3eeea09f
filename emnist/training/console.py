"""Where messages go: to the terminal's stderr, and with the time to train.log in the run's folder."""

import logging
import os
import sys
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from emnist.errors import UserError

if TYPE_CHECKING:
    from emnist.runs.result import Result


class StderrHandler(logging.StreamHandler):
    """Writes to the current sys.stderr, so that lines appear above a live progress bar."""

    def __init__(self):
        logging.Handler.__init__(self, logging.INFO)
        self.setFormatter(logging.Formatter("%(message)s"))

    @property
    def stream(self):
        return sys.stderr


def first_process() -> bool:
    """Whether this is the main process of a run, which alone prints and writes."""
    return int(os.environ.get("LOCAL_RANK", 0)) == 0


def log_to(path: Path, terminal: bool = True) -> None:
    """Send this process's log to the file, and to the terminal's stderr; nowhere else."""
    file = file_handler(path)
    root = logging.getLogger()
    for handler in root.handlers[:]:
        root.removeHandler(handler)
        handler.close()
    root.handlers = [StderrHandler(), file] if terminal else [file]
    first = first_process()
    logging.raiseExceptions = False  # a full disk is reported once, where space is needed, not at every line
    threading.excepthook = lambda thrown: logging.getLogger("emnist").debug("in a thread", exc_info=thrown.exc_value)
    root.setLevel(logging.INFO if first else logging.ERROR)
    logging.getLogger("emnist").setLevel(logging.DEBUG if first else logging.ERROR)


def file_handler(path: Path) -> logging.Handler:
    """Appends lines with the time to a run's log. Raises UserError if it can't be written."""
    try:
        file = logging.FileHandler(path)
    except OSError as error:
        raise UserError(f"{path}: can't be written ({error.strerror or error})") from error
    file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    return file


def log_of_one(path: Path) -> logging.Logger:
    """A log of its own for one of several runs in this process."""
    log = logging.Logger("emnist.train", logging.DEBUG)
    log.addHandler(file_handler(path))
    return log


def quiet_lightning() -> None:
    """Silence Lightning's advertisements, and advice that does not apply here.

    There are no data loaders to give workers to, metrics are synchronised before they are logged, and frozen parts of a
    network are meant to be in evaluation mode.
    """
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", module="lightning.*", message=".*does not have many workers.*")
    warnings.filterwarnings("ignore", module="lightning.*", message=".*sync_dist=True.*")
    warnings.filterwarnings("ignore", module="lightning.*", message=".*in eval mode at the start of training.*")
    warnings.filterwarnings("ignore", module="lightning.*", message=".*`isinstance\\(treespec, LeafSpec\\)`.*")


def accuracy_of(result: "Result") -> str:
    """The test accuracy with the 95% interval that the number of test images gives it: 89.24% [88.32, 90.09]."""
    from emnist.analysis.statistics import wilson_interval

    if result.test_accuracy is None:
        return "–"
    low, high = wilson_interval(result.test_accuracy * result.data.test, result.data.test)
    return f"{result.test_accuracy:.2%} [{100 * low:.2f}, {100 * high:.2f}]"


def print_result(result: "Result", folder: Path) -> None:
    """Print the outcome of a run: a short table, and its folder."""
    from rich.console import Console
    from rich.table import Table

    def shown(value: float | None, form: str) -> str:
        return "–" if value is None else format(value, form)

    table = Table(show_header=False)
    table.add_column(justify="right")
    table.add_column(style="bold", no_wrap=True)
    table.add_row("test accuracy", accuracy_of(result))
    table.add_row("test loss", shown(result.test_loss, ".4f"))
    table.add_row("validation accuracy", shown(result.val_accuracy, ".2%"))
    table.add_row("best epoch", f"{shown(result.best_epoch, 'd')} of {result.epochs} ({result.stopped})")
    table.add_row("time", f"{result.duration_s:.0f} s")
    print(f"{result.config['model']['name']} on {result.data.description}")
    Console().print(table)
    print(folder)
