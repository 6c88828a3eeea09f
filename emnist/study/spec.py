"""What a study varies: the factors of conf/study/*.yaml, their values, and what the reference report says of each."""

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator

from emnist.checks import STRICT, Count, NonNegative, Seed, validate
from emnist.errors import UserError, unknown
from emnist.study.overrides import key_of


def _override(text: str) -> str:
    if "=" not in text and not text.startswith("~"):
        raise ValueError("not an override; write key=value")
    key = key_of(text)
    if key in ("seed", "data.fold") or key.split(".")[0] in ("hydra", "study"):
        raise ValueError("not for a study's values; folds and seeds are set by study.folds and study.seeds")
    return text


def _source_override(text: str) -> str:
    return text if text.startswith("data.fold=") else _override(text)


def _each_once(values: list) -> list:
    if not values or len(set(values)) < len(values):
        raise ValueError("give at least one, and each once")
    return values


def _as_list(given: object) -> object:
    return [given] if isinstance(given, str) else given


def seconds(given: object) -> object:
    """A time such as 4h, 30m or 90s, in seconds."""
    if given is None or (isinstance(given, int | float) and given > 0):
        return given
    match = re.fullmatch(r"(\d+(?:\.\d+)?) *([smhd])", str(given))
    if match is None or float(match[1]) == 0:
        raise ValueError("must be a time such as 4h, 30m or 90s")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]


def _ascending(looks: list[int]) -> list[int]:
    if not looks or looks[0] < 2 or sorted(set(looks)) != looks:
        raise ValueError("give numbers of runs in ascending order, from 2")
    return looks


Claim = Literal["better", "worse", "not better", "no different"]
Override = Annotated[str, AfterValidator(_override)]
SourceOverride = Annotated[str, AfterValidator(_source_override)]
EachOnce = AfterValidator(_each_once)
OneOrMore = BeforeValidator(_as_list)


def folds_and_seeds(
    folds: Sequence[int | None], seeds: Iterable[int], seeding: str, all_folds: int
) -> Iterator[tuple[int | None, int]]:
    """Fold and seed of each run: the first seed in every fold, then the next; nested, no two folds share a seed."""
    for seed in seeds:
        for fold in folds:
            yield fold, seed if seeding == "crossed" or fold is None else seed * all_folds + fold


class Value(BaseModel):
    """One value of a factor."""

    model_config = STRICT

    set: Annotated[list[Override], OneOrMore]  # the overrides that make it
    published: float | None = None  # test accuracy in % in the reference report
    rank: Count | None = None  # its order within the factor in the reference report, 1 is the best
    claim: Claim | None = None  # what the reference report says of it against the reference, if only in words
    init: str | None = None  # the source whose network its runs start from, which makes `set` optional
    settings: Annotated[list[str], OneOrMore, EachOnce] | None = None  # which have it, as names or digits*; None: all

    def is_for(self, setting: str | None) -> bool:
        return self.settings is None or any(fnmatchcase(setting or "", pattern) for pattern in self.settings)


class Study(BaseModel):
    """The keys of `study`."""

    model_config = STRICT

    mode: Literal["around", "greedy"] = "around"
    reference: list[Override]
    folds: Annotated[list[int | None], EachOnce]  # None: all training images, no validation
    seeds: Annotated[list[Seed], EachOnce] = [0]
    seeding: Literal["nested", "crossed"] = "nested"
    reference_times: Count = 1
    together: Literal["auto", "off"] | Count = "auto"
    delta: NonNegative = 0.3
    decide: bool = False
    looks: Annotated[list[int], AfterValidator(_ascending)] = [3, 5, 10, 15, 25]
    budget: Annotated[float | None, BeforeValidator(seconds)] = None
    max_runs: Count | None = None
    only: Annotated[list[str], OneOrMore, EachOnce] | None = None  # settings, factors, or factor/value; None: all
    sources: dict[str, Annotated[list[SourceOverride], OneOrMore]] = {}  # networks to start from: name → overrides
    settings: dict[str, Annotated[list[Override], OneOrMore]] = {}  # label → overrides; every factor is varied in each
    factors: dict[str, dict[str, Value]]  # factor → label → value
    all_folds: Count  # of the training set

    @property
    def runs(self) -> list[tuple[int | None, int]]:
        """Fold and seed of each run of a cell: the first seed in every fold, then the next."""
        return self.first_runs(len(self.seeds) * len(self.folds))

    @property
    def reference_runs(self) -> list[tuple[int | None, int]]:
        """Of the cell that the others are compared with: theirs and more."""
        return self.first_runs(self.reference_times * len(self.seeds) * len(self.folds))

    def first_runs(self, count: int) -> list[tuple[int | None, int]]:
        """So many runs of a cell, with seeds beyond those of the study as needed."""
        more = itertools.count(max(self.seeds) + 1)
        every = folds_and_seeds(self.folds, itertools.chain(self.seeds, more), self.seeding, self.all_folds)
        return list(itertools.islice(every, count))

    def values(self, factor: str, setting: str | None = None) -> dict[str, Value]:
        """The factor's values in this setting of a study that has settings."""
        return {label: value for label, value in self.factors[factor].items() if value.is_for(setting)}

    def wanted(self, factor: str, setting: str | None = None) -> list[str]:
        """Labels of the factor's values that are to be trained, in this setting of a study that has settings."""
        settings = [entry for entry in self.only or () if entry in self.settings]
        values = [entry for entry in self.only or () if entry not in self.settings]
        labels = list(self.values(factor, setting))
        if settings and setting not in settings:
            return []
        if not values or factor in values:
            return labels
        return [label for label in labels if f"{factor}/{label}" in values]


def read_study(name: str, config: dict[str, Any], all_folds: int) -> Study:
    """The study `name` from its part of the configuration; `all_folds` is the number of folds of the training set.

    `folds: null` means all of them. Raises UserError, naming the key or the value, if the configuration is invalid.
    """
    where = f"study={name}"
    factors = {
        str(factor): {
            str(label): _value(f"{where}: {factor}/{label}", value)
            for label, value in _mapping(f"{where}: factors.{factor}", values).items()
        }
        for factor, values in _mapping(f"{where}: factors", config.get("factors")).items()
    }
    folds = list(range(all_folds)) if config.get("folds") is None else config["folds"]
    settings = config.get("settings") or {}
    if isinstance(settings, dict):
        settings = {str(label): overrides for label, overrides in settings.items()}
    parts = {"folds": folds, "settings": settings, "factors": factors, "all_folds": all_folds}
    study = validate(Study, {**config, **parts}, "study.")
    if study.settings and study.mode == "greedy":
        raise UserError("study.settings: a greedy study has one start; settings need study.mode=around")
    if study.settings and study.decide:
        raise UserError("study.settings: a study that decides has one reference; settings need study.decide=false")
    for setting in study.settings:
        if setting in factors:
            raise UserError(f"study.settings.{setting}: also the name of a factor; rename one, study.only names both")
    for factor, label, value in ((f, label, value) for f in factors for label, value in factors[f].items()):
        if value.init is not None and value.init not in study.sources:
            known = study.sources or ["those of study.sources, where there are none"]
            raise unknown(f"{where}: {factor}/{label}: init", value.init, known)
        for pattern in value.settings or ():
            if not any(fnmatchcase(setting, pattern) for setting in study.settings):
                known = list(study.settings) or ["those of study.settings, where there are none"]
                raise unknown(f"{where}: {factor}/{label}: settings", pattern, known)
    for fold in study.folds:
        if fold is None and study.mode == "greedy":
            raise UserError("study.folds=null: a greedy study needs validation accuracies, so each run needs a fold")
        if fold is not None and not 0 <= fold < all_folds:
            raise UserError(f"study.folds={fold}: must be from 0 to {all_folds - 1}")
    for key in ("budget", "max_runs"):
        if not study.decide and getattr(study, key) is not None:
            raise UserError(f"study.{key}={config[key]}: a limit for studies that decide; add study.decide=true")
    for entry in study.only or ():
        factor, _, label = entry.partition("/")
        if entry in study.settings:
            continue
        if factor not in factors:
            raise unknown("study.only", entry, [*study.settings, *factors])
        if label and label not in factors[factor]:
            raise unknown("study.only", entry, [f"{factor}/{label}" for label in factors[factor]])
    return study


def _value(where: str, given: object) -> Value:
    value = _mapping(where, given)
    return validate(Value, {"set": [], **value} if "init" in value else value, f"{where}: ")


def _mapping(where: str, given: object) -> dict:
    if not isinstance(given, dict) or not given:
        raise UserError(f"{where}={given}: write factors as {{factor: {{value: {{set: key=value}}}}}}")
    return given
