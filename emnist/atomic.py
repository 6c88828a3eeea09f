import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from emnist.errors import UserError


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then put it in place: whole or not at all.

    Raises UserError, naming the file, where that fails, for want of space or permission.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise UserError(
            f"{path}: can't be written ({error.strerror or error}); make room there or choose another folder"
        ) from error
    finally:
        with suppress(OSError):  # where nothing could be made, nothing is to be removed
            temporary.unlink(missing_ok=True)


def remove_temporaries(folder: Path) -> None:
    """Remove what killed writers left behind in a folder that nobody writes to now."""
    for temporary in folder.rglob(".*.tmp"):
        temporary.unlink(missing_ok=True)
