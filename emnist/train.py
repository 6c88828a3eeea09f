"""Train one classifier, or several with -m: python -m emnist.train model=cnn optimizer=adam"""

import os
import sys
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from emnist.errors import UserError, describe
from emnist.training.job import JobFailed, train
from emnist.study.sweeper import register

HERE = Path(__file__).resolve().parent
CONF = HERE / "conf" if (HERE / "conf").is_dir() else HERE.parent / "conf"  # in a wheel, in a checkout

wants_traceback = False


def main() -> None:
    global wants_traceback
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1" and "LOCAL_RANK" not in os.environ
    os.environ["HYDRA_FULL_ERROR"] = "1"  # Hydra hands its errors over instead of printing several lines
    try:
        if any(argument.lstrip("+").startswith("resume=") for argument in sys.argv[1:]):
            resume(sys.argv[1:])
        else:
            register()
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
    if "study" in cfg:
        name = job.runtime.choices["study"]
        wrong = f"error: study={name}: a study is many runs; add -m"
        if job.mode == RunMode.MULTIRUN:
            wrong = f"error: study={name}: name one study; its defaults have to hold 'override /hydra/sweeper: study'"
        print(wrong, file=sys.stderr)
        sys.exit(1)  # at once, where an error would let Hydra go on to the next job
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
    from emnist.runs.folder import RunFolder

    _, _, name = arguments[0].partition("=")
    if not Path(name).is_dir() or not name:
        raise UserError(f"resume={name}: no such folder; give that of a run, such as outputs/cnn/…")
    train(RunFolder(name).read_config(), Path(name), resume=True)


if __name__ == "__main__":
    main()
