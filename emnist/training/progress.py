from typing import Any

import lightning as L
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

STEPS_BETWEEN_UPDATES = 10  # an update takes 20 µs, 1% of an MLP's step


class ProgressBar(L.Callback):
    """One bar for the whole training, with the time left: epoch 3/20 ━━━━━ 12% 0:01:23. Removed at the end."""

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        columns = TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn()
        self.progress = Progress(*columns, transient=True, console=Console())
        epochs, batches = trainer.max_epochs or 0, int(trainer.num_training_batches)
        self.task = self.progress.add_task("", total=epochs * batches, completed=trainer.current_epoch * batches)
        self.progress.start()

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.progress.update(self.task, description=f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}")

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        if (batch_idx + 1) % STEPS_BETWEEN_UPDATES == 0 or trainer.is_last_batch:
            done = trainer.current_epoch * int(trainer.num_training_batches) + batch_idx + 1
            self.progress.update(self.task, completed=done)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self.progress.stop()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        if hasattr(self, "progress"):
            self.progress.stop()
