"""Hydra's composition errors, reworded as one line that names the key and what would be right."""

import re

from hydra.errors import ConfigCompositionException, MissingConfigException, OverrideParseException

from emnist.errors import UserError, unknown


def reworded(error: Exception) -> Exception:
    """A UserError for an error in the configuration or its overrides; any other error as it is."""
    if isinstance(error, MissingConfigException) and error.missing_cfg_file and error.options:
        group, _, option = error.missing_cfg_file.rpartition("/")
        return unknown(group, option, error.options)
    if isinstance(error, OverrideParseException):
        return UserError(f"{error.override}: invalid syntax; write key=value, and quote values with brackets or spaces")
    if isinstance(error, ConfigCompositionException):
        message = " ".join(str(error).split())
        if ambiguous := re.search("Ambiguous value for argument '(.*?)'", message):
            return UserError(f"{ambiguous[1]}: several values make a multirun; add -m")
        if missing := re.search("Could not override '(.*?)'", message):
            return UserError(f"{missing[1]}: no such key here; python -m emnist.train --help lists the available keys")
        return UserError(message)
    return error
