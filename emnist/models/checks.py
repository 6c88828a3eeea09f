"""What a hyperparameter may be; `key` is its name on the command line."""

from emnist.errors import UserError


def whole(key: str, value: object, least: int = 1) -> int:
    """`value` as a whole number of at least `least`, or UserError."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UserError(f"{key}={value}: choose a whole number from {least} on")
    return value


def odd(key: str, value: object) -> int:
    """`value` as an odd kernel size, or UserError: with an even one the padding can't be the same on both sides."""
    if whole(key, value) % 2 == 0:
        raise UserError(f"{key}={value}: an even kernel size; choose odd ones, such as 3 or 5")
    return whole(key, value)


def probability(key: str, value: object) -> float:
    """`value` as a dropout probability, or UserError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise UserError(f"{key}={value}: choose a number from 0 to less than 1")
    return value
