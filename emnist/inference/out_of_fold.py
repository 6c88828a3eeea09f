"""Probabilities of the training images by networks that were not trained on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from emnist.errors import UserError
from emnist.inference.images import images_of
from emnist.inference.load import load_run
from emnist.runs.result import Result


@dataclass(frozen=True)
class OutOfFold:
    """Of the training images in the folds that the runs validated on."""

    indices: np.ndarray  # int64 [M], numbers of the images
    probabilities: np.ndarray  # float32 [M, classes]; with several runs of a fold, their mean
    folds: list[int]  # those there are
    of: int  # folds


def out_of_fold(runs: Sequence[tuple[Path, Result]]) -> OutOfFold:
    """The probabilities of each run's validation fold. The runs are of one cell, so they share images and folds.

    Each epoch was chosen, and the temperature fitted, on this fold; it was not trained on. Raises UserError for a run
    without validation, without a checkpoint or whose images are gone.
    """
    total: dict[int, torch.Tensor] = {}
    held_out: dict[int, torch.Tensor] = {}
    number: dict[int, int] = {}
    for folder, result in runs:
        fold = result.config["data"]["fold"]
        if fold is None:
            raise UserError(f"{folder}: trained on all images (data.fold=null), so it has not left out any")
        data, classifier = images_of(result), load_run(folder)
        probabilities = classifier.predict(data.dataset.train_images[data.val_indices])
        total[fold] = total.get(fold, 0) + probabilities
        held_out[fold], number[fold] = data.val_indices, number.get(fold, 0) + 1
    folds = sorted(total)
    indices = torch.cat([held_out[fold] for fold in folds]).numpy()
    means = torch.cat([total[fold] / number[fold] for fold in folds]).numpy()
    order = np.argsort(indices)
    return OutOfFold(indices[order], means[order], folds, runs[0][1].config["data"]["folds"])
