"""Files of pictures read by one or more runs, as a table."""

import csv
import io
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from emnist.atomic import write_text
from emnist.errors import UserError
from emnist.inference.character import read_character
from emnist.inference.load import load_run
from emnist.inference.picture import open_picture
from emnist.inference.sheet import Box, find_characters
from emnist.runs.folder import RunFolder

AVERAGE = "average"  # of the runs' probabilities


@dataclass
class Character:
    """A character that was found in a file."""

    file: Path
    image: np.ndarray  # uint8 [28, 28]
    box: Box | None = None  # on a page


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
            writer.writerow([character.file, *edges, run, *(cell for name, p in top for cell in (name, f"{p:.6f}"))])
        write_text(path, text.getvalue())

    def print(self) -> None:
        """A line for each character and run; of pages also the text by the last run, or the average."""
        for character, run, top in self.rows():
            box = character.box
            where = f"{character.file}" + (f" at {box.left},{box.top}" if box is not None else "")
            classes = "  ".join(f"{name} {p:6.1%}" for name, p in top)
            print(f"{where}: {classes}" + (f"  ({run})" if len(self.runs) > 1 else ""))
        for file in dict.fromkeys(character.file for character in self.characters if character.box is not None):
            text = "".join(top[0][0] for one, run, top in self.rows() if one.file == file and run == self.runs[-1])
            print(f"{file}: {text}")


def predict_files(arguments: Sequence[str], sheet: bool, ink: str, count: int) -> tuple[Predictions, list[str]]:
    """Read the pictures among the arguments with the runs before them.

    Returns the predictions, and an error for each picture that could not be read. Raises UserError if there is no run
    or no picture.
    """
    if count < 1:
        raise UserError(f"--top={count}: must be at least 1")
    runs = [argument for argument in arguments if argument != "-" and is_run(Path(argument))]
    if not runs:
        raise UserError(f"{arguments[0]}: not the folder of a run with a finished epoch; give one before the pictures")
    if len(runs) == len(arguments):
        raise UserError("no pictures given: name image files, folders of them, or - for a list on standard input")
    classifiers = [load_run(run) for run in runs]
    if any(classifier.classes != classifiers[0].classes for classifier in classifiers):
        raise UserError(f"{', '.join(runs)}: their classes differ, so they have no average; give one run at a time")
    characters, problems = read_files([argument for argument in arguments if argument not in runs], sheet, ink)
    predictions = Predictions(characters, runs, count=min(count, len(classifiers[0].classes)))
    if characters:
        images = np.stack([character.image for character in characters])
        probabilities = [classifier.predict(images) for classifier in classifiers]
        if len(runs) > 1:
            predictions.runs = [*runs, AVERAGE]
            probabilities.append(average(probabilities))
        predictions.top = [most_probable(one, classifiers[0].classes, predictions.count) for one in probabilities]
    else:
        predictions.top = [[] for _ in runs]
    return predictions, problems


def is_run(path: Path) -> bool:
    return RunFolder(path).best.exists()


def files_of(arguments: Iterable[str]) -> Iterator[Path]:
    """The files that the arguments name. Raises UserError for a folder without pictures."""
    for argument in arguments:
        path = Path(argument)
        if argument == "-":
            yield from (Path(line) for line in map(str.strip, sys.stdin) if line)
        elif path.is_dir():
            suffixes = Image.registered_extensions()
            found = sorted(one for one in path.rglob("*") if one.suffix.lower() in suffixes and one.is_file())
            if not found:
                raise UserError(f"{path}: no image files in this folder, nor a run with a finished epoch")
            yield from found
        else:
            yield path


def read_files(names: Sequence[str], sheet: bool, ink: str) -> tuple[list[Character], list[str]]:
    """The characters in these files and folders, and an error for each file that can't be read."""
    characters, problems = [], []
    for file in files_of(names):
        try:
            characters += read(file, sheet, ink)
        except UserError as error:
            problems.append(str(error) if str(error).startswith(str(file)) else f"{file}: {error}")
    return characters, problems


def read(file: Path, sheet: bool, ink: str) -> list[Character]:
    """The characters of a file. Raises UserError, and NoCharacter if there are none."""
    picture = open_picture(file)
    if not sheet:
        return [Character(file, read_character(picture, ink))]
    return [Character(file, image, box) for box, image in find_characters(picture, ink)]


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
