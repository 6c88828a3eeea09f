"""Train one classifier, or several with -m: python -m emnist.train model=cnn optimizer=adam"""

import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from emnist.command import CONF, one_line_errors
from emnist.errors import Reported, UserError, unknown
from emnist.hydra_errors import reworded_errors
from emnist.training.job import run_job


def main() -> None:
    with one_line_errors():
        if any(argument.lstrip("+").startswith("resume=") for argument in sys.argv[1:]):
            resume(sys.argv[1:])
        else:
            sys.argv[1:] = [spelled for argument in sys.argv[1:] for spelled in spell_out(argument)]
            with reworded_errors():
                start()


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="train")
def start(cfg: DictConfig) -> None:
    """Train one run, in the folder that Hydra made for it."""
    job = HydraConfig.get()
    multirun = job.mode == RunMode.MULTIRUN
    for kind in ("study", "search"):
        if kind in cfg:
            name = job.runtime.choices[kind]
            wrong = f"error: {kind}={name}: a {kind} is many runs; add -m"
            if multirun:
                needed = f"'override /hydra/sweeper: {kind}'"
                wrong = f"error: {kind}={name}: give one {kind}; its defaults must contain {needed}"
            sys.exit(wrong)  # an exception would let Hydra start the next job
    try:
        run_job(cfg, Path(job.runtime.output_dir))
    except Reported as error:
        if multirun:
            raise  # Hydra runs the other jobs first
        raise SystemExit(1) from error  # an exception would make Hydra print another line


def spell_out(argument: str) -> list[str]:
    """`init=FOLDER` is short for `init=run init.run=FOLDER`; any other argument stays as it is.

    Paths, several between commas, are quoted, since signs such as = and brackets mean something to Hydra.
    """
    key, _, value = argument.partition("=")
    if key != "init" or value in ("none", "run"):
        if key and value.startswith("[") and (CONF / key).is_dir():  # Hydra would merge the keys of all
            raise unknown(key, value, sorted(path.stem for path in (CONF / key).iterdir()))
        return [argument]
    paths = value.split(",")
    if "none" in paths:
        raise UserError(f"init={value}: give runs alone, and start with init=none in a command of its own")
    if not set(value) & set("'\""):
        value = ",".join(f"'{path}'" for path in paths)
    return ["init=run", f"init.run={value}"]


def resume(arguments: list[str]) -> None:
    """Resume an interrupted run with the configuration in its folder."""
    if len(arguments) > 1:
        raise UserError("resume=FOLDER takes no other arguments: a run resumes with the configuration it started with")
    from emnist.runs.folder import RunFolder

    _, _, name = arguments[0].partition("=")
    if not Path(name).is_dir() or not name:
        raise UserError(f"resume={name}: no such folder; give that of a run, such as outputs/cnn/…")
    run_job(RunFolder(name).read_config(), Path(name), resume=True)


if __name__ == "__main__":
    main()
