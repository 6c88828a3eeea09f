"""The images that a run was trained and tested on, if they are still there."""

import os
from pathlib import Path

from emnist.data.module import DataModule
from emnist.errors import UserError
from emnist.runs.result import Result


def images_of(result: Result) -> DataModule:
    """The data of a finished run, split into the same folds, from where they were then or else from $EMNIST_ROOT.

    Raises UserError if they are gone, or others now.
    """
    source = dict(result.config["data"])
    if source["name"] == "emnist" and not (Path(source["root"]) / "EMNIST" / "raw").exists():
        source["root"] = os.environ.get("EMNIST_ROOT", source["root"])
    remedy = "put them back there" + (" or set EMNIST_ROOT to their folder" if source["name"] == "emnist" else "")
    try:
        data = DataModule(**source, augmentation={"name": "none"}, seed=0)
    except UserError as error:
        reason = str(error).partition("\n")[0].removesuffix(". Either")  # of a failed download, which says more
        raise UserError(f"the images of the run can't be read: {reason}; {remedy}") from error
    if data.dataset.fingerprint != result.data.fingerprint:
        raise UserError(
            f"data.root={source['root']}: {data.dataset.describe()}, are not the images of the run,"
            f" {result.data.description}; {remedy}"
        )
    return data
