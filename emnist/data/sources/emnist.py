"""EMNIST from its official idx files. Cohen et al., EMNIST: an extension of MNIST to handwritten letters, 2017."""

import hashlib
import shutil
import string
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from emnist.checks import directory
from emnist.data.dataset import Dataset
from emnist.data.sources.idx import read_idx
from emnist.errors import UserError, unknown
from emnist.runs.checksums import LIST, Checksums, sha256, verify

FILES = ("train-images-idx3", "train-labels-idx1", "test-images-idx3", "test-labels-idx1")
MERGED = string.digits + string.ascii_uppercase + "abdefghnqrt"  # the other lower-case letters look like capitals
CLASSES = {
    "balanced": MERGED,
    "bymerge": MERGED,
    "byclass": string.digits + string.ascii_uppercase + string.ascii_lowercase,
    "letters": string.ascii_lowercase,  # both cases in one class
    "digits": string.digits,
    "mnist": string.digits,
}
FIRST_LABEL = {"letters": 1}  # as the files have it; 0 in every other split
OFFICIAL_SIZES = {  # training and test images
    "balanced": (112_800, 18_800),
    "bymerge": (697_932, 116_323),
    "byclass": (697_932, 116_323),
    "letters": (124_800, 20_800),
    "digits": (240_000, 40_000),
    "mnist": (60_000, 10_000),
}
OFFICIAL_LABELS_SHA256 = {  # of the label bytes without the header: train, test
    "balanced": (
        "9909d861181d52ebb2b5d06498db211ca04680276c3e597ce66358fc3d93a369",
        "3a04035853036eafee72845b4452e8f11459850c039ba8747c4212d15cd25155",
    )
}


def load_emnist(root: str, split: str) -> Dataset:
    """Read a split from `<root>/EMNIST/raw/`, after downloading it if files are missing.

    Raises UserError, naming the key or the file, for an unknown split, an unusable root, missing files that
    can't be downloaded, and damaged or inconsistent files.
    """
    if split not in CLASSES:
        raise unknown("data.split", split, CLASSES)
    path = directory("data.root", root)
    if not is_stored(root, split):
        _download(path, split)
    folder = path / "EMNIST" / "raw"
    paths = tuple(_find(folder, name) or folder / name for name in _names(split))
    try:
        stamps = tuple((path.stat().st_mtime_ns, path.stat().st_size) for path in paths)
    except OSError as error:
        raise UserError(f"data.root: {error.filename} can't be read ({error.strerror})") from error
    return _read(split, paths, stamps)


def is_stored(root: str, split: str) -> bool:
    """Whether all files of a split are there, so that nothing is downloaded."""
    folder = Path(root) / "EMNIST" / "raw"
    return all(_find(folder, name) is not None for name in _names(split))


def _names(split: str) -> list[str]:
    return [f"emnist-{split}-{part}-ubyte" for part in FILES]


def _find(folder: Path, name: str) -> Path | None:
    try:
        return next((path for path in (folder / name, folder / f"{name}.gz") if path.exists()), None)
    except OSError as error:
        raise UserError(f"data.root: {error.filename} can't be read ({error.strerror})") from error


def _download(root: Path, split: str) -> None:
    from torchvision.datasets import EMNIST  # takes a second to import and is rarely needed

    raw = root / "EMNIST" / "raw"
    unfinished = root / "EMNIST" / ".download"  # an interrupted download leaves no partial file in raw
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        EMNIST(str(unfinished), split, download=True)
        raw.mkdir(parents=True, exist_ok=True)
        files = list(unfinished.glob("EMNIST/raw/emnist-*"))  # of every split: they come in one archive
        Checksums(files={path.name: [sha256(path)] for path in files}).write(raw / LIST)
        for path in files:
            path.replace(raw / path.name)
    except Exception as error:  # network, server and disk raise various exceptions
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"EMNIST {split} is not in {raw}, and the download failed ({reason}). Either\n"
            f"put emnist-{split}-{{train,test}}-{{images-idx3,labels-idx1}}-ubyte[.gz] there, "
            "or set EMNIST_ROOT (or data.root=…) to the folder that has them as EMNIST/raw/…,\n"
            "or choose data=glyphs, generated characters that need no download"
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


@lru_cache(maxsize=1)  # the jobs of a multirun share the tensors
def _read(split: str, paths: tuple[Path, ...], stamps: tuple) -> Dataset:
    """`stamps` (modification time and size of each path) make the cache miss when a file has changed."""
    classes = tuple(CLASSES[split])
    first = FIRST_LABEL.get(split, 0)
    sets: list[tuple[Tensor, Tensor]] = []
    digests = []
    for path in paths:
        verify(path, partial(Checksums.of, path), "delete it, and all are downloaded again")
    for images_path, labels_path in (paths[:2], paths[2:]):
        images, labels = read_idx(images_path, 3), read_idx(labels_path, 1)
        if images.shape[1:] != (28, 28):
            raise UserError(f"{images_path}: images of {images.shape[1]} × {images.shape[2]}, not 28 × 28")
        if len(images) != len(labels):
            raise UserError(f"{labels_path}: {len(labels):,} labels, but {images_path.name} has {len(images):,} images")
        if len(labels) == 0:
            raise UserError(f"{images_path}: no images")
        if labels.min() < first or labels.max() >= first + len(classes):
            raise UserError(
                f"{labels_path}: labels from {labels.min()} to {labels.max()}, "
                f"but those of {split} range from {first} to {first + len(classes) - 1}"
            )
        digests.append(hashlib.sha256(labels.data).hexdigest())
        # The files hold each image transposed.
        upright = np.ascontiguousarray(images.transpose(0, 2, 1))
        sets.append((torch.from_numpy(upright), torch.from_numpy(labels.astype(np.int64) - first)))

    if tuple(len(labels) for _, labels in sets) != OFFICIAL_SIZES[split]:
        official, kind = False, "not the official split"
    elif split not in OFFICIAL_LABELS_SHA256:
        official, kind = None, "the official sizes, contents not verified"
    elif tuple(digests) == OFFICIAL_LABELS_SHA256[split]:
        official, kind = True, "the official split"
    else:
        official, kind = False, "the official sizes, but not the official split"
    train, test = sets
    return Dataset(f"EMNIST {split}", split, classes, *train, *test, official, kind)
