"""A job: what happens to one run folder, whatever started it (a command, a multirun or a study)."""

import atexit
import gc
import logging
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from omegaconf import DictConfig, OmegaConf

from emnist.errors import Reported, UserError, describe
from emnist.training.console import log_of_one, log_to, print_result

if TYPE_CHECKING:
    from emnist.runs.folder import RunFolder
    from emnist.runs.result import Result
    from emnist.training.recorder import AfterEpoch

log = logging.getLogger("emnist.train")


class JobFailed(Reported):
    """One or more trainings failed; each error was reported when it happened."""


def run_job(
    cfg: DictConfig, path: Path, resume: bool = False, quiet: bool = False, after_epoch: "AfterEpoch | None" = None
) -> "Result | None":
    """Train with the configuration `cfg` in the folder `path`.

    With `resume` training continues after the last finished epoch in the folder, and the result of a finished run is
    returned at once; without, a folder that holds a run is an error. `quiet` leaves the terminal alone. `after_epoch`
    says after each epoch but the last whether to go on; a run that it stops can be resumed.

    Returns the result (None if it was stopped, and in the secondary processes of a distributed run). Raises JobFailed
    after any error, which is logged on one line when it happens and recorded in failure.json until the run is resumed.
    """
    from emnist.runs.folder import RunFolder  # imports pydantic and numpy, which --help can do without

    folder = RunFolder(path)
    log_to(folder.log, terminal=not quiet)
    try:
        if folder.has_run and not resume:
            raise UserError(f"{path} already holds a run: resume it with resume={path}, or choose another folder")
        result = folder.read_result()
        if result is None:
            result = _train(cfg, folder, not quiet, after_epoch)
        else:
            log.info("already finished")
    except Exception as error:
        log.error("error: %s", describe(error))
        log.debug("traceback", exc_info=True)  # for train.log only
        raise JobFailed(describe(error)) from error
    if result and not quiet:
        print_result(result, path)
    return result


def run_together(paths: Sequence[Path]) -> None:
    """Train the runs whose configurations are in these folders at once; each ends with a result or a failure.

    Raises JobFailed if any failed.
    """
    from emnist.runs.folder import RunFolder
    from emnist.training.fit import prepare, set_up_process
    from emnist.training.hardware import device_of
    from emnist.training.together import Member, train_together

    _freeze_imports()
    folders = [folder for folder in map(RunFolder, paths) if not folder.result.exists()]
    if not folders:
        return
    log_to(folders[0].log, terminal=False)
    logs = {folder: log_of_one(folder.log) for folder in folders}
    errors: dict[RunFolder, str] = {}

    def fail(folder: RunFolder, error: Exception) -> None:
        errors[folder] = describe(error)
        logs[folder].error("error: %s", errors[folder])
        logs[folder].debug("traceback", exc_info=error)
        with suppress(Exception):
            folder.write_failure(errors[folder], config_of(folder))

    def config_of(folder: RunFolder) -> dict[str, Any]:
        return cast(dict[str, Any], OmegaConf.to_container(folder.read_config(), resolve=True))

    try:
        members: list[Member] = []
        for folder in folders:
            try:
                folder.failure.unlink(missing_ok=True)
                config = config_of(folder)
                set_up_process(config)
                device = device_of(config["trainer"]["accelerator"])
                members.append(Member(prepare(config, folder, logs[folder]), device))
            except Exception as error:
                fail(folder, error)
        sizes = [len(member.training.data.train_indices) for member in members]  # of folds, which may differ by one
        for size in sorted(set(sizes)):
            same = [member for member, own in zip(members, sizes, strict=True) if own == size]
            try:
                train_together(same, fail)
            except Exception as error:
                for folder in (member.recorder.folder for member in same):
                    if not folder.result.exists() and folder not in errors:
                        fail(folder, error)
    finally:
        for log in logs.values():
            for handler in log.handlers:
                handler.close()
    if errors:
        raise JobFailed(next(iter(errors.values())))


def _train(
    cfg: DictConfig, folder: "RunFolder", progress_bar: bool, after_epoch: "AfterEpoch | None"
) -> "Result | None":
    from emnist.training.fit import fit  # imports torch, so that --help and --cfg answer at once

    _freeze_imports()
    folder.failure.unlink(missing_ok=True)
    config = cast(dict[str, Any], OmegaConf.to_container(cfg, resolve=True))
    try:
        return fit(config, folder, progress_bar, after_epoch)
    except Exception as error:
        with suppress(Exception):  # a full disk may be the error
            folder.write_failure(describe(error), config)
        raise


@cache  # once a process; even asking whether anything is frozen takes 0.05 s
def _freeze_imports() -> None:
    """Keep the garbage collector from walking over the million objects of imported modules.

    That takes 0.3 s in some job or other of a multirun.
    """
    gc.freeze()
    atexit.register(gc.unfreeze)  # else nanobind reports frozen objects as leaks
