"""SHA-256 of files, by which a damaged one is found, and checksums.json, which lists those of the files beside it."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from emnist.atomic import write_bytes
from emnist.errors import UserError
from emnist.runs.stored import Stored

LIST = "checksums.json"


class Checksums(Stored):
    """Contents of checksums.json: the SHA-256 that each file beside it may have.

    Those are two of a file that is written again and again: of the file there and of the one to come. The list is
    written first, so whenever the process is killed, what is there is listed.
    """

    FORMAT: ClassVar[str] = "emnist.checksums/1"
    REMEDY: ClassVar[str] = "delete it; the files beside it are then read without it"
    SUMMED: ClassVar[str] = "files"

    files: dict[str, list[str]]

    @classmethod
    def of(cls, path: Path) -> list[str]:
        """What the list beside `path` says of it; empty without a list. Raises DamagedFile for a damaged list."""
        return cls._beside(path).files.get(path.name, [])

    @classmethod
    def _beside(cls, path: Path) -> "Checksums":
        listed = path.with_name(LIST)
        return (cls.read(listed) if listed.exists() else None) or cls(files={})


def write_listed(path: Path, content: bytes | memoryview) -> None:
    """Write a file atomically, its SHA-256 into the list beside it first."""
    there = [sha256(path)] if path.exists() else []
    sums = Checksums._beside(path)
    sums.files[path.name] = list(dict.fromkeys([*there, hashlib.sha256(content).hexdigest()]))
    sums.write(path.with_name(LIST))
    write_bytes(path, content)


def verify(path: Path, listed: Callable[[], Sequence[str]], remedy: str) -> bool:
    """Whether a list has the file's SHA-256; False if it has none. Raises UserError for another SHA-256.

    List and file are looked at again before that, since another process may be writing both.
    """
    before: object = None
    while sums := listed():
        try:
            found = sha256(path)
        except OSError as error:
            advice = "" if isinstance(error, PermissionError) else f"; {remedy}"  # the file may be whole
            raise UserError(f"{path}: can't be read ({error.strerror or error}){advice}") from error
        if found in sums:
            return True
        if before == (found, sums):
            raise UserError(f"{path}: damaged (its SHA-256 is not the one that was written); {remedy}")
        before = found, sums
    return False


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
