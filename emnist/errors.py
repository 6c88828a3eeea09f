class UserError(Exception):
    """Something the person at the keyboard can mend: shown as its message alone, with a non-zero exit."""


def choose(key: str, value: object, choices) -> UserError:
    """The error for a `key` whose `value` is none of `choices`."""
    return UserError(f"{key}={value}: unknown; choose one of {', '.join(map(str, choices))}")
