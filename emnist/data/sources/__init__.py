"""Where images come from: a loader for each `data.name`."""

from collections.abc import Callable

from emnist.checks import construct
from emnist.data.dataset import Dataset
from emnist.data.sources.emnist import load_emnist
from emnist.data.sources.glyphs import load_glyphs
from emnist.errors import unknown

SOURCES: dict[str, Callable[..., Dataset]] = {"emnist": load_emnist, "glyphs": load_glyphs}


def load_dataset(name: str, **source) -> Dataset:
    """The images of `data.name`; `source` holds the arguments of its loader. Raises UserError for invalid ones."""
    if name not in SOURCES:
        raise unknown("data.name", name, SOURCES)
    return construct("data", SOURCES[name], **source)
