"""Arrays in an .npz file, in the layout of MedMNIST (Yang et al., MedMNIST v2, 2023)."""

from functools import lru_cache
from pathlib import Path

import numpy as np

from emnist.checks import directory
from emnist.data.dataset import Dataset
from emnist.data.sources.arrays import Part, checked_images, checked_labels, dataset_of
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
            arrays = {name: file[name] for name in file.files}
    except Exception as error:  # zipfile, zlib and numpy raise various exceptions
        raise UserError(f"{path}: not an .npz file of arrays, or damaged ({' '.join(str(error).split())})") from error
    train, test = _part(path, arrays, "train", groups), _part(path, arrays, "test", groups)
    kind = f"from {path.name}"
    if "val_images" in arrays:
        val = _part(path, arrays, "val", groups)
        if val.images.shape[1:] != train.images.shape[1:]:
            raise UserError(f"{val.name}: images of another shape than {train.name}")
        train.images = np.concatenate([train.images, val.images])
        train.labels = np.concatenate([train.labels, val.labels])
        if train.groups is not None and val.groups is not None:
            train.groups = np.concatenate([train.groups, val.groups])
        kind += f", its {len(val.images):,} validation images among those for training"
    names = list(map(str, arrays["classes"])) if "classes" in arrays else None
    return dataset_of(train, test, names, name=path.stem, split=path.stem, official=None, kind=kind)


def _part(path: Path, arrays: dict[str, np.ndarray], part: str, groups: str | None) -> Part:
    def array(name: str) -> np.ndarray:
        if f"{part}_{name}" not in arrays:
            raise UserError(f"{path}: no array {part}_{name}; it has {', '.join(arrays) or 'none'}")
        return arrays[f"{part}_{name}"]

    images = checked_images(array("images"), f"{path}: {part}_images")
    labels = checked_labels(array("labels"), len(images), f"{path}: {part}_labels")
    of_group = None if groups is None else checked_labels(array(groups), len(images), f"{path}: {part}_{groups}")
    return Part(f"{path}: {part}_images", images, labels, of_group)
