"""JSON files with a format number: a reader takes what it knows and says plainly what it doesn't."""

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

    Files of version 0.1 have no such key and the layout of format 1.
    """

    FORMAT: ClassVar[str]
    REMEDY: ClassVar[str] = "delete it"  # for a damaged file

    def write(self, path: Path) -> None:
        """Write the file atomically."""
        content = {"format": self.FORMAT, **self.model_dump()}
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
