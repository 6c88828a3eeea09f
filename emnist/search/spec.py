"""The keys of `search`: what is searched, how, and for how long."""

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field

from emnist.checks import STRICT, Count, NonNegative, Seed, validate
from emnist.errors import UserError
from emnist.search.space import Space, read_space
from emnist.study.overrides import key_of
from emnist.study.spec import EachOnce, OneOrMore, folds_and_seeds, seconds

METRICS = ("val_accuracy", "val_top3_accuracy", "val_macro_f1", "val_loss", "val_ece")
TO_BE_MINIMIZED = ("val_loss", "val_ece")


def _metric(name: str) -> str:
    if name.startswith("test"):
        raise ValueError(f"the test set must not choose anything; give one of {', '.join(METRICS)}")
    if name not in METRICS:
        raise ValueError(f"unknown; choose one of {', '.join(METRICS)}")
    return name


def _name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise ValueError("must be the name of a folder: letters, digits, '-', '_' and '.'")
    return name


def _of_all_trials(text: str) -> str:
    key = key_of(text)
    if "=" not in text:
        raise ValueError("not an override; write key=value")
    if key in ("seed", "data.fold") or key.split(".")[0] in ("hydra", "study", "search"):
        raise ValueError("not for all trials; folds and seeds are set by search.folds and search.seeds")
    return text


class Images(BaseModel):
    """When a trial has lost against the best so far on the same validation images; see analysis/racing.py."""

    model_config = STRICT

    level: Annotated[float, Field(gt=0, lt=1)]
    run_sd: NonNegative  # points


class Final(BaseModel):
    """On which the winner and the reference are trained at the end."""

    model_config = STRICT

    folds: Annotated[list[int], EachOnce] | None  # None: all
    seeds: Annotated[list[Seed], EachOnce]


class SearchSpec(BaseModel):
    """The keys of `search`, but for its space."""

    model_config = STRICT

    name: Annotated[str, AfterValidator(_name)]
    reference: list[Annotated[str, AfterValidator(_of_all_trials)]]
    epochs: Count | None  # of a trial
    folds: Annotated[list[int], EachOnce]
    seeds: Annotated[list[Seed], EachOnce]
    seeding: Literal["nested", "crossed"]
    metric: Annotated[str, AfterValidator(_metric)]
    direction: Literal["maximize", "minimize"]
    trials: Count | None
    budget: Annotated[float | None, BeforeValidator(seconds)]
    sampler: Literal["grid", "random", "tpe", "gp", "cmaes"]
    seed: Seed
    pruner: Literal["none", "median", "hyperband"]
    images: Images | None
    only: Annotated[list[str], OneOrMore] | None  # keys of the space
    workers: Count | None
    final: Final | None
    samplers: dict[str, dict[str, Any]]
    pruners: dict[str, dict[str, Any]]
    all_folds: Count  # of the training set

    @property
    def runs(self) -> list[tuple[int | None, int]]:
        """Fold and seed of each run of a trial."""
        return list(folds_and_seeds(self.folds, self.seeds, self.seeding, self.all_folds))

    @property
    def final_runs(self) -> list[tuple[int | None, int]]:
        """Of the final; empty without one."""
        seeds = [] if self.final is None else self.final.seeds
        return list(folds_and_seeds(self.final_folds, seeds, self.seeding, self.all_folds))

    @property
    def final_folds(self) -> list[int]:
        if self.final is None or self.final.folds is None:
            return list(range(self.all_folds))
        return self.final.folds

    @property
    def settings(self) -> dict[str, Any]:
        """What the trials depend on, beside the space: none of it may change while a search goes on."""
        keys = {"folds", "seeds", "seeding", "metric", "direction", "sampler", "seed", "pruner", "images", "epochs"}
        return {
            **self.model_dump(include=keys),
            "samplers": {self.sampler: self.samplers.get(self.sampler, {})},
            "pruners": {self.pruner: self.pruners.get(self.pruner, {})},
        }


def read_search(name: str, config: dict[str, Any], all_folds: int) -> tuple[SearchSpec, Space]:
    """The search `name` from its part of the configuration; `all_folds` is the number of folds of the training set.

    Raises UserError, naming the key, if the configuration is invalid.
    """
    config = {**config, "all_folds": all_folds}
    space = read_space(config.pop("space", None))
    if config.get("name") is None:
        config["name"] = f"{name}_{config['sampler']}_{config['seed']}".replace("/", "_")  # it may be in a subfolder
    spec = validate(SearchSpec, config, "search.")
    if spec.trials is None and spec.budget is None and spec.sampler != "grid":
        raise UserError(f"search={name}: give search.trials=60 or search.budget=2h, for example")
    expected = "minimize" if spec.metric in TO_BE_MINIMIZED else "maximize"
    if spec.direction != expected:
        raise UserError(f"search.direction={spec.direction}: {spec.metric} is better the other way; set {expected}")
    if spec.images is not None and len(spec.runs) > 1 and spec.metric != "val_accuracy":
        raise UserError(f"search.images: tests accuracies, so it can't prune by {spec.metric}; set search.images=null")
    for key, folds in {"folds": spec.folds, "final.folds": (spec.final.folds if spec.final else None) or []}.items():
        if wrong := [fold for fold in folds if not 0 <= fold < all_folds]:
            raise UserError(f"search.{key}={wrong[0]}: must be from 0 to {all_folds - 1}")
    if both := sorted(set(spec.runs) & set(spec.final_runs), key=str):
        fold, seed = both[0]
        raise UserError(f"search.final: fold {fold} with seed {seed} is one of the trials'; give other seeds or folds")
    return spec, space
