"""Values of the configuration, checked by pydantic; an error is one line that names the key and the value."""

from collections.abc import Callable
from functools import cache
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, create_model

from emnist.errors import UserError

T = TypeVar("T")
Schema = TypeVar("Schema", bound=BaseModel)

STRICT = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True)

Count = Annotated[int, Field(ge=1)]
Index = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]  # what numpy and Lightning accept
NonNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Probability = Annotated[float, Field(ge=0, lt=1)]


def _odd(size: int) -> int:
    if size % 2 == 0:  # the padding could not be the same on both sides
        raise ValueError("must be odd, such as 3 or 5")
    return size


OddCount = Annotated[Count, AfterValidator(_odd)]


def construct(group: str, function: Callable[..., T], /, *given: Any, **arguments: Any) -> T:
    """`function(*given, **arguments)`, with the keyword arguments checked against its annotations.

    Raises UserError naming `group.key`: for unknown and missing arguments, for values of another type or out of
    range, and for a ValueError of `function`, whose message is to start with the name of the argument.
    """
    parameters = list(signature(function).parameters.values())[len(given) :]
    checked = validate(_schema(function, tuple(p.name for p in parameters)), arguments, f"{group}.")
    try:
        return function(*given, **{name: getattr(checked, name) for name in arguments})
    except ValueError as error:
        raise UserError(f"{group}.{error}") from error


@cache
def _schema(function: Callable[..., Any], names: tuple[str, ...]) -> type[BaseModel]:
    """The arguments of `function` with these names, as a pydantic model."""
    annotated: Any = function.__init__ if isinstance(function, type) else function  # type: ignore[misc]
    hints = get_type_hints(annotated, include_extras=True)
    defaults = {name: p.default for name, p in signature(function).parameters.items()}
    fields: dict[str, Any] = {
        name: (hints[name], ... if defaults[name] is Parameter.empty else defaults[name]) for name in names
    }
    return create_model(function.__name__, __config__=STRICT, **fields)


def validate(schema: type[Schema], values: dict[str, Any], prefix: str = "") -> Schema:
    """The model with these values. Raises UserError, naming `prefix` and the key, for the first invalid one."""
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        raise UserError(_first(error, schema, values, prefix)) from error


def _first(error: ValidationError, schema: type[BaseModel], values: dict[str, Any], prefix: str) -> str:
    first = error.errors()[0]
    key, _ = _find(values, first["loc"])
    if first["type"] == "extra_forbidden":
        return f"{prefix}{key}: no such key; the keys are {', '.join(schema.model_fields)}"
    if first["type"] == "missing":
        return f"{prefix}{'.'.join(map(str, first['loc']))} is missing"
    # A union reports the errors of all its types; those of the type that the value has say the most.
    errors = [e for e in error.errors() if e["loc"][0] == first["loc"][0]]
    errors = [e for e in errors if not e["type"].endswith("_type")] or errors
    key, value = _find(values, errors[0]["loc"])
    message = " or ".join(dict.fromkeys(_reworded(e["msg"]) for e in errors if _find(values, e["loc"])[0] == key))
    return f"{prefix}{key}={value}: {message}"


def _find(values: Any, location: tuple[int | str, ...]) -> tuple[str, Any]:
    """The key at pydantic's location, as the user writes it, and its value."""
    key = ""
    for part in location:
        if isinstance(values, dict) and part in values:
            key, values = f"{key}.{part}" if key else str(part), values[part]
        elif isinstance(values, list) and isinstance(part, int):
            key, values = f"{key}[{part}]", values[part]
        # else it is the name of a type in a union
    return key, values


def _reworded(message: str) -> str:
    message = message.removeprefix("Value error, ").replace("Input should", "must").replace("should", "must")
    return message[0].lower() + message[1:]


def directory(key: str, value: object) -> Path:
    """The path of a folder, which need not exist yet. Raises UserError naming `key`."""
    if not isinstance(value, str) or not value:
        raise UserError(f"{key} is {'empty' if value in ('', None) else value}: give the path of a folder")
    path = Path(value).expanduser()
    try:
        if path.exists() and not path.is_dir():
            raise UserError(f"{key}={value}: not a folder")
    except OSError as error:
        raise UserError(f"{key}={value}: can't be read ({error.strerror})") from error
    return path
