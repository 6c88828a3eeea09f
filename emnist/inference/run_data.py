"""The data that a run was trained and tested on, as long as it is still where it was."""

from functools import lru_cache
from json import dumps, loads

from emnist.data.dataset import Dataset
from emnist.data.sources import load_dataset
from emnist.data.sources.emnist import is_stored
from emnist.errors import UserError
from emnist.runs.config import Split
from emnist.runs.result import Result


def dataset_of(result: Result) -> Dataset:
    """The images of a finished run; nothing is downloaded. Raises UserError if they are gone, or others by now."""
    config = result.config["data"]
    return _load(dumps({key: config[key] for key in config if key not in Split.model_fields}), result.data.fingerprint)


@lru_cache(maxsize=2)  # a report asks for those of each model
def _load(source: str, fingerprint: str) -> Dataset:
    arguments = loads(source)
    if arguments["name"] == "emnist" and not is_stored(arguments["root"], arguments["split"]):
        raise UserError(f"data.root={arguments['root']}: the images that the run was tested on are no longer there")
    dataset = load_dataset(**arguments)
    if dataset.fingerprint != fingerprint:
        raise UserError(f"data.root={arguments['root']}: has other images than the run was tested on")
    return dataset
