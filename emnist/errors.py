import re

from hydra.errors import ConfigCompositionException, MissingConfigException, OverrideParseException


class UserError(Exception):
    """Something the person at the keyboard can mend: shown as its message alone, with a non-zero exit."""


def choose(key: str, value: object, choices) -> UserError:
    """The error for a `key` whose `value` is none of `choices`."""
    return UserError(f"{key}={value}: unknown; choose one of {', '.join(map(str, choices))}")


def describe(error: Exception) -> str:
    """What is wrong and what would be right, on one line (three for a failed download)."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        group, _, option = error.missing_cfg_file.rpartition("/")
        return f"{group}={option}: unknown; choose one of {', '.join(error.options)}"
    message = " ".join(str(error).split())
    if isinstance(error, OverrideParseException):
        return f"{error.override}: can't be read; write key=value, and quote a value with brackets or blanks"
    if isinstance(error, ConfigCompositionException):
        if ambiguous := re.search("Ambiguous value for argument '(.*?)'", message):
            return f"{ambiguous[1]}: several values make a multirun; add -m"
        if unknown := re.search("Could not override '(.*?)'", message):
            return f"{unknown[1]}: no such key here; python -m emnist.train --help lists those of these choices"
        return message
    return f"{type(error).__name__}: {message}"
