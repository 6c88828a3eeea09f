"""What a value may be; `key` is its name on the command line. Each check returns the value or raises UserError."""

from pathlib import Path

from emnist.errors import UserError


def whole(key: str, value: object, least: int = 1, most: int | None = None) -> int:
    """A whole number from `least` to `most`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least or (most is not None and value > most):
        raise UserError(f"{key}={value}: choose a whole number from {least} {'on' if most is None else f'to {most}'}")
    return value


def number(key: str, value: object, below: float = float("inf")) -> float:
    """A number from 0 to less than `below`."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < below:
        limit = "on" if below == float("inf") else f"to less than {below}"
        raise UserError(f"{key}={value}: choose a number from 0 {limit}")
    return value


def flag(key: str, value: object) -> bool:
    """True or false, and nothing that merely looks like it."""
    if not isinstance(value, bool):
        raise UserError(f"{key}={value}: choose true or false")
    return value


def listed(key: str, value: object) -> list:
    """A list."""
    if not isinstance(value, list | tuple):
        raise UserError(f"{key}={value}: give a list, such as [32,64]")
    return list(value)


def odd(key: str, value: object) -> int:
    """An odd kernel size: with an even one the padding can't be the same on both sides."""
    size = whole(key, value)
    if size % 2 == 0:
        raise UserError(f"{key}={size}: an even kernel size; choose odd ones, such as 3 or 5")
    return size


def directory(key: str, value: object) -> Path:
    """The path of a folder, which may be still to make."""
    if not isinstance(value, str) or not value:
        raise UserError(f"{key} is {'empty' if value in ('', None) else value}: give the path of a folder")
    path = Path(value).expanduser()
    try:
        if path.exists() and not path.is_dir():
            raise UserError(f"{key}={value}: not a folder")
    except OSError as error:
        raise UserError(f"{key}={value}: can't be read ({error.strerror})") from error
    return path
