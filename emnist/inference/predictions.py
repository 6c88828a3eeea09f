"""Files of pictures read by one or more runs, as a table."""

import csv
import io
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from emnist.atomic import write_text
from emnist.data.character import read_character
from emnist.data.picture import open_picture
from emnist.errors import UserError
from emnist.inference.load import load_reader
from emnist.inference.sheet import Box, find_characters
from emnist.inference.views import VIEWS
from emnist.runs.folder import RunFolder

AVERAGE = "average"  # of the runs' probabilities


@dataclass
class Character:
    """A character that was found in a file."""

    file: Path
    image: np.ndarray  # uint8 [28, 28]
    box: Box | None = None  # on a page
    reading: int = 0  # counts the files as they were read, since one may be given twice

    @property
    def name(self) -> str:
        """The file as text that can be written, whatever bytes its name has."""
        return os.fsencode(self.file).decode("utf-8", "replace")


@dataclass
class Predictions:
    """The most probable classes of each character by each run, and by their average if there are several."""

    characters: list[Character]
    runs: list[str]
    top: list[list[list[tuple[str, float]]]] = field(
        default_factory=list
    )  # [run][character]: classes and probabilities
    count: int = 5  # classes of each character

    def rows(self) -> Iterator[tuple[Character, str, list[tuple[str, float]]]]:
        for i, character in enumerate(self.characters):
            for run, top in zip(self.runs, self.top, strict=True):
                yield character, run, top[i]

    def write(self, path: Path) -> None:
        """As CSV, whole or not at all."""
        on_pages = any(character.box is not None for character in self.characters)
        header = ["file", *(["left", "top", "right", "bottom"] if on_pages else []), "run", "character", "probability"]
        for place in range(2, self.count + 1):
            header += [f"character_{place}", f"probability_{place}"]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(header)
        for character, run, top in self.rows():
            box = character.box
            edges = [box.left, box.top, box.right, box.bottom] if box is not None else []
            writer.writerow([character.name, *edges, run, *(cell for name, p in top for cell in (name, f"{p:.6f}"))])
        write_text(path, text.getvalue())

    def print(self) -> None:
        """A line for each character and run; of pages also the text by the last run, or the average."""
        for character, run, top in self.rows():
            box = character.box
            where = character.name + (f" at {box.left},{box.top}" if box is not None else "")
            classes = "  ".join(f"{name} {p:6.1%}" for name, p in top)
            print(f"{where}: {classes}" + (f"  ({run})" if len(self.runs) > 1 else ""))
        last = [(character, top) for character, run, top in self.rows() if run == self.runs[-1]]
        for _, group in groupby(last, key=lambda pair: pair[0].reading):
            page = list(group)
            if page[0][0].box is not None:
                print(f"{page[0][0].name}: " + "".join(top[0][0] for _, top in page))


def predict_files(
    arguments: Sequence[str], sheet: bool, ink: str, count: int, augment: int = 0
) -> tuple[Predictions, list[str]]:
    """Read the pictures among the arguments with the runs before them, averaged over `augment` views of each.

    Returns the predictions, and an error for each picture that could not be read. Raises UserError if there is no run
    or no picture.
    """
    if count < 1:
        raise UserError(f"--top={count}: must be at least 1")
    if not 0 <= augment <= len(VIEWS):
        raise UserError(f"--augment={augment}: must be from 0 to {len(VIEWS)}")
    runs, pictures = split_arguments(arguments)
    if not pictures:
        raise UserError("no pictures given: name image files, folders of them, or - for a list on standard input")
    classifiers = [load_reader(run) for run in runs]
    if any(classifier.classes != classifiers[0].classes for classifier in classifiers):
        raise UserError(f"{', '.join(runs)}: their classes differ, so they have no average; give one run at a time")
    characters, problems = read_files(pictures, sheet, ink)
    predictions = Predictions(characters, runs, count=min(count, len(classifiers[0].classes)))
    if characters:
        images = np.stack([character.image for character in characters])
        probabilities = [classifier.predict(images, augment) for classifier in classifiers]
        if len(runs) > 1:
            predictions.runs = [*runs, AVERAGE]
            probabilities.append(average(probabilities))
        predictions.top = [most_probable(one, classifiers[0].classes, predictions.count) for one in probabilities]
    else:
        predictions.top = [[] for _ in runs]
    return predictions, problems


def split_arguments(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Runs, each once, and what comes after them.

    Raises UserError if there is no run, or something else before one: a mistyped run must not change the average.
    """
    are_runs = [argument != "-" and is_run(argument) for argument in arguments]
    if True not in are_runs:
        raise UserError(f"{arguments[0]}: not the folder of a run with a finished epoch; give one before the pictures")
    count = len(are_runs) - are_runs[::-1].index(True)
    for argument, here in zip(arguments[:count], are_runs, strict=False):
        if not here:
            what = "not the folder of a run with a finished epoch" if os.path.exists(argument) else "no such folder"
            raise UserError(f"{argument}: {what}; runs come first, then pictures")
    runs = {Path(argument).resolve(): argument for argument in arguments[:count]}
    return list(runs.values()), list(arguments[count:])


def is_run(path: str | Path) -> bool:
    return os.path.exists(RunFolder(path).best)  # False for a name that is too long, which Path.exists raises for


def holds_run(path: Path) -> bool:
    """Whether a folder is that of a run, finished or not: its figures are no pictures to read."""
    run = RunFolder(path)
    return run.config.exists() or run.result.exists() or run.best.parent.exists()


def files_of(argument: str) -> list[Path]:
    """The files that an argument names: itself, the image files in a folder, or the lines of standard input for -.

    Raises UserError for the folder of a run.
    """
    if argument == "-":
        return [Path(os.fsdecode(line)) for line in map(bytes.strip, sys.stdin.buffer) if line]
    if not os.path.isdir(argument):
        return [Path(argument)]
    if is_run(argument):
        raise UserError(f"{argument}: a run among the pictures; give one run, then pictures")
    if holds_run(Path(argument)):
        raise UserError(f"{argument}: a run without a finished epoch; give finished runs, then pictures")
    suffixes = Image.registered_extensions()
    found: list[Path] = []
    for place, folders, names in os.walk(argument):
        folders[:] = [folder for folder in folders if not holds_run(Path(place, folder))]
        found += [Path(place, name) for name in names if Path(name).suffix.lower() in suffixes]
    return sorted(file for file in found if file.is_file())


def read_files(arguments: Sequence[str], sheet: bool, ink: str) -> tuple[list[Character], list[str]]:
    """The characters in these files and folders, and an error for each that can't be read.

    Raises UserError for the folder of a run.
    """
    characters: list[Character] = []
    problems: list[str] = []
    reading = 0
    for argument in arguments:
        files = files_of(argument)
        if not files:
            nothing = "no image files in this folder, nor a run with a finished epoch"
            problems.append("standard input: no files listed" if argument == "-" else f"{argument}: {nothing}")
        for file in files:
            try:
                characters += read(file, sheet, ink, reading)
            except UserError as error:
                problems.append(str(error) if str(error).startswith(str(file)) else f"{file}: {error}")
            reading += 1
    return characters, problems


def read(file: Path, sheet: bool, ink: str, reading: int) -> list[Character]:
    """The characters of a file, the `reading`-th. Raises UserError, and NoCharacter if there are none."""
    picture = open_picture(file)
    if not sheet:
        return [Character(file, read_character(picture, ink), reading=reading)]
    return [Character(file, image, box, reading) for box, image in find_characters(picture, ink)]


def average(probabilities: Sequence[Tensor]) -> Tensor:
    """Of an ensemble, each with the same weight: float [N, classes]."""
    return sum(probabilities[1:], probabilities[0]) / len(probabilities)


def most_probable(probabilities: Tensor, classes: Sequence[str], count: int) -> list[list[tuple[str, float]]]:
    """For each row of float [N, classes], the most probable classes and their probabilities."""
    values, indices = probabilities.topk(count, dim=1)
    return [
        [(classes[i], p) for i, p in zip(row, ps, strict=True)]
        for row, ps in zip(indices.tolist(), values.tolist(), strict=True)
    ]
