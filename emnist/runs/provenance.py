"""Which code a run was trained with."""

import platform
import subprocess
from functools import cache
from importlib.metadata import version
from pathlib import Path

import emnist

LIBRARIES = ("torch", "lightning", "torchmetrics", "hydra-core", "numpy")
CHECKOUT = Path(emnist.__file__).resolve().parents[1]


def versions() -> dict[str, str | None]:
    """Versions of emnist, Python and the libraries that results depend on."""
    own = {"emnist": emnist.__version__, "commit": commit(), "python": platform.python_version()}
    return {**own, **{name: version(name) for name in LIBRARIES}}


@cache  # the code that runs is what was imported, whatever is checked out later
def commit() -> str | None:
    """The commit of the running code, with `-dirty` for uncommitted changes; None outside a checkout."""
    if not (CHECKOUT / ".git").exists():
        return None
    command = ["git", "-C", str(CHECKOUT), "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
