"""The space of a search: what Hydra's `interval`, `range` and `choice` mean, and under which conditions.

optimizer: choice(adam, sgd)
optimizer.lr: tag(log, interval(1e-4, 1))
optimizer.momentum: {values: "interval(0, 0.95)", when: optimizer=sgd}
model.neurons: tag(log, int(interval(32, 512)))
"""

import math
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep, Transformer
from omegaconf import ListConfig
from optuna.trial import Trial

from emnist.errors import UserError
from emnist.runs.search import Parameter, Scalar

Space = dict[str, Parameter]


def read_space(given: object) -> Space:
    """The parameters of `search.space` by name. Raises UserError, naming the key, if one is wrong."""
    if not isinstance(given, dict) or not given:
        raise UserError(f"search.space={given}: write it as {{key: interval(low, high)}}, range(…) or choice(…)")
    space: Space = {}
    for key, entries in given.items():
        several = entries if isinstance(entries, list) else [entries]
        if not several:
            raise UserError(f"search.space.{key}=[]: give at least one set of values")
        for entry in several:
            parameter = _entry(str(key), entry)
            condition = "" if len(several) == 1 else f" if {_described(parameter.when)}"
            if key + condition in space:
                raise UserError(
                    f"search.space.{key}: two entries hold at once; give each a condition of its own (when)"
                )
            space[key + condition] = parameter
    return space


def parameter_of(override: Override, where: str) -> Parameter:
    """The parameter that a sweep of Hydra describes. Raises UserError, starting with `where`, if it is wrong."""
    key, value = override.key_or_group, override.value()
    if isinstance(value, ChoiceSweep):
        choices = values_of(override)
        if value.shuffle:
            raise UserError(f"{where}: choices have no order; leave out shuffle(…)")
        if len(set(choices)) < len(choices):
            raise UserError(f"{where}: give each choice once")
        return Parameter(key=key, kind="categorical", choices=choices)  # type: ignore[arg-type]
    if not isinstance(value, RangeSweep | IntervalSweep):
        raise UserError(
            f"{where}: not a set of values; use interval(low, high), range(start, stop, step) or choice(a, b)"
        )
    log = "log" in value.tags
    if unknown := value.tags - {"log"}:
        raise UserError(f"{where}: unknown tag {sorted(unknown)[0]}; the only one is log")
    if isinstance(value, RangeSweep):
        if log:
            raise UserError(f"{where}: a range has no log scale; use tag(log, interval(…))")
        numbers = list(value.range()) if value.step else []
        if not numbers:
            raise UserError(f"{where}: an empty range")
        kind = "int" if all(isinstance(number, int) for number in numbers) else "float"
        step = abs(value.step)
        return Parameter(key=key, kind=kind, low=min(numbers), high=max(numbers), step=step)  # type: ignore[arg-type]
    low, high = value.start, value.end
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)) or low >= high:
        raise UserError(f"{where}: the first number must be less than the second")
    if log and low <= 0:
        raise UserError(f"{where}: a log scale starts above 0")
    kind = "int" if isinstance(low, int) and isinstance(high, int) else "float"
    return Parameter(key=key, kind=kind, low=low, high=high, step=1 if kind == "int" else None, log=log)  # type: ignore[arg-type]


def fit_to_command(
    space: Space,
    given: Collection[str],
    swept: Sequence[Parameter],
    only: Collection[str] | None,
    value_of: Callable[[str], str | None],
) -> tuple[Space, dict[str, str]]:
    """The space with the command line's parameters in place of the file's, and without the keys that it sets.

    `given` are the keys that the command line sets, `only` those of the file to search. `value_of` gives the value of a
    key of the reference as text, None if it has no such key. Also returns these values where conditions are about them.
    Raises UserError if nothing is left, a key doesn't exist or a condition can't be judged.
    """
    keys = {parameter.key for parameter in space.values()}
    if unknown := [key for key in only or () if key not in keys]:
        raise UserError(f"search.only={unknown[0]}: not in the space; choose from {', '.join(sorted(keys))}")
    searched = keys - set(given) - {parameter.key for parameter in swept}
    searched = searched if only is None else searched & set(only)
    new = {parameter.key: parameter for parameter in swept}  # first, as conditions of the file may be about them
    new |= {name: parameter for name, parameter in space.items() if parameter.key in searched}
    all_searched, known = {parameter.key for parameter in new.values()}, set()
    fixed: dict[str, str] = {}
    for name, parameter in new.items():
        if parameter.when is None and value_of(parameter.key) is None:
            raise UserError(f"search.space.{name}: no such key; python -m emnist.train --help lists the available keys")
        for key in parameter.when or {}:
            value = None if key in all_searched else value_of(key)
            if value is not None:
                fixed[key] = value
            elif key not in known:
                where = "searched only after it" if key in all_searched else "no such key"
                raise UserError(f"search.space.{name}: its condition is about {key}: {where}")
        known.add(parameter.key)
    new = {name: one for name, one in new.items() if _may_hold(one, fixed)}
    if not new:
        raise UserError("search.space: nothing is left to search; every parameter is set, or left out by search.only")
    return new, fixed


def suggest(trial: Trial, space: Space, fixed: Mapping[str, str]) -> dict[str, Scalar]:
    """Ask for the parameters of a trial whose conditions hold; numbers have four digits, as they are used."""
    parameters: dict[str, Scalar] = {}
    for name, parameter in space.items():
        if not holds(parameter, space, fixed, parameters):
            continue
        if parameter.kind == "categorical":
            parameters[name] = trial.suggest_categorical(name, list(parameter.choices or []))  # type: ignore[assignment]
        elif parameter.kind == "int":
            low, high, step = int(parameter.low or 0), int(parameter.high or 0), int(parameter.step or 1)
            parameters[name] = trial.suggest_int(name, low, high, step=step, log=parameter.log)
        else:
            low_, high_ = float(parameter.low or 0), float(parameter.high or 0)
            value = trial.suggest_float(name, low_, high_, step=parameter.step, log=parameter.log)
            digits = ".4g" if parameter.step is None else ".10g"  # a step is exact, but for what adding it up leaves
            parameters[name] = min(max(float(f"{value:{digits}}"), low_), high_)
    return parameters


def overrides_of(parameters: Mapping[str, Scalar], space: Space) -> list[str]:
    """The Hydra overrides that set these parameters."""
    return [f"{space[name].key}={value}" for name, value in parameters.items()]


def grid(space: Space, fixed: Mapping[str, str], seed: int) -> list[dict[str, Scalar]]:
    """Every configuration of the space once, in random order, so that one that ends early has seen all of it.

    Raises UserError for a parameter with infinitely many values.
    """
    for name, parameter in space.items():
        if parameter.kind != "categorical" and (parameter.step is None or parameter.log):
            raise UserError(
                f"search.space.{name}: an interval has no grid; use choice(…) or range(…), or another sampler"
            )
    points: list[dict[str, Scalar]] = [{}]
    for name, parameter in space.items():
        longer: list[dict[str, Scalar]] = []
        for point in points:
            if holds(parameter, space, fixed, point):
                longer += [{**point, name: value} for value in _values(parameter)]
            else:
                longer.append(point)
        points = longer
    random.Random(seed).shuffle(points)
    return points


def holds(parameter: Parameter, space: Space, fixed: Mapping[str, str], chosen: Mapping[str, Scalar]) -> bool:
    """Whether the condition of a parameter holds for what has been chosen before it."""
    values = {**fixed, **{space[name].key: str(value) for name, value in chosen.items()}}
    return all(values.get(key) in list(map(str, allowed)) for key, allowed in (parameter.when or {}).items())


def _may_hold(parameter: Parameter, fixed: Mapping[str, str]) -> bool:
    """Whether the conditions about fixed keys hold."""
    return all(key not in fixed or fixed[key] in map(str, allowed) for key, allowed in (parameter.when or {}).items())


def _values(parameter: Parameter) -> list[Scalar]:
    if parameter.choices is not None:
        return parameter.choices
    low, high, step = parameter.low or 0, parameter.high or 0, parameter.step or 1
    numbers = [low + i * step for i in range(math.floor((high - low) / step + 1e-9) + 1)]
    return [int(number) for number in numbers] if parameter.kind == "int" else [float(f"{n:.10g}") for n in numbers]


def _entry(key: str, entry: Any) -> Parameter:
    where, condition = f"search.space.{key}", None
    if isinstance(entry, dict):
        if not {"values"} <= entry.keys() <= {"values", "when"}:
            raise UserError(f"{where}={entry}: write {{values: interval(…), when: key=value}}")
        condition, entry = entry.get("when"), entry["values"]
    override = _parse(f"{key}={entry}", where)
    if not override.is_sweep_override():
        raise UserError(f"{where}={entry}: give interval(low, high), range(start, stop, step) or choice(a, b)")
    parameter = parameter_of(override, where)
    return parameter if condition is None else parameter.model_copy(update={"when": _condition(condition, where)})


def _condition(given: object, where: str) -> dict[str, list[str]]:
    """`optimizer=sgd,adam` → {"optimizer": ["sgd", "adam"]}; a list of conditions must hold together."""
    when: dict[str, list[str]] = {}
    for text in given if isinstance(given, list) else [given]:
        if "=" not in str(text):
            raise UserError(f"{where}: when={text}: give key=value, or several values with commas")
        override = _parse(str(text), f"{where}: when")
        value = override.value()
        if override.is_sweep_override() and not isinstance(value, ChoiceSweep):
            raise UserError(f"{where}: when={text}: give key=value, or several values with commas")
        when[override.key_or_group] = values_of(override)
    return when


def values_of(override: Override) -> list[str]:
    """Its value as text, or those of a choice."""
    if override.is_sweep_override():
        return [text_of(choice) for choice in override.sweep_iterator(Transformer.encode)]
    return [text_of(override.get_value_element_as_str())]


def text_of(value: object) -> str:
    """A value as it is written in an override: true, [32,64]."""
    if isinstance(value, list | ListConfig):
        return f"[{','.join(map(text_of, value))}]"
    return str(value).lower() if str(value) in ("True", "False") else str(value)


def _parse(text: str, where: str) -> Override:
    try:
        return OverridesParser.create().parse_override(text)
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{where}={text.partition('=')[2]}: not in Hydra's syntax ({reason})") from error


def _described(when: Mapping[str, Sequence[Scalar]] | None) -> str:
    return " and ".join(f"{key}={','.join(map(str, values))}" for key, values in (when or {}).items())
