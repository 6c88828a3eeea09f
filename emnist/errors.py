from collections.abc import Iterable


class UserError(Exception):
    """A mistake that the user can correct: shown as this message alone, with a non-zero exit code."""


class Reported(UserError):
    """An error that the user has already been told."""


def unknown(key: str, value: object, choices: Iterable[object]) -> UserError:
    """The error for a `key` whose `value` is none of `choices`."""
    return UserError(f"{key}={value}: unknown; choose one of {', '.join(map(str, choices))}")


def describe(error: BaseException) -> str:
    """The error on one line (three for a failed download), with its type unless the message was written for users."""
    if isinstance(error, UserError):
        return str(error)
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
