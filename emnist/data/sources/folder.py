"""A person's own pictures: a folder a class, or a csv file of paths and labels."""

import csv
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import compress
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from PIL import Image
from pydantic import Field

from emnist.checks import Count, Seed, directory
from emnist.data.character import PIXELS, read_character
from emnist.data.dataset import Dataset
from emnist.data.folds import held_out
from emnist.data.picture import open_picture
from emnist.data.sources.arrays import Part, checked_images, dataset_of
from emnist.errors import UserError

PARTS = ("train", "val", "test")
CLASSES = "put the pictures of each class into a folder of its name"
Share = Annotated[float, Field(gt=0, lt=1)]


@dataclass(frozen=True)
class Entry:
    """A picture and what is known of it."""

    path: Path
    label: str
    part: str | None  # train, val or test; None: not given
    group: str | None


@dataclass(frozen=True)
class Reading:
    """How pictures become images."""

    read: str
    size: int | None
    channels: int


def load_folder(
    root: str | None,
    csv: str | None = None,
    groups: str | None = None,
    read: Literal["image", "character"] = "image",
    size: Count | None = 28,
    channels: Literal[1, 3] = 1,
    test_share: Share = 0.2,
    split_seed: Seed = 0,
) -> Dataset:
    """Read the pictures below `root`, in `<root>/<class>/…`, or `<root>/train/<class>/…` and `<root>/test/<class>/…`.

    With `csv`, a file in `root`, they are those of its column `path`, relative to `root`, with the classes of its
    column `label`; a column `split` says train or test, the column that `groups` names which belong together. `val` in
    place of train counts as train. Where no test images are given, a share of each class is drawn, see `held_out`.
    Other files in the folders are skipped, and the description of the data says how many.

    With `read` image, pictures are scaled to `size` × `size` pixels, or with None must have one size; with character
    each is read as emnist.predict does it. Raises UserError, naming the file, for pictures that can't be read, differ
    in size, or are missing, and for a class that only the test images have.
    """
    if read == "character" and (size, channels) != (PIXELS, 1):
        raise ValueError(f"read=character: makes grey images of 28 × 28; set data.size={PIXELS} data.channels=1")
    folder = directory("data.root", root)
    if not folder.is_dir():
        raise UserError(f"data.root={root}: no such folder")
    if csv is None and groups is not None:
        raise ValueError(f"groups={groups}: names a column of data.csv, which is not given")
    try:
        entries, others = _in_folders(folder) if csv is None else (_in_csv(folder / csv, folder, groups), 0)
        stamps = tuple((stat.st_mtime_ns, stat.st_size) for stat in (entry.path.stat() for entry in entries))
    except OSError as error:
        raise UserError(f"{error.filename}: can't be read ({error.strerror})") from error
    where = folder if csv is None else folder / csv
    return _read(where, tuple(entries), stamps, Reading(read, size, channels), test_share, split_seed, others)


def _in_folders(root: Path) -> tuple[list[Entry], int]:
    """The pictures of each class, in order, and how many other files there are."""
    names = _subfolders(root)
    if not {"train", "test"} <= set(names):
        if names and set(names) <= set(PARTS):
            raise UserError(
                f"{root}: {' and '.join(names)}, but not both train/ and test/; add the other, or {CLASSES}"
            )
        return _of_classes(root, None)
    if strange := sorted(set(names) - set(PARTS)):
        raise UserError(f"{root / strange[0]}: beside train/ and test/ only val/ is read; move this folder elsewhere")
    entries, others = list[Entry](), len(_files(root))
    for part in names:
        of_part, rest = _of_classes(root / part, part)
        entries, others = entries + of_part, others + rest
    return entries, others


def _of_classes(folder: Path, part: str | None) -> tuple[list[Entry], int]:
    names = _subfolders(folder)
    if not names:
        raise UserError(f"{folder}: no folders in it; {CLASSES}")
    suffixes = tuple(Image.registered_extensions())
    entries, others = list[Entry](), len(_files(folder))
    for name in names:
        files = [file for place in _places(folder / name) for file in _files(place)]
        paths = sorted(file for file in files if file.lower().endswith(suffixes))
        if not paths:
            examples = f", only files such as {min(files)}" if files else ""
            raise UserError(f"{folder / name}: no pictures in it{examples}")
        entries += [Entry(Path(path), name, part, None) for path in paths]
        others += len(files) - len(paths)
    return entries, others


def _subfolders(folder: Path) -> list[str]:
    return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))


def _files(folder: Path | str) -> list[str]:
    """The paths of the files right in a folder but for hidden ones."""
    return [entry.path for entry in os.scandir(folder) if entry.is_file() and not entry.name.startswith(".")]


def _places(folder: Path) -> Iterator[str]:
    """The folder and all below it."""

    def fail(error: OSError):
        raise error

    for place, _, _ in os.walk(folder, onerror=fail):  # a fifth of the time of Path.rglob
        yield place


def _in_csv(path: Path, root: Path, groups: str | None) -> list[Entry]:
    needed = ["path", "label", *([] if groups is None else [groups])]
    entries, first = list[Entry](), dict[str, int]()
    for line, row in _rows(path, root):
        if missing := [column for column in needed if column not in row]:
            raise UserError(f"{path}: no column {missing[0]}; it has {', '.join(row)}")
        if empty := [column for column in needed if not row[column]]:
            raise UserError(f"{path}: line {line}: no {empty[0]}")
        part = row["split"].lower() if "split" in row else None
        if part is not None and part not in PARTS:
            raise UserError(f"{path}: line {line}: split is {part or 'empty'}; write train, val or test")
        picture = os.path.normpath(root / row["path"])
        if (before := first.setdefault(picture, line)) != line:  # in the training and in the test set, perhaps
            raise UserError(f"{path}: line {line}: {row['path']} is in line {before} already")
        entries.append(Entry(Path(picture), row["label"], part, None if groups is None else row[groups]))
    if not entries:
        raise UserError(f"{path}: no pictures listed")
    return entries


def _rows(path: Path, root: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Lines of a csv file: number and cells by column, without the spaces around them."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # spreadsheets write a mark at the start
    except FileNotFoundError as error:
        raise UserError(f"data.csv={path.name}: no such file in {root}") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not in UTF-8; save it as CSV UTF-8") from error
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)  # spreadsheets write semicolons where numbers have a decimal comma
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, skipinitialspace=True, strict=True)
    try:
        columns = [cell.strip() for cell in next(reader, [])]
        for cells in reader:
            if not any(cells):
                continue
            if len(cells) != len(columns):
                wrong = f"{len(cells)} cells, but the first line has {len(columns)}"
                raise UserError(f"{path}: line {reader.line_num}: {wrong}; put a text with a {delimiter} into quotes")
            yield reader.line_num, dict(zip(columns, (cell.strip() for cell in cells), strict=True))
    except csv.Error as error:
        raise UserError(f"{path}: line {reader.line_num}: {error}") from error


@lru_cache(maxsize=1)  # the jobs of a multirun share the tensors
def _read(
    where: Path,
    entries: tuple[Entry, ...],
    stamps: tuple,
    reading: Reading,
    test_share: float,
    split_seed: int,
    others: int,
) -> Dataset:
    """`stamps` (modification time and size of each file) make the cache miss when one has changed."""
    labels = np.array([entry.label for entry in entries])
    groups = None if entries[0].group is None else np.array([entry.group for entry in entries])
    test = np.array([entry.part == "test" for entry in entries])
    kind = "own images"
    if all(entry.part is None for entry in entries):
        test = held_out(labels, groups, test_share, split_seed)
        kind = f"own images, {test_share:.0%} of them drawn for testing"
    elif not test.any() or test.all():
        raise UserError(f"{where}: no {'test' if not test.any() else 'training'} images")
    if others:
        kind += f", {others:,} {'file' if others == 1 else 'files'} beside them skipped"
    images = _stacked(entries, reading)

    def part(name: str, chosen: np.ndarray) -> Part:
        files = tuple(str(entry.path) for entry in compress(entries, chosen))
        of_group = None if groups is None else groups[chosen]
        return Part(f"{where}: {name} images", images[chosen], labels[chosen], of_group, files)

    name = where.stem if where.suffix == ".csv" else where.name
    return dataset_of(part("training", ~test), part("test", test), name=name, split=name, official=None, kind=kind)


def _stacked(entries: tuple[Entry, ...], reading: Reading) -> np.ndarray:
    """uint8 [N, H, W] or [N, 3, H, W]. Raises UserError, naming the file, for one that can't be read."""
    images: list[np.ndarray] = []
    for entry in entries:
        image = _image(entry.path, reading)
        if images and image.shape != images[0].shape:
            sizes = [f"{shape[1]} × {shape[0]}" for shape in (image.shape, images[0].shape)]
            remedy = "set data.size, and all are scaled to it"
            raise UserError(f"{entry.path}: {sizes[0]} pixels, but {entries[0].path} has {sizes[1]}; {remedy}")
        images.append(image)
    return checked_images(np.stack(images), str(entries[0].path))


def _image(path: Path, reading: Reading) -> np.ndarray:
    """uint8 [H, W] or [H, W, 3]."""
    if reading.read == "character":
        try:
            return read_character(open_picture(path))
        except UserError as error:
            raise UserError(str(error) if str(error).startswith(str(path)) else f"{path}: {error}") from error
    # 12 megapixels take 0.02 to 0.05 s so, 0.2 to 0.9 s as a whole; levels differ by 1, rarely by 2 or 3.
    picture = open_picture(path, reading.channels, None if reading.size is None else 2 * reading.size)
    levels = np.round(picture).clip(0, 255).astype(np.uint8)
    size = (reading.size, reading.size)
    if reading.size is None or levels.shape[:2] == size:
        return levels
    return np.asarray(Image.fromarray(levels).resize(size, Image.Resampling.BICUBIC))  # type: ignore[arg-type]
