"""What a value may be; `key` is its name on the command line."""

from emnist.errors import UserError


def whole(key: str, value: object, least: int = 1, most: int | None = None) -> int:
    """`value` as a whole number of at least `least` and at most `most`, or UserError."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least or (most is not None and value > most):
        raise UserError(f"{key}={value}: choose a whole number from {least} {'on' if most is None else f'to {most}'}")
    return value


def listed(key: str, value: object) -> list:
    """`value` as a list, or UserError."""
    if not isinstance(value, list | tuple):
        raise UserError(f"{key}={value}: give a list, such as [32,64]")
    return list(value)


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
