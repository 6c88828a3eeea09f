"""MNIST and sets like it, from the files that torchvision downloads and verifies.

In all of them ink is 255 on paper of 0, and clothing is bright on black. LeCun et al., Gradient-based learning applied
to document recognition, 1998 (MNIST); Clanuwat et al., Deep learning for classical Japanese literature, 2018 (KMNIST);
Xiao et al., Fashion-MNIST, 2017; Yadav and Bottou, Cold case: the lost MNIST digits, 2019 (QMNIST); Hull, A database
for handwritten text recognition research, 1994 (USPS).
"""

import bz2
import hashlib
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from emnist.checks import directory
from emnist.data.dataset import Dataset
from emnist.data.sources.arrays import Part, dataset_of
from emnist.data.sources.idx import INT32, read_idx
from emnist.errors import UserError, unknown

DIGITS = tuple("0123456789")
KUZUSHIJI = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")  # as torchvision names them
CLOTHES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")
MNIST_FILES = tuple(
    f"{part}-ubyte.gz" for part in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
)
QMNIST_FILES = (
    "qmnist-train-images-idx3-ubyte.gz",
    "qmnist-train-labels-idx2-int.gz",
    "qmnist-test-images-idx3-ubyte.gz",
    "qmnist-test-labels-idx2-int.gz",
)
USPS_FILES = ("usps.bz2", "usps.t.bz2")


@dataclass(frozen=True)
class Kind:
    """A set: torchvision's class, which is also its folder, and what its files must hold."""

    name: str
    classes: tuple[str, ...]
    sizes: tuple[int, int]  # training and test images
    files: tuple[str, ...] = MNIST_FILES  # training images and labels, test images and labels


SETS = {
    "mnist": Kind("MNIST", DIGITS, (60_000, 10_000)),
    "kmnist": Kind("KMNIST", KUZUSHIJI, (60_000, 10_000)),
    "fashion": Kind("FashionMNIST", CLOTHES, (60_000, 10_000)),
    "qmnist": Kind("QMNIST", DIGITS, (60_000, 60_000), QMNIST_FILES),
    "usps": Kind("USPS", DIGITS, (7_291, 2_007), USPS_FILES),
}


def load_torchvision(root: str, split: str) -> Dataset:
    """Read a set of `SETS` from `<root>/<its folder>/raw/`, after downloading it if files are missing.

    Files are those of torchvision, compressed or (idx files) not; the official ones are recognised by torchvision's own
    checksums of the compressed ones. Raises UserError as `load_emnist` does.
    """
    if split not in SETS:
        raise unknown("data.split", split, SETS)
    path = directory("data.root", root)
    if not is_stored(root, split):
        _download(path, split)
    paths = tuple(_find(path, split, name) or _raw(path, split) / name for name in SETS[split].files)
    try:
        stamps = tuple((path.stat().st_mtime_ns, path.stat().st_size) for path in paths)
    except OSError as error:
        raise UserError(f"data.root: {error.filename} can't be read ({error.strerror})") from error
    return _read(split, paths, stamps)


def is_stored(root: str, split: str) -> bool:
    """Whether all files of a set are there, so that nothing is downloaded."""
    return all(_find(Path(root), split, name) is not None for name in SETS[split].files)


def _raw(root: Path, split: str) -> Path:
    return root / SETS[split].name / "raw"


def _find(root: Path, split: str, name: str) -> Path | None:
    folder = _raw(root, split)
    try:
        return next((path for path in (folder / name, folder / name.removesuffix(".gz")) if path.exists()), None)
    except OSError as error:
        raise UserError(f"data.root: {error.filename} can't be read ({error.strerror})") from error


def _download(root: Path, split: str) -> None:
    from torchvision import datasets

    kind, raw = SETS[split], _raw(root, split)
    unfinished = root / kind.name / ".download"  # an interrupted download leaves no partial file in raw
    download: Callable[..., Any] = getattr(datasets, kind.name)
    try:
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir(parents=True)
        for train in (True, False):
            download(str(unfinished), train=train, download=True)
        raw.mkdir(parents=True, exist_ok=True)
        for name in kind.files:
            next(unfinished.rglob(name)).replace(raw / name)
    except Exception as error:  # network, server and disk raise various exceptions
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"{kind.name} is not in {raw}, and the download failed ({reason}). Either\n"
            f"put {', '.join(kind.files)} there,\n"
            "or choose data=glyphs, generated characters that need no download"
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


@lru_cache(maxsize=1)  # the jobs of a multirun share the tensors
def _read(split: str, paths: tuple[Path, ...], stamps: tuple) -> Dataset:
    """`stamps` (modification time and size of each path) make the cache miss when a file has changed."""
    kind = SETS[split]
    if split == "usps":
        sets = [(path, *_read_usps(path)) for path in paths]
    else:
        sets = [(images, *_read_pair(images, labels)) for images, labels in (paths[:2], paths[2:])]
    train, test = (Part(str(path), images, labels) for path, images, labels in sets)
    if (len(train.labels), len(test.labels)) != kind.sizes:
        official, words = False, "not the official split"
    elif any(path.name != name for path, name in zip(paths, kind.files, strict=True)):
        official, words = None, "the official sizes, contents not verified"
    elif [hashlib.md5(path.read_bytes()).hexdigest() for path in paths] == checksums(split):
        official, words = True, "the official split"
    else:
        official, words = False, "the official sizes, but not the official split"
    return dataset_of(train, test, kind.classes, name=kind.name, split=split, official=official, kind=words)


def checksums(split: str) -> list[str]:
    """torchvision's md5 of the compressed files."""
    from torchvision import datasets

    if split == "usps":
        return [datasets.USPS.split_list[part][2] for part in ("train", "test")]
    if split == "qmnist":
        return [md5 for part in ("train", "test") for _, md5 in datasets.QMNIST.resources[part]]
    return [md5 for _, md5 in getattr(datasets, SETS[split].name).resources]


def _read_pair(images_path: Path, labels_path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [N, 28, 28] and their labels [N]."""
    images = read_idx(images_path, 3)
    # Those of QMNIST are the class and seven numbers about where the digit comes from.
    several = "idx2-int" in labels_path.name
    labels = read_idx(labels_path, 2, INT32)[:, 0] if several else read_idx(labels_path, 1)
    if images.shape[1:] != (28, 28):
        raise UserError(f"{images_path}: images of {images.shape[1]} × {images.shape[2]}, not 28 × 28")
    if len(images) != len(labels):
        raise UserError(f"{labels_path}: {len(labels):,} labels, but {images_path.name} has {len(images):,} images")
    if not len(labels):
        raise UserError(f"{images_path}: no images")
    return images, labels


def _read_usps(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 [N, 16, 16] and labels [N] of a text file: lines of a label from 1 and 256 levels from -1 to 1."""
    try:
        text = bz2.decompress(path.read_bytes()).decode("ascii")
        numbers = np.array(re.sub(r"\d+:", "", text).split(), np.float32).reshape(-1, 257)
    except (OSError, EOFError, ValueError) as error:
        raise UserError(f"{path}: damaged, or not the file of USPS ({error}); download the file again") from error
    levels = ((numbers[:, 1:] + 1) / 2 * 255).astype(np.uint8)  # as torchvision does it, to the bit
    return levels.reshape(-1, 16, 16), numbers[:, 0].astype(np.int64) - 1
