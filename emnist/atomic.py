import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

from emnist.errors import UserError


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then rename it to `path`: all of the file or none of it.

    Own code, since the library for it (atomicwrites) is no longer maintained. Raises UserError, naming the file, if
    it can't be written (no space, no permission).
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
        reason = error.strerror or error
        raise UserError(f"{path}: can't be written ({reason}); free some space or choose another folder") from error
    finally:
        with suppress(OSError):  # the folder itself may be what is unwritable
            temporary.unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write a whole file atomically; see `write_atomically`."""
    write_atomically(path, lambda file: file.write(content))


def write_text(path: Path, text: str) -> None:
    """Write a whole UTF-8 file atomically; see `write_atomically`."""
    write_bytes(path, text.encode())


def remove_temporaries(folder: Path) -> None:
    """Remove what killed writers left in a folder that no process is writing to."""
    for temporary in folder.rglob(".*.tmp"):
        temporary.unlink(missing_ok=True)
