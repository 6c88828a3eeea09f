"""A card of a data set: card.md with its figures, duplicates.csv and labels.csv."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from matplotlib.figure import Figure
from omegaconf import OmegaConf
from rich.console import Console
from rich.progress import track
from torch import Tensor

from emnist.analysis.collection import FINISHED, Cell, collect
from emnist.analysis.duplicates import NEAR, NearPairs, copies, near_duplicates, repeats
from emnist.analysis.labels import LabelIssues, find_label_issues
from emnist.atomic import write_bytes
from emnist.command import CONF
from emnist.data.dataset import Dataset
from emnist.data.sources import load_dataset
from emnist.errors import UserError
from emnist.figures.data import PER_LINE, Tile, class_counts, in_rows, tiles
from emnist.figures.pictures import as_pictures, short
from emnist.figures.style import WRONG, to_png
from emnist.hydra_errors import reworded_errors
from emnist.inference.out_of_fold import out_of_fold
from emnist.reporting.document import Document
from emnist.reporting.wording import count
from emnist.runs.config import Split
from emnist.runs.identity import cell_id

PAIRS = 24  # on the sheet of the nearest
SUSPECTS = 60  # on the sheet of the most suspicious
CLASS_PAIRS = 12  # of given and suggested label, in the table and on the sheet of the most frequent
UNLIKELY = 0.01  # probability of a label that is rather wrong than unclear


def write_data_card(keys: Sequence[str], runs: list[Path], near: bool, out: Path) -> None:
    """Write the card of the data that these keys choose, and print what it says in short.

    Raises UserError for keys that aren't those of data, for data that can't be read, and for runs that don't fit.
    """
    config = data_config(keys)
    data = load_dataset(**{key: value for key, value in config.items() if key not in Split.model_fields})
    cell = cell_of(runs, data) if runs else None

    document, tables = Document(data.name), dict[str, pd.DataFrame]()
    add_facts(document, data)
    add_duplicates(document, tables, data, near)
    if cell is not None:
        add_labels(document, tables, data, cell)
    files = {"card.md": document.markdown().encode(), **document.pictures}
    files |= {name: table.to_csv(index=False, lineterminator="\n").encode() for name, table in tables.items()}
    for name, content in files.items():
        write_bytes(out / name, content)
    print(out / "card.md")


def data_config(keys: Sequence[str]) -> dict[str, Any]:
    """What `data` is in the configuration of a run with these keys, such as data=emnist data.split=letters."""
    for key in keys:
        name, equals, _ = key.partition("=")
        if not equals:
            raise UserError(f"{key}: give keys of data with their values, such as data=emnist data.split=letters")
        if name.lstrip("+~").split(".")[0] != "data":
            raise UserError(f"{key}: not a key of data; give keys such as data=emnist data.split=letters")
    with reworded_errors(), initialize_config_dir(str(CONF), version_base="1.3"):
        for override in OverridesParser.create().parse_overrides(list(keys)):
            if override.is_sweep_override():
                raise UserError(f"{override.input_line}: several values; a card is of one data set")
        composed = compose("train", list(keys))
    return cast(dict[str, Any], OmegaConf.to_container(composed.data, resolve=True))


def cell_of(folders: list[Path], data: Dataset) -> Cell:
    """The finished runs in these folders. Raises UserError unless they are of one cell and on these images."""
    runs = [run for run in collect(folders).runs if run.status == FINISHED]
    names = ", ".join(map(str, folders))
    if not runs:
        raise UserError(f"{names}: no finished run in it; finish one with python -m emnist.train resume=FOLDER")
    ids = Counter(cell_id(run.config, run.fingerprint) for run in runs)
    if len(ids) > 1:
        raise UserError(
            f"{names}: runs of {len(ids)} configurations; give those of one, such as a folder of a study, "
            "outputs/study/cnn/…"
        )
    result = runs[0].result
    assert result is not None
    if result.data.fingerprint != data.fingerprint:
        raise UserError(
            f"{runs[0].folder.path}: trained on {result.data.description}, not on {data.describe()}; "
            "give the keys of the data that it was trained on"
        )
    return Cell(next(iter(ids)), runs)


def add_facts(document: Document, data: Dataset) -> None:
    train, test = (counts.numpy() for counts in data.class_counts)
    mean, std = data.mean_and_std(torch.arange(len(data.train_labels)))
    official = {True: "yes", False: "no", None: "unknown"}[data.official]
    facts = [
        ("official", f"{official}: {data.kind}"),
        ("images", f"{len(data.train_labels):,} for training, {len(data.test_labels):,} for testing"),
        ("size", size_of(data)),
        ("classes", balance(train, data.classes)),
        ("pixels", f"mean {decimals(mean)}, standard deviation {decimals(std)} in the training set, from 0 to 1"),
        ("fingerprint", data.fingerprint),
    ]
    print(data.name)
    for name, value in facts:
        say(name, value)
    document.table(["", ""], [[name, value] for name, value in facts])
    title = data.describe()
    document.picture("figures/examples.png", to_png(examples(data, title)), f"Examples of each class of {data.name}")
    figure = class_counts(train, test, data.classes, f"Images of each class\n{title}")
    document.picture("figures/class_counts.png", to_png(figure), f"Number of images of each class of {data.name}")
    with document.fold("Images of each class"):
        rows = [[name, f"{here:,}", f"{there:,}"] for name, here, there in zip(data.classes, train, test, strict=True)]
        document.table(["class", "training>", "test>"], rows)


def say(name: str, value: str) -> None:
    print(f"  {name:<12}{value}")


def decimals(values: float | Sequence[float]) -> str:
    """One number, or one a channel."""
    return " / ".join(f"{value:.4f}" for value in np.atleast_1d(values))


def size_of(data: Dataset) -> str:
    channels, height, width = data.image_shape
    return f"{height} × {width} pixels, {count(channels, 'channel')}"


def balance(counts: np.ndarray, classes: Sequence[str]) -> str:
    """The smallest and the largest class of the training set."""
    least, most = int(counts.argmin()), int(counts.argmax())
    if counts[least] == counts[most]:
        return f"{len(classes)} of {counts[least]:,} training images each"
    smallest = f"from {counts[least]:,} training images ({classes[least]}) to {counts[most]:,} ({classes[most]})"
    ratio = f", imbalance ratio {counts[most] / counts[least]:.1f}" if counts[least] else ""
    return f"{len(classes)}, {smallest}{ratio}"


def examples(data: Dataset, title: str) -> Figure:
    """Random training images, a row a class."""
    order = torch.from_numpy(np.random.RandomState(0).permutation(len(data.train_labels)))
    labels = data.train_labels[order]
    chosen = [order[(labels == label).nonzero()[:PER_LINE, 0]] for label in range(len(data.classes))]
    return rows_of(data, list(zip(data.classes, chosen, strict=True)), f"Random training images of each class\n{title}")


def rows_of(data: Dataset, rows: Sequence[tuple[str, Tensor]], title: str) -> Figure:
    """Training images by their numbers, in rows with names."""
    pictures = iter(as_pictures(data.train_images[torch.cat([chosen for _, chosen in rows])].numpy()))
    return in_rows([(name, [next(pictures) for _ in chosen]) for name, chosen in rows], title)


def add_duplicates(document: Document, tables: dict[str, pd.DataFrame], data: Dataset, near: bool) -> None:
    sets = {"training": (data.train_images, data.train_labels), "test": (data.test_images, data.test_labels)}
    files = {"training": data.train_files, "test": data.test_files}
    found = [  # kind, images of which set, like images of which set, pairs, distances
        ("equal", "training", "training", repeats(data.train_images)),
        ("equal", "test", "test", repeats(data.test_images)),
        ("equal", "test", "training", copies(data.test_images, data.train_images)),
    ]
    distances = [np.zeros(len(pairs)) for *_, pairs in found]
    pairs = None
    if near:
        nearest = near_duplicates(data, track=with_progress)
        pairs = nearest[~np.isin(nearest.test, found[-1][3][:, 0])]
        duplicates = pairs[pairs.distance < NEAR]
        found.append(("nearly equal", "test", "training", np.stack([duplicates.test, duplicates.train], 1)))
        distances.append(duplicates.distance)

    rows, frames = [], []
    for (kind, of, like, both), distance in zip(found, distances, strict=True):
        label, other = sets[of][1].numpy()[both[:, 0]], sets[like][1].numpy()[both[:, 1]]
        different = int((label != other).sum())
        what = f"{of} images {kind} to {'another' if of == like else 'a'} {like} image"
        rows.append([what, f"{len(both):,}", f"{different:,}"])
        say("duplicates", f"{len(both):,} {what}, {different:,} with another label")
        names = np.array(data.classes)
        columns = {"kind": kind, "set": of, "image": both[:, 0], "label": names[label], "other_set": like}
        columns |= {"other_image": both[:, 1], "other_label": names[other], "distance": distance.astype(float).round(4)}
        if data.train_files:
            columns["file"], columns["other_file"] = (
                [files[part][number] for number in numbers] for part, numbers in zip((of, like), both.T, strict=True)
            )
        frames.append(pd.DataFrame(columns))
    tables["duplicates.csv"] = pd.concat(frames)

    document.heading("Duplicates")
    document.table(["", "images>", "with another label>"], rows)
    if pairs is None:
        document.text("Nearly equal images were not searched.")
        return
    document.text(
        "Images are compared at the same brightness and shifted by up to a pixel. A distance of 1 is what typically "
        "lies between an image and the nearest other one of its class in the training set; nearly equal are images "
        f"below {NEAR:g}; simple strokes, such as a 1, may come so near by chance. `duplicates.csv` lists all, with "
        "the number of each image in its set, from 0."
    )
    if len(pairs):
        title = f"Pairs of a test image (left) and the nearest training image: labels, distance\n{data.describe()}"
        figure = tiles(pair_tiles(data, pairs[:PAIRS]), 6, title)
        about = "The nearest pairs of a test image and a training image"
        document.picture("figures/duplicates.png", to_png(figure), about)
    else:
        document.text("No test image comes close to a training image.")


def with_progress(numbers: range) -> Iterable[int]:
    """With a bar on stderr, if that is a terminal, for searches that take long."""
    console = Console(stderr=True)
    hidden = not console.is_terminal or len(numbers) < 20
    return track(numbers, "nearly equal images", console=console, transient=True, disable=hidden)


def pair_tiles(data: Dataset, pairs: NearPairs) -> list[Tile]:
    both = as_pictures(torch.cat([data.test_images[pairs.test], data.train_images[pairs.train]]).numpy())
    labels = data.test_labels[pairs.test].tolist(), data.train_labels[pairs.train].tolist()
    shown = []
    for i, (label, other, distance) in enumerate(zip(*labels, pairs.distance, strict=True)):
        text = f"{short(data.classes[label])} – {short(data.classes[other])}   {distance:.2f}"
        shown.append(Tile([both[i], both[len(pairs) + i]], text, *([WRONG] if label != other else [])))
    return shown


def add_labels(document: Document, tables: dict[str, pd.DataFrame], data: Dataset, cell: Cell) -> None:
    folds = out_of_fold([(run.folder.path, run.result) for run in cell.distinct if run.result is not None])
    labels = data.train_labels.numpy()[folds.indices]
    issues = find_label_issues(folds.probabilities, labels)
    given, images = labels[issues.suspects], folds.indices[issues.suspects]
    of_given, of_suggested = (folds.probabilities[issues.suspects, which] for which in (given, issues.suggested))
    names = np.array(data.classes)
    columns = {"image": images, "label": names[given], "suggested": names[issues.suggested]}
    columns |= {"probability_label": of_given, "probability_suggested": of_suggested}
    if data.train_files:
        columns["file"] = [data.train_files[number] for number in images]
    tables["labels.csv"] = pd.DataFrame(columns).round(5)

    share = issues.estimated / len(labels)
    summary = f"{issues.estimated:,} of {len(labels):,} ({share:.1%}) probably wrong or unclear, {len(images):,} listed"
    say("labels", summary)
    missing = "" if len(folds.folds) == folds.of else f", {len(folds.folds)} of {folds.of} folds"
    if missing:
        say("", f"runs of {len(folds.folds)} of {folds.of} folds: the other training images were not looked at")

    document.heading("Labels that look wrong")
    accuracy = (folds.probabilities.argmax(1) == labels).mean()
    document.text(
        f"{len(labels):,} training images are predicted by networks that were not trained on them "
        f"({count(len(cell.distinct), 'run')} of `{cell.id}`{missing}), {accuracy:.1%} of them as labelled. By "
        f"confident learning (Northcutt, Jiang and Chuang, 2021), about {issues.estimated:,} labels ({share:.1%}) are "
        "wrong or unclear. `labels.csv` lists "
        f"{len(images):,} images, the most suspicious first, with their number in the training set, from 0."
    )
    if not len(images):
        return
    pairs = frequent_pairs(issues)
    document.text(unclear(issues, of_given, data.classes))
    rows = []
    for label, guess in pairs:
        number = int(((given == label) & (issues.suggested == guess)).sum())
        rows.append([names[label], names[guess], f"{issues.joint[label, guess]:,}", f"{number:,}"])
    document.table(["label", "read as", "estimated images>", "listed>"], rows)
    title = f"given label → what the networks read instead\ntraining images of {data.describe()}"
    texts = [
        f"{short(names[label], 6)} → {short(names[guess], 6)}"
        for label, guess in zip(given, issues.suggested, strict=True)
    ]
    pictures = as_pictures(data.train_images[images[:SUSPECTS]].numpy())
    sheet = [Tile([picture], text, "black") for picture, text in zip(pictures, texts, strict=False)]
    figure = tiles(sheet, 12, f"The most suspicious labels: {title}")
    document.picture("figures/labels.png", to_png(figure), "The images whose label is most suspicious")
    chosen = {pair: images[(given == pair[0]) & (issues.suggested == pair[1])][:PER_LINE] for pair in pairs}
    listed = [
        (f"{short(names[label], 6)} → {short(names[guess], 6)}", torch.from_numpy(numbers))
        for (label, guess), numbers in chosen.items()
        if len(numbers)
    ]
    if listed:
        figure = rows_of(data, listed, f"The most frequent pairs: {title}")
        about = "The most suspicious images of the most frequent pairs"
        document.picture("figures/label_pairs.png", to_png(figure), about)


def frequent_pairs(issues: LabelIssues) -> list[tuple[int, int]]:
    """Given and suggested class of the most frequent kinds of wrong labels, by their estimated number."""
    wrong = issues.joint.copy()
    np.fill_diagonal(wrong, 0)
    order = np.argsort(-wrong, axis=None, kind="stable")[:CLASS_PAIRS]
    return [(int(i), int(j)) for i, j in zip(*np.unravel_index(order, wrong.shape), strict=True) if wrong[i, j]]


def unclear(issues: LabelIssues, of_given: np.ndarray, classes: Sequence[str]) -> str:
    """How much of it may be characters that look alike."""
    both = np.triu(issues.joint + issues.joint.T, 1)
    order = np.argsort(-both, axis=None, kind="stable")[:5]
    pairs = [(i, j) for i, j in zip(*np.unravel_index(order, both.shape), strict=True) if both[i, j]]
    share = sum(both[i, j] for i, j in pairs) / both.sum()
    named = ", ".join(f"{classes[i]} and {classes[j]}" for i, j in pairs)
    sure = int((of_given < UNLIKELY).sum())
    those = f"{count(sure, 'listed image')} whose label the networks give less than {UNLIKELY:.0%}"
    first = f" Errors are to be looked for first among the {those}." if sure else ""
    return (
        "The method can't tell a wrong label from an image that could be either of two classes, and for classes that "
        f"look alike it mostly finds the latter. {named} account for {share:.0%} of the estimate.{first}"
    )
