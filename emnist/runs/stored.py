"""JSON files with a format number: a reader takes what it knows and says plainly what it doesn't."""

import hashlib
import json
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ValidationError

from emnist.atomic import write_text
from emnist.errors import UserError


class DamagedFile(UserError):
    """A file that holds no JSON, or not what its format asks for."""


class Stored(BaseModel):
    """The content of a JSON file. Its key `format` says what it is, as in `emnist.result/1`.

    Files of version 0.1 have no such key and the layout of format 1. The key `sha256`, if there, is that of all others.
    """

    FORMAT: ClassVar[str]
    REMEDY: ClassVar[str] = "delete it"  # for a damaged file
    SUMMED: ClassVar[str] = ""  # a key that only files with `sha256` have; empty: they are written without

    def write(self, path: Path) -> None:
        """Write the file atomically."""
        content = {"format": self.FORMAT, **self.model_dump()}
        if self.SUMMED:
            content["sha256"] = _sha256(content)
        write_text(path, json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n")

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """The content of the file; None if another program wrote it.

        Raises DamagedFile, and UserError for a format of another version.
        """
        try:
            content: Any = json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise DamagedFile(f"{path}: damaged ({error}); {cls.REMEDY}") from error
        stated = content.get("format") if isinstance(content, dict) else None
        summed = isinstance(content, dict) and not {"sha256", cls.SUMMED}.isdisjoint(content)
        if summed and content.get("sha256") != _sha256(content):
            raise DamagedFile(f"{path}: damaged (its contents are not those of its key sha256); {cls.REMEDY}")
        kind = cls.FORMAT.partition("/")[0]
        if isinstance(stated, str) and stated.partition("/")[0] == kind and stated != cls.FORMAT:
            raise UserError(f"{path}: format {stated}, but this version of emnist reads {cls.FORMAT}; update emnist")
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            if stated != cls.FORMAT:
                return None
            key = ".".join(map(str, error.errors()[0]["loc"]))
            raise DamagedFile(f"{path}: damaged ({key}: {error.errors()[0]['msg']}); {cls.REMEDY}") from error


def _sha256(content: dict[str, Any]) -> str:
    """Of the content as JSON, without its keys `format` and `sha256`."""
    rest = {key: value for key, value in content.items() if key not in ("format", "sha256")}
    rest = json.loads(json.dumps(rest))  # keys that are numbers become text, as they do in the file
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
