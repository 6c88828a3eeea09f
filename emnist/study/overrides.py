"""Hydra overrides: their keys, merging, quoting, and those that the command line adds to a study."""

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override

from emnist.errors import UserError


def key_of(override: str) -> str:
    """The key that an override sets: `+model.neurons=8` → `model.neurons`."""
    return override.lstrip("+~").partition("=")[0]


def merge(overrides: Iterable[str], more: Iterable[str]) -> tuple[str, ...]:
    """All overrides, of several for one key only the last: Hydra rejects a group chosen twice."""
    return tuple({key_of(override): override for override in (*overrides, *more)}.values())


def absolute(path: Path) -> Path:
    return Path(os.path.abspath(path))  # as Hydra has it: Path.absolute keeps `..`


def quoted(path: Path) -> str:
    """A path as the value of an override. A backslash stands for itself, except before a quote."""
    return "'" + re.sub(r"(\\*)('|$)", lambda m: m[1] * 2 + ("\\'" if m[2] else ""), str(path)) + "'"


def shared_overrides(arguments: Sequence[str], loader: ConfigLoader) -> list[str]:
    """The overrides of the command line that apply to every cell of the study.

    Raises UserError for a fold, a seed or several values of one key, which the study decides.
    """
    shared = []
    for override in parsed(arguments, loader, "study"):
        if override.is_sweep_override():
            raise UserError(f"{override.input_line}: give one value; only the factors of a study take several")
        shared.append(str(override.input_line))
    return shared


def parsed(arguments: Sequence[str], loader: ConfigLoader, own: str) -> Iterator[Override]:
    """The overrides of the command line but for those of `own`, which is study or search.

    Raises UserError for a fold or a seed.
    """
    for override in OverridesParser.create(config_loader=loader).parse_overrides(list(arguments)):
        key = override.key_or_group
        if key in ("data.fold", "seed"):
            raise UserError(f"{override.input_line}: use {own}.folds=[…] or {own}.seeds=[…] with a {own}")
        if key.split(".")[0] != own:
            yield override
