"""One training in one folder, whatever starts it: a command, Hydra's multirun, or a study."""

import atexit
import gc
import logging
from functools import cache
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from emnist.training.console import log_to, print_result
from emnist.errors import UserError, describe

log = logging.getLogger("emnist.train")


class JobFailed(UserError):
    """Trainings that ended in an error which has been said."""


def train(cfg: DictConfig, folder: Path, resume: bool = False, quiet: bool = False) -> dict[str, Any]:
    """Train as `cfg` says, in `folder`; returns the result.

    What goes wrong is said at once, in one line, and raises JobFailed. `quiet` leaves the terminal alone.
    """
    log_to(folder, terminal=not quiet)
    try:
        from emnist.training.fit import fit  # torch comes in here, so that --help and --cfg answer at once

        keep_libraries()
        result = fit(cfg, folder, resume, progress_bar=not quiet)
    except Exception as error:
        log.error("error: %s", describe(error))
        log.debug("traceback", exc_info=True)  # for train.log only
        raise JobFailed(describe(error)) from error
    if result and not quiet:
        print_result(result, folder)
    return result


@cache  # once a process; to ask whether anything is frozen takes 0.05 s
def keep_libraries() -> None:
    """Spare the garbage collector what is imported, for good.

    Walking over its million objects takes 0.3 s of one job of a multirun or another.
    """
    gc.freeze()
    atexit.register(gc.unfreeze)  # else nanobind takes what is frozen for leaks
