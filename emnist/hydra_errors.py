"""Hydra's composition errors, reworded as one line that names the key and what would be right."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from hydra.errors import ConfigCompositionException, HydraException, MissingConfigException, OverrideParseException

from emnist.command import TRACEBACK
from emnist.errors import UserError, unknown


@contextmanager
def reworded_errors() -> Iterator[None]:
    """Let Hydra raise its errors, where it would print several lines and exit, and reword them."""
    before = os.environ.get(TRACEBACK)
    os.environ[TRACEBACK] = "1"
    try:
        yield
    except HydraException as error:
        raise reworded(error) from error
    finally:
        if before is None:
            os.environ.pop(TRACEBACK, None)
        else:
            os.environ[TRACEBACK] = before


def reworded(error: Exception) -> Exception:
    """A UserError for an error in the configuration or its overrides; any other error as it is."""
    if not isinstance(error, HydraException):
        return error
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        group, _, option = error.missing_cfg_file.rpartition("/")
        return unknown(group, option, error.options)
    if isinstance(error, OverrideParseException):
        return UserError(f"{error.override}: invalid syntax; write key=value, and quote values with brackets or spaces")
    message = " ".join(str(error).split())
    if isinstance(error, ConfigCompositionException):
        if ambiguous := re.search("Ambiguous value for argument '(.*?)'", message):
            return UserError(f"{ambiguous[1]}: several values make a multirun; add -m")
        if missing := re.search("Could not override '(.*?)'", message):
            return UserError(f"{missing[1]}: no such key here; python -m emnist.train --help lists the available keys")
    return UserError(message)
