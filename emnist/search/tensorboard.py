"""The trials of a search in TensorBoard's HParams tab: tensorboard --logdir outputs/study/search/<name>/trials"""

import shutil
from pathlib import Path
from typing import cast

from emnist.runs.search import Search, Trial


def log_trial(folder: Path, search: Search, trial: Trial) -> None:
    """Write the parameters, the learning curve and the outcome of a trial, once."""
    if any(folder.glob("events.*")):
        return
    unfinished = folder / "unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)  # of a process that was killed
    from torch.utils.tensorboard import FileWriter, SummaryWriter
    from torch.utils.tensorboard.summary import hparams

    final = {"seconds": trial.seconds, **({} if trial.value is None else {search.metric: trial.value})}
    _, start, end = hparams({**trial.parameters, "state": trial.state}, final)
    with SummaryWriter(str(unfinished)) as writer:
        for summary in (start, end):
            cast(FileWriter, writer.file_writer).add_summary(summary)
        for name, value in final.items():
            writer.add_scalar(name, value, trial.number)
        for epoch, value in enumerate(trial.curve, start=1):
            writer.add_scalar(f"curve/{search.metric}", value, epoch)
    (file,) = unfinished.iterdir()
    file.replace(folder / file.name)
    unfinished.rmdir()
