"""Arrays in an .npz file, in the layout of MedMNIST (Yang et al., MedMNIST v2, 2023)."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from emnist.checks import directory
from emnist.data.dataset import Dataset
from emnist.data.sources.arrays import Part, checked_images, checked_labels, checked_names, dataset_of
from emnist.errors import UserError


def load_npz(root: str | None, file: str | None, groups: str | None = None) -> Dataset:
    """Read `<root>/<file>` with the arrays `train_images`, `train_labels`, `test_images` and `test_labels`.

    Images are uint8 [N, H, W], or [N, H, W, 3] in colour; labels are whole numbers or names, [N] or [N, 1].
    `val_images` and `val_labels` are added to the training images, which are split into folds. `classes`, an array of
    names, is optional: labels are then indices into it. `groups`, say "writer", names the arrays `train_writer`,
    `val_writer` and `test_writer`. Raises UserError, naming the file and the array, for anything else.
    """
    folder = directory("data.root", root)
    if not file:
        raise UserError("data.file is empty: give the name of an .npz file in data.root")
    path = folder / Path(file).expanduser()
    try:
        stat = path.stat()
    except OSError as error:
        raise UserError(f"data.file={file}: {path} can't be read ({error.strerror})") from error
    return _read(path, groups, (stat.st_mtime_ns, stat.st_size))


@lru_cache(maxsize=1)  # the jobs of a multirun share the tensors
def _read(path: Path, groups: str | None, stamp: tuple[int, int]) -> Dataset:
    """`stamp` (modification time and size) makes the cache miss when the file has changed."""
    try:
        with np.load(path, allow_pickle=False) as file:  # pickles could run code
            return _dataset(path, file, groups)
    except UserError:
        raise
    except Exception as error:  # zipfile, zlib and numpy raise various exceptions
        raise UserError(f"{path}: not an .npz file of arrays, or damaged ({' '.join(str(error).split())})") from error


def _dataset(path: Path, file: Mapping[str, np.ndarray], groups: str | None) -> Dataset:
    train, test = _part(path, file, "train", groups), _part(path, file, "test", groups)
    kind = f"from {path.name}"
    if "val_images" in file:
        val = _part(path, file, "val", groups)
        if val.images.shape[1:] != train.images.shape[1:]:
            raise UserError(f"{val.name}: images of another shape than {train.name}")
        train.images = np.concatenate([train.images, val.images])
        train.labels = np.concatenate([train.labels, val.labels])
        if train.groups is not None and val.groups is not None:
            train.groups = np.concatenate([train.groups, val.groups])
        kind += f", its {len(val.images):,} validation images among those for training"
    names = checked_names(_array(path, file, "classes"), f"{path}: classes") if "classes" in file else None
    return dataset_of(train, test, names, name=path.stem, split=path.stem, official=None, kind=kind)


def _part(path: Path, file: Mapping[str, np.ndarray], part: str, groups: str | None) -> Part:
    name = f"{path}: {part}_images"
    images = checked_images(_array(path, file, f"{part}_images"), name)

    def of_each(what: str) -> np.ndarray:
        return checked_labels(_array(path, file, f"{part}_{what}"), len(images), f"{path}: {part}_{what}")

    return Part(name, images, of_each("labels"), None if groups is None else of_each(groups))


def _array(path: Path, file: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """Only the arrays that are needed are read."""
    if name not in file:
        raise UserError(f"{path}: no array {name}; it has {', '.join(file) or 'none'}")
    try:
        return file[name]
    except ValueError as error:
        if "pickle" not in str(error):
            raise
        raise UserError(f"{path}: {name}: Python objects, which are not read; store numbers or text") from error
