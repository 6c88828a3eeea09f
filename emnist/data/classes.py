"""Some of the classes of a data set."""

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import lru_cache
from itertools import compress
from typing import Any

import torch

from emnist.data.dataset import Dataset
from emnist.errors import UserError

SHOWN = 12  # classes in a message
KINDS = {"digits": str.isdecimal, "letters": str.isalpha}  # of classes whose name is one character


def keep_classes(data: Dataset, classes: Any) -> Dataset:
    """The images of these classes, a list of names or a key of `KINDS`, numbered in the order they have in `data`.

    A set without some of its classes is not the official one. Raises UserError, naming `data.classes`, for unknown
    names, and unless at least two classes remain, with training and with test images.
    """
    if isinstance(classes, list) and all(type(name) in (str, int) for name in classes):
        names = set(map(str, classes))  # 0 to 9 are numbers on the command line
        for name in map(str, classes):
            if name not in data.classes:
                raise UserError(f"data.classes: {data.name} has no class {name}; {_hint(name, data.classes)}")
    elif isinstance(classes, str) and classes in KINDS:
        names = {name for name in data.classes if len(name) == 1 and KINDS[classes](name)}
    else:
        kinds = ", ".join(KINDS)
        raise UserError(f"data.classes={classes}: give {kinds}, or a list, such as [{','.join(data.classes[:2])}]")
    kept = tuple(name for name in data.classes if name in names)
    if len(kept) < 2:
        given = classes if isinstance(classes, str) else f"[{','.join(map(str, classes))}]"
        left = f"only class {kept[0]}" if kept else "no class"
        raise UserError(
            f"data.classes={given}: {left} of {data.name} ({_few(data.classes)}); there must be two or more"
        )
    return data if kept == data.classes else _keep(data, kept)


def _few(classes: Sequence[str]) -> str:
    return ", ".join(classes[:SHOWN]) + (", …" if len(classes) > SHOWN else "")


def _hint(name: str, classes: Sequence[str]) -> str:
    """What may have been meant."""
    close = [known for known in classes if known.casefold() == name.casefold()] or get_close_matches(name, classes)
    return f"did you mean {' or '.join(close)}?" if close else f"it has {_few(classes)}"


@lru_cache(maxsize=1)  # the jobs of a multirun share the tensors
def _keep(data: Dataset, kept: tuple[str, ...]) -> Dataset:
    number = torch.tensor([kept.index(name) if name in kept else -1 for name in data.classes])
    parts: dict[str, Any] = {}
    for part in ("train", "test"):
        labels = number[getattr(data, f"{part}_labels")]
        chosen = labels >= 0
        if not chosen.any():
            words = {"train": "training", "test": "test"}[part]
            raise UserError(f"data.classes: {data.name} has no {words} images of {_few(kept)}")
        groups = getattr(data, f"{part}_groups")
        parts |= {
            f"{part}_images": getattr(data, f"{part}_images")[chosen],
            f"{part}_labels": labels[chosen],
            f"{part}_groups": None if groups is None else groups[chosen],
            f"{part}_files": tuple(compress(getattr(data, f"{part}_files"), chosen.tolist())),
        }
    kind = f"{len(kept)} of {len(data.classes)} classes, {data.kind}"
    return replace(data, classes=kept, official=False, kind=kind, placed={}, **parts)
