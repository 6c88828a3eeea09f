from collections.abc import Callable

import lightning as L
import torch

from emnist.checks import whole
from emnist.data.augmentation import build_augmentation
from emnist.data.batches import EVALUATION_BATCH, Batches
from emnist.data.dataset import Dataset
from emnist.data.sources.emnist import load_emnist
from emnist.data.folds import stratified_folds
from emnist.data.sources.glyphs import load_glyphs
from emnist.errors import UserError, choose

SOURCES: dict[str, Callable[..., Dataset]] = {"emnist": load_emnist, "glyphs": load_glyphs}


def load_dataset(name: str, **source) -> Dataset:
    """The images of `data.name`; `source` holds the arguments of its loader. Raises UserError for what can't be."""
    if name not in SOURCES:
        raise choose("data.name", name, SOURCES)
    try:
        return SOURCES[name](**source)
    except TypeError as error:
        raise UserError(f"data={name}: {error}") from error


class DataModule(L.LightningDataModule):
    """The training set less a fold, the fold as validation, and the test set, in the memory that trains.

    `source` holds the arguments of the loader `name`; `augmentation` those of `build_augmentation`.
    Validation is empty where `fold` is None. Raises UserError for values that can't be.
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
        whole("data.batch_size", batch_size)
        self.dataset = load_dataset(name, **source)
        self.batch_size, self.seed = batch_size, seed
        self.augmentation = build_augmentation(**augmentation)
        labels = self.dataset.train_labels
        if fold is None:
            self.train_indices, self.val_indices = torch.arange(len(labels)), torch.arange(0)
        else:
            whole("data.fold", fold, least=0, most=whole("data.folds", folds, least=2) - 1)
            held_out = torch.from_numpy(stratified_folds(labels.numpy(), folds, fold_seed) == fold)
            self.train_indices, self.val_indices = (~held_out).nonzero()[:, 0], held_out.nonzero()[:, 0]
        self.mean, self.std = self.dataset.mean_and_std(self.train_indices)

    @property
    def evaluated(self) -> list[str]:
        """The sets looked at after every epoch, in the order of `val_dataloader`: test for watching only."""
        return ["val", "test"] if len(self.val_indices) else ["test"]

    def describe_fold(self) -> str:
        if not len(self.val_indices):
            return f"all {len(self.train_indices):,}, no validation"
        return f"{len(self.train_indices):,}, validating on {len(self.val_indices):,}"

    def setup(self, stage: str) -> None:
        # The whole set lies on the device that trains (22 MB for a quarter of EMNIST Balanced); on the CPU, not twice.
        assert self.trainer is not None
        device, data = self.trainer.strategy.root_device, self.dataset
        train = data.train_images.to(device), data.train_labels.to(device)
        test = data.test_images.to(device), data.test_labels.to(device)
        self.sets = {
            "train": (*train, self.train_indices.to(device)),
            "val": (*train, self.val_indices.to(device)),
            "test": (*test, torch.arange(len(data.test_labels), device=device)),
        }

    def train_dataloader(self) -> Batches:
        trainer = self.trainer
        assert trainer is not None
        return Batches(
            *self.sets["train"],
            self.batch_size,
            self.mean,
            self.std,
            shuffle=True,
            augmentation=self.augmentation,
            seed=self.seed,
            epoch=lambda: trainer.current_epoch,
            rank=trainer.global_rank,
            world_size=trainer.world_size,
        )

    def val_dataloader(self) -> list[Batches]:
        return [Batches(*self.sets[name], EVALUATION_BATCH, self.mean, self.std) for name in self.evaluated]
