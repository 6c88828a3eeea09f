from collections.abc import Callable
from typing import Literal

import lightning as L
import numpy as np
import torch
from torch import Tensor

from emnist.checks import validate
from emnist.data.augmentation import build_augmentation
from emnist.data.batches import EVALUATION_BATCH, Batches, WholeEpoch
from emnist.data.folds import grouped_folds, stratified_folds
from emnist.data.sources import load_dataset
from emnist.errors import UserError
from emnist.runs.config import Split


class DataModule(L.LightningDataModule):
    """Training images, the fold held out for validation, and test images, on the device that trains.

    `source` holds the arguments of the loader `name`; `augmentation` those of `build_augmentation`. Images of one
    group, where the data has groups, are in one fold. `sampling` is natural, every training image once an epoch, or
    balanced, every class equally often. With `fold` None all training images are trained on and there is no
    validation. With `per_class`, only so many of each class are trained on, drawn by `fold_seed`, `fold` and `seed`;
    validation is the same. Raises UserError for invalid values.
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
        sampling: Literal["natural", "balanced"] = "natural",
        per_class: int | None = None,
        **source,
    ):
        super().__init__()
        split = {"batch_size": batch_size, "folds": folds, "fold": fold, "fold_seed": fold_seed}
        validate(Split, split | {"sampling": sampling, "per_class": per_class}, "data.")
        self.dataset = load_dataset(name, **source)
        self.batch_size, self.seed, self.sampling = batch_size, seed, sampling
        self.whole_epochs = False  # whether training takes a whole epoch at once
        self.augmentation = build_augmentation(len(self.dataset.classes), **augmentation)
        labels = self.dataset.train_labels
        if fold is None:
            self.train_indices, self.val_indices = torch.arange(len(labels)), torch.arange(0)
        else:
            if fold >= folds:
                raise UserError(f"data.fold={fold}: must be less than data.folds={folds}; folds count from 0")
            groups = self.dataset.train_groups
            if groups is None:
                assigned = stratified_folds(labels.numpy(), folds, fold_seed)
            else:
                assigned = grouped_folds(labels.numpy(), groups.numpy(), folds, fold_seed)
            held_out = torch.from_numpy(assigned == fold)
            self.train_indices, self.val_indices = (~held_out).nonzero()[:, 0], held_out.nonzero()[:, 0]
        if per_class is not None:
            random = np.random.RandomState([fold_seed, 0 if fold is None else 1 + fold, seed])
            self.train_indices = _draw(labels, self.train_indices, per_class, random)
        self.mean, self.std = self.dataset.mean_and_std(self.train_indices)

    @property
    def evaluated(self) -> list[str]:
        """The sets evaluated after every epoch, in the order of `val_dataloader`. Test is monitored, never used."""
        return ["val", "test"] if len(self.val_indices) else ["test"]

    def describe_fold(self) -> str:
        if not len(self.val_indices):
            return f"all {len(self.train_indices):,}, no validation"
        return f"{len(self.train_indices):,}, validating on {len(self.val_indices):,}"

    def warnings(self) -> list[str]:
        """What groups do to the split that a person should know, a line each."""
        groups, others = self.dataset.train_groups, self.dataset.test_groups
        if groups is None or others is None:
            return []
        lines = []
        both = others[torch.isin(others, groups)]
        if len(both):
            lines.append(
                f"data.groups: {len(both.unique()):,} groups have training and test images ({len(both):,} of the test"
                " images), so the test accuracy is not that of new groups"
            )
        counts = torch.bincount(self.dataset.train_labels[self.train_indices], minlength=len(self.dataset.classes))
        absent = [name for name, count in zip(self.dataset.classes, counts.tolist(), strict=True) if not count]
        if absent:
            lines.append(f"data.groups: all training images of {', '.join(absent)} are in the fold held out")
        return lines

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

    def train_dataloader(self) -> Batches | WholeEpoch:
        trainer = self.trainer
        assert trainer is not None
        batches = self.train_batches(lambda: trainer.current_epoch, trainer.global_rank, trainer.world_size)
        return WholeEpoch(batches) if self.whole_epochs else batches

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
            balanced=self.sampling == "balanced",
        )

    def val_dataloader(self) -> list[Batches]:
        return [Batches(*self.sets[name], EVALUATION_BATCH, self.mean, self.std) for name in self.evaluated]


def _draw(labels: Tensor, indices: Tensor, per_class: int, random: np.random.RandomState) -> Tensor:
    """`per_class` of these indices from each class, in ascending order; those of a smaller draw are among them.

    Raises UserError if a class has fewer.
    """
    classes = [indices[labels[indices] == label] for label in labels.unique()]
    smallest = min(map(len, classes))
    if per_class > smallest:
        raise UserError(f"data.per_class={per_class}: the smallest class has {smallest} images to train on")
    drawn = [own[torch.from_numpy(random.permutation(len(own)))[:per_class]] for own in classes]
    return torch.cat(drawn).sort().values
