"""The images that a run was trained and tested on, if they are still there."""

import os
from functools import lru_cache
from json import dumps, loads

from emnist.data.module import DataModule
from emnist.data.sources import STORED
from emnist.errors import UserError
from emnist.runs.result import Result


def images_of(result: Result) -> DataModule:
    """The data of a finished run, split and drawn as then, from where they were then or else from $EMNIST_ROOT.

    Nothing is downloaded; generated characters are drawn again. Raises UserError if they are gone, or others now.
    """
    config = result.config
    return _load(dumps(config["data"]), config["seed"], result.data.fingerprint, result.data.description)


@lru_cache(maxsize=4)  # a report asks for those of each model several times
def _load(config: str, seed: int, fingerprint: str, description: str) -> DataModule:
    source = loads(config)
    remedy = "put them back there"
    if (is_stored := STORED.get(source["name"])) is not None:
        remedy += " or set EMNIST_ROOT to their folder"
        if not is_stored(source["root"], source["split"]):  # the run was copied to another machine
            source["root"] = os.environ.get("EMNIST_ROOT", source["root"])
        if not is_stored(source["root"], source["split"]):
            raise UserError(f"data.root={source['root']}: the images of the run are no longer there; {remedy}")
    try:
        data = DataModule(**source, augmentation={"name": "none"}, seed=seed)
    except UserError as error:
        raise UserError(f"the images of the run can't be read: {error}; {remedy}") from error
    if data.dataset.fingerprint != fingerprint:
        raise UserError(
            f"data.root={source['root']}: {data.dataset.describe()}, are not the images of the run, {description};"
            f" {remedy}"
        )
    return data
