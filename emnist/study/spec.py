"""What a study varies: the factors of conf/study/*.yaml, their values, and what the reference report says of each."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator

from emnist.checks import STRICT, Count, Seed, validate
from emnist.errors import UserError, unknown
from emnist.study.overrides import key_of


def _override(text: str) -> str:
    if "=" not in text:
        raise ValueError("not an override; write key=value")
    key = key_of(text)
    if key in ("seed", "data.fold") or key.split(".")[0] in ("hydra", "study"):
        raise ValueError("not for a study's values; folds and seeds are set by study.folds and study.seeds")
    return text


def _each_once(values: list) -> list:
    if not values or len(set(values)) < len(values):
        raise ValueError("give at least one, and each once")
    return values


def _as_list(given: object) -> object:
    return [given] if isinstance(given, str) else given


Claim = Literal["better", "worse", "not better", "no different"]
Override = Annotated[str, AfterValidator(_override)]
EachOnce = AfterValidator(_each_once)
OneOrMore = BeforeValidator(_as_list)


class Value(BaseModel):
    """One value of a factor."""

    model_config = STRICT

    set: Annotated[list[Override], OneOrMore]  # the overrides that make it
    published: float | None = None  # test accuracy in % in the reference report
    rank: Count | None = None  # its order within the factor in the reference report, 1 is the best
    claim: Claim | None = None  # what the reference report says of it against the reference, if only in words


class Study(BaseModel):
    """The keys of `study`."""

    model_config = STRICT

    mode: Literal["around", "greedy"]
    reference: list[Override]
    folds: Annotated[list[int | None], EachOnce]  # None: all training images, no validation
    seeds: Annotated[list[Seed], EachOnce]
    only: Annotated[list[str], OneOrMore, EachOnce] | None  # factors, or factor/value; None: all
    factors: dict[str, dict[str, Value]]  # factor → label → value

    def wanted(self, factor: str) -> list[str]:
        """Labels of the factor's values that are to be trained."""
        labels = list(self.factors[factor])
        if self.only is None or factor in self.only:
            return labels
        return [label for label in labels if f"{factor}/{label}" in self.only]


def read_study(name: str, config: dict[str, Any], all_folds: int) -> Study:
    """The study `name` from its part of the configuration; `all_folds` is the number of folds of the training set.

    `folds: null` means all of them. Raises UserError, naming the key or the value, if the configuration is invalid.
    """
    where = f"study={name}"
    factors = {
        str(factor): {
            str(label): validate(Value, _mapping(f"{where}: {factor}/{label}", value), f"{where}: {factor}/{label}: ")
            for label, value in _mapping(f"{where}: factors.{factor}", values).items()
        }
        for factor, values in _mapping(f"{where}: factors", config.get("factors")).items()
    }
    folds = list(range(all_folds)) if config.get("folds") is None else config["folds"]
    study = validate(Study, {**config, "folds": folds, "factors": factors}, "study.")
    for fold in study.folds:
        if fold is None and study.mode == "greedy":
            raise UserError("study.folds=null: a greedy study needs validation accuracies, so each run needs a fold")
        if fold is not None and not 0 <= fold < all_folds:
            raise UserError(f"study.folds={fold}: must be from 0 to {all_folds - 1}")
    for entry in study.only or ():
        factor, _, label = entry.partition("/")
        if factor not in factors:
            raise unknown("study.only", entry, factors)
        if label and label not in factors[factor]:
            raise unknown("study.only", entry, [f"{factor}/{label}" for label in factors[factor]])
    return study


def _mapping(where: str, given: object) -> dict:
    if not isinstance(given, dict) or not given:
        raise UserError(f"{where}={given}: write factors as {{factor: {{value: {{set: key=value}}}}}}")
    return given
