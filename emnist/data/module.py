from collections.abc import Callable

import lightning as L
import torch

from emnist.checks import validate
from emnist.data.augmentation import build_augmentation
from emnist.data.batches import EVALUATION_BATCH, Batches
from emnist.data.folds import stratified_folds
from emnist.data.sources import load_dataset
from emnist.errors import UserError
from emnist.runs.config import Split


class DataModule(L.LightningDataModule):
    """Training images, the fold held out for validation, and test images, on the device that trains.

    `source` holds the arguments of the loader `name`; `augmentation` those of `build_augmentation`.
    With `fold` None all training images are trained on and there is no validation. Raises UserError for invalid
    values.
    """

    def __init__(
        self,
        name: str,
        batch_size: int,
        folds: int,
        fold: int | None,
        fold_seed: int,
        augmentation: dict,
        seed: int,
        **source,
    ):
        super().__init__()
        split = {"batch_size": batch_size, "folds": folds, "fold": fold, "fold_seed": fold_seed}
        validate(Split, split, "data.")
        self.dataset = load_dataset(name, **source)
        self.batch_size, self.seed = batch_size, seed
        self.augmentation = build_augmentation(num_classes=len(self.dataset.classes), **augmentation)
        labels = self.dataset.train_labels
        if fold is None:
            self.train_indices, self.val_indices = torch.arange(len(labels)), torch.arange(0)
        else:
            if fold >= folds:
                raise UserError(f"data.fold={fold}: must be less than data.folds={folds}; folds count from 0")
            held_out = torch.from_numpy(stratified_folds(labels.numpy(), folds, fold_seed) == fold)
            self.train_indices, self.val_indices = (~held_out).nonzero()[:, 0], held_out.nonzero()[:, 0]
        self.mean, self.std = self.dataset.mean_and_std(self.train_indices)

    @property
    def evaluated(self) -> list[str]:
        """The sets evaluated after every epoch, in the order of `val_dataloader`. Test is monitored, never used."""
        return ["val", "test"] if len(self.val_indices) else ["test"]

    def describe_fold(self) -> str:
        if not len(self.val_indices):
            return f"all {len(self.train_indices):,}, no validation"
        return f"{len(self.train_indices):,}, validating on {len(self.val_indices):,}"

    def setup(self, stage: str) -> None:
        assert self.trainer is not None
        self.place(self.trainer.strategy.root_device)

    def place(self, device: torch.device) -> None:
        """Keep the images on the device that trains."""
        train_images, train_labels, test_images, test_labels = self.dataset.on(device)
        self.sets = {
            "train": (train_images, train_labels, self.train_indices.to(device)),
            "val": (train_images, train_labels, self.val_indices.to(device)),
            "test": (test_images, test_labels, torch.arange(len(test_labels), device=device)),
        }

    def train_dataloader(self) -> Batches:
        trainer = self.trainer
        assert trainer is not None
        return self.train_batches(lambda: trainer.current_epoch, trainer.global_rank, trainer.world_size)

    def train_batches(self, epoch: Callable[[], int], rank: int = 0, world_size: int = 1) -> Batches:
        return Batches(
            *self.sets["train"],
            self.batch_size,
            self.mean,
            self.std,
            shuffle=True,
            augmentation=self.augmentation,
            seed=self.seed,
            epoch=epoch,
            rank=rank,
            world_size=world_size,
        )

    def val_dataloader(self) -> list[Batches]:
        return [Batches(*self.sets[name], EVALUATION_BATCH, self.mean, self.std) for name in self.evaluated]
