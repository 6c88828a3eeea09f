"""Where images come from: a loader for each `data.name`."""

from collections.abc import Callable
from typing import Any

from emnist.checks import construct
from emnist.data.classes import keep_classes
from emnist.data.dataset import Dataset
from emnist.data.sources import emnist, torchvision_sets
from emnist.data.sources.folder import load_folder
from emnist.data.sources.glyphs import load_glyphs
from emnist.data.sources.npz import load_npz
from emnist.errors import unknown

SOURCES: dict[str, Callable[..., Dataset]] = {
    "emnist": emnist.load_emnist,
    "torchvision": torchvision_sets.load_torchvision,
    "glyphs": load_glyphs,
    "folder": load_folder,
    "npz": load_npz,
}
STORED: dict[str, Callable[[str, str], bool]] = {  # whether a split is in a root: of sources that download what isn't
    "emnist": emnist.is_stored,
    "torchvision": torchvision_sets.is_stored,
}


def load_dataset(name: str, classes: Any = None, **source) -> Dataset:
    """The images of `data.name`, all or those of some classes, see `keep_classes`.

    `source` holds the arguments of its loader. Raises UserError for invalid ones.
    """
    if name not in SOURCES:
        raise unknown("data.name", name, SOURCES)
    data = construct("data", SOURCES[name], **source)
    return data if classes is None else keep_classes(data, classes)
