"""What a study varies: the factors of conf/study/*.yaml, their values, and what the report says of each."""

from dataclasses import dataclass
from typing import Any

from emnist.checks import listed, whole
from emnist.errors import UserError, choose

MODES = ("around", "greedy")
CLAIMS = ("better", "worse", "not better", "no different")


@dataclass(frozen=True)
class Value:
    """One value of a factor."""

    label: str
    overrides: tuple[str, ...]  # what sets it
    published: float | None = None  # the report's test accuracy in %
    rank: int | None = None  # the report's order within the factor, 1 the best, where it gives one
    claim: str | None = None  # what the report says of it against the reference, where it says so in words alone


@dataclass(frozen=True)
class Factor:
    name: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Study:
    name: str
    mode: str  # around, greedy
    reference: tuple[str, ...]  # overrides
    folds: tuple[int | None, ...]
    seeds: tuple[int, ...]
    only: tuple[str, ...] | None  # factors, or factor/value; None: all
    factors: tuple[Factor, ...]

    def wanted(self, factor: Factor) -> list[Value]:
        """The values of the factor that are to be trained."""
        if self.only is None or factor.name in self.only:
            return list(factor.values)
        return [value for value in factor.values if f"{factor.name}/{value.label}" in self.only]


def read_study(name: str, config: dict[str, Any], all_folds: int) -> Study:
    """The study `name` from its part of the configuration; `all_folds` is how many the training set has.

    With `folds` null it is all of them. Raises UserError, naming the key, for what can't be.
    """
    where = f"study={name}"
    _same_keys(where, config, {"mode", "reference", "folds", "seeds", "only", "factors"})
    if config["mode"] not in MODES:
        raise choose("study.mode", config["mode"], MODES)
    whole("data.folds", all_folds, least=2)
    folds = list(range(all_folds)) if config["folds"] is None else listed("study.folds", config["folds"])
    for fold in folds:
        if fold is not None:
            whole("study.folds", fold, least=0, most=all_folds - 1)
        elif config["mode"] == "greedy":
            raise UserError("study.folds: a greedy study chooses by validation accuracy, so null is no fold for it")
    seeds = [whole("study.seeds", seed, least=0) for seed in listed("study.seeds", config["seeds"])]
    for key, values in (("folds", folds), ("seeds", seeds)):
        if not values or len(set(values)) < len(values):
            raise UserError(f"study.{key}={config[key]}: give each once, and one at least")
    if not isinstance(config["factors"], dict) or not config["factors"]:
        raise UserError(f"{where}: study.factors={config['factors']}: give factor → value → what sets it")
    factors = tuple(_factor(where, str(name), values) for name, values in config["factors"].items())
    given = [config["only"]] if isinstance(config["only"], str) else config["only"]
    only = None if given is None else tuple(map(str, listed("study.only", given)))
    names = [factor.name for factor in factors]
    if only == ():
        raise UserError(f"study.only=[]: nothing to train; name some of {', '.join(names)}, or null for all")
    for entry in only or ():
        factor, _, label = entry.partition("/")
        if factor not in names:
            raise choose("study.only", entry, names)
        labels = [value.label for value in factors[names.index(factor)].values]
        if label and label not in labels:
            raise choose("study.only", entry, [f"{factor}/{label}" for label in labels])
    reference = tuple(_override("study.reference", entry) for entry in listed("study.reference", config["reference"]))
    return Study(name, config["mode"], reference, tuple(folds), tuple(seeds), only, factors)


def _factor(where: str, name: str, values: object) -> Factor:
    if not isinstance(values, dict) or not values:
        raise UserError(f"{where}: study.factors.{name} has no values; give value → what sets it")
    return Factor(name, tuple(_value(f"{where}: {name}/{label}", str(label), rest) for label, rest in values.items()))


def _value(where: str, label: str, config: object) -> Value:
    if not isinstance(config, dict):
        raise UserError(f"{where}: give {{set: overrides, published: accuracy in %}}")
    given = {"published": None, "rank": None, "claim": None, **config}
    _same_keys(where, given, {"set", "published", "rank", "claim"})
    published, claim = given["published"], given["claim"]
    if published is not None and (isinstance(published, bool) or not isinstance(published, int | float)):
        raise UserError(f"{where}: published: {published} is no accuracy in %")
    if given["rank"] is not None:
        whole(f"{where}: rank", given["rank"])
    if claim not in (None, *CLAIMS):
        raise choose(f"{where}: claim", claim, CLAIMS)
    given_set = given["set"] if isinstance(given["set"], list) else [given["set"]]
    overrides = tuple(_override(f"{where}: set", override) for override in given_set)
    return Value(label, overrides, published, given["rank"], claim)


def _override(where: str, override: object) -> str:
    if not isinstance(override, str) or "=" not in override:
        raise UserError(f"{where}: {override} is no override; write key=value")
    key = override.lstrip("+~").partition("=")[0]
    if key in ("seed", "data.fold") or key.split(".")[0] in ("hydra", "study"):
        raise UserError(f"{where}: {override} is not for a value; a study has study.folds and study.seeds")
    return override


def _same_keys(where: str, config: dict, keys: set[str]) -> None:
    if unknown := sorted(config.keys() - keys):
        raise UserError(f"{where}: {unknown[0]}: no such key; there are {', '.join(sorted(keys))}")
    if missing := sorted(keys - config.keys()):
        raise UserError(f"{where}: {missing[0]} is missing")
