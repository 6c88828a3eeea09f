"""Train one classifier, or several with -m: python -m emnist.train model=cnn optimizer=adam"""

import atexit
import gc
import logging
import os
import re
import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import ConfigCompositionException, MissingConfigException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig

from emnist.console import log_to
from emnist.errors import UserError

HERE = Path(__file__).resolve().parent
CONF = HERE / "conf" if (HERE / "conf").is_dir() else HERE.parent / "conf"  # in a wheel, in a checkout

log = logging.getLogger("emnist.train")
wants_traceback = False


class JobFailed(Exception):
    """A run that ended in an error which has been said."""


def main() -> None:
    global wants_traceback
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1" and "LOCAL_RANK" not in os.environ
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands its errors over instead of printing several lines
    try:
        if any(argument.lstrip("+").startswith("resume=") for argument in sys.argv[1:]):
            resume(sys.argv[1:])
        else:
            compose_and_train()
    except Exception as error:
        if wants_traceback:
            raise
        if not isinstance(error, JobFailed):
            print(f"error: {describe(error)}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit("interrupted")


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="train")
def compose_and_train(cfg: DictConfig) -> None:
    job = HydraConfig.get()
    try:
        train(cfg, Path(job.runtime.output_dir))
    except JobFailed:
        if job.mode == RunMode.MULTIRUN or wants_traceback:
            raise  # Hydra runs the other jobs, then ends with this error
        sys.exit(1)


def resume(arguments: list[str]) -> None:
    """Go on with an interrupted run, with the configuration in its folder and no other."""
    if len(arguments) > 1:
        raise UserError("resume=FOLDER stands alone: a run goes on with the configuration it began with")
    from emnist.run_folder import RunFolder

    _, _, name = arguments[0].partition("=")
    if not Path(name).is_dir() or not name:
        raise UserError(f"resume={name}: no such folder; give that of a run, such as outputs/cnn/…")
    train(RunFolder(name).read_config(), Path(name), resume=True)


def train(cfg: DictConfig, folder: Path, resume: bool = False) -> None:
    """Train as `cfg` says, in `folder`. What goes wrong is said at once, in one line, and raises JobFailed."""
    log_to(folder)
    try:
        from emnist.fit import fit  # torch comes in here, so that --help and --cfg answer at once

        if not gc.get_freeze_count():
            # The libraries stay: walking over their million objects takes 0.3 s of one job of a multirun or another.
            gc.freeze()
            atexit.register(gc.unfreeze)  # else nanobind takes what is frozen for leaks
        fit(cfg, folder, resume)
    except Exception as error:
        log.error("error: %s", describe(error))
        log.debug("traceback", exc_info=True)  # for train.log only
        raise JobFailed(describe(error)) from error


def describe(error: Exception) -> str:
    """What is wrong and what would be right, on one line (three for a failed download)."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        group, _, option = error.missing_cfg_file.rpartition("/")
        return f"{group}={option}: unknown; choose one of {', '.join(error.options)}"
    message = " ".join(str(error).split())
    if isinstance(error, OverrideParseException):
        return f"{error.override}: can't be read; write key=value, and quote a value with brackets or blanks"
    if isinstance(error, ConfigCompositionException):
        if ambiguous := re.search("Ambiguous value for argument '(.*?)'", message):
            return f"{ambiguous[1]}: several values make a multirun; add -m"
        if unknown := re.search("Could not override '(.*?)'", message):
            return f"{unknown[1]}: no such key here; python -m emnist.train --help lists those of these choices"
        return message
    return f"{type(error).__name__}: {message}"


if __name__ == "__main__":
    main()
