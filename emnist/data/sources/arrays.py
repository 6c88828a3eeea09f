"""Arrays of images, labels and groups, checked and brought into the form of a Dataset."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from emnist.data.dataset import Dataset
from emnist.errors import UserError

SMALLEST = 2  # pixels
NAMED = 5  # classes in a message


@dataclass
class Part:
    """The training or the test images, with what messages call them."""

    name: str
    images: np.ndarray  # uint8 [N, H, W] or [N, 3, H, W]
    labels: np.ndarray  # [N], numbers or names
    groups: np.ndarray | None = None  # [N], likewise
    files: tuple[str, ...] = ()  # [N], or none


def dataset_of(train: Part, test: Part, classes: Sequence[str] | None = None, **about: Any) -> Dataset:
    """The Dataset of these parts; `about` are its other fields.

    Classes are the labels of the training images, in the order of numbers if all are numbers, else in that of their
    letters; or with names given, labels are indices into them. Raises UserError, naming the part, for images of several
    shapes, a class that only the test images have, and a single one.
    """
    if train.images.shape[1:] != test.images.shape[1:]:
        shapes = [" × ".join(map(str, part.images.shape[1:])) for part in (train, test)]
        raise UserError(f"{test.name}: images of {shapes[1]}, but those of {train.name} are {shapes[0]}")
    known = _in_order(train.labels) if classes is None else list(range(len(classes)))
    for part in (train, test):
        if unknown := sorted(set(part.labels.tolist()).difference(known)):
            listed = ", ".join(map(str, unknown[:NAMED])) + (", …" if len(unknown) > NAMED else "")
            wanted = "no training image has" if classes is None else f"that are not among the {len(known)} classes"
            raise UserError(f"{part.name}: labels {wanted}: {listed}")
    if len(known) < 2:
        raise UserError(f"{train.name}: all are of one class, {known[0]}; there must be at least two")
    number = {label: i for i, label in enumerate(known)}
    labels = [torch.tensor([number[label] for label in part.labels.tolist()]) for part in (train, test)]
    groups = _numbered(train.groups, test.groups)
    return Dataset(
        classes=tuple(map(str, known)) if classes is None else tuple(classes),
        train_images=_tensor(train.images),
        train_labels=labels[0],
        test_images=_tensor(test.images),
        test_labels=labels[1],
        train_groups=groups[0],
        test_groups=groups[1],
        train_files=train.files,
        test_files=test.files,
        **about,
    )


def _in_order(labels: np.ndarray) -> list[Any]:
    """The different ones: 2 before 10, also where numbers are text, as names of folders are."""
    names = np.unique(labels).tolist()
    return sorted(names, key=int) if all(str(name).isdecimal() for name in names) else names


def _tensor(images: np.ndarray) -> Tensor:
    return torch.from_numpy(np.require(images, requirements=["C", "W"]))  # a copy of what is neither


def _numbered(train: np.ndarray | None, test: np.ndarray | None) -> tuple[Tensor | None, Tensor | None]:
    """The groups as numbers, the same in both parts."""
    if train is None or test is None:
        return None, None
    _, numbers = np.unique(np.concatenate([train, test]), return_inverse=True)
    first, second = torch.from_numpy(numbers.astype(np.int64)).split([len(train), len(test)])
    return first, second


def checked_images(images: np.ndarray, name: str) -> np.ndarray:
    """uint8 [N, H, W], [N, H, W, 1] or [N, H, W, 3] → [N, H, W] or [N, 3, H, W]. Raises UserError for anything else."""
    if images.dtype != np.uint8:
        floats = images.dtype.kind == "f" and images.size and images.max() <= 1
        remedy = "; multiply them by 255 and round" if floats else ""
        raise UserError(f"{name}: {images.dtype}, but images are uint8 from 0 to 255{remedy}")
    if images.ndim == 4 and images.shape[3] in (1, 3):
        images = np.moveaxis(images, 3, 1) if images.shape[3] == 3 else images[..., 0]
    elif images.ndim != 3:
        raise UserError(f"{name}: the shape {list(images.shape)}; give [N, H, W], or [N, H, W, 3] in colour")
    if not len(images):
        raise UserError(f"{name}: no images")
    if min(images.shape[-2:]) < SMALLEST:
        raise UserError(f"{name}: images of {images.shape[-2]} × {images.shape[-1]} pixels are too small")
    return images


def checked_names(names: np.ndarray, name: str) -> list[str]:
    """Names of classes or numbers [C]. Raises UserError for anything else, and for equal ones."""
    if names.ndim != 1 or names.dtype.kind not in "iuU":
        raise UserError(f"{name}: {names.dtype} {list(names.shape)}; give the names of the classes, [C]")
    listed = list(map(str, names.tolist()))
    if equal := [one for i, one in enumerate(listed) if one in listed[:i]]:
        raise UserError(f"{name}: {equal[0]} twice")
    return listed


def checked_labels(labels: np.ndarray, count: int, name: str) -> np.ndarray:
    """Numbers or names [N] or [N, 1], as many as there are images → [N]. Raises UserError for anything else."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1 or labels.dtype.kind not in "iuU":
        shape = list(labels.shape)
        raise UserError(f"{name}: {labels.dtype} {shape}; give one whole number or name an image, [N] or [N, 1]")
    if len(labels) != count:
        raise UserError(f"{name}: {len(labels):,}, but there are {count:,} images")
    return labels
