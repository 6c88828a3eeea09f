"""Optuna's samplers and pruners, with the arguments that the configuration pins."""

import inspect
import warnings
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, RandomSampler, TPESampler

from emnist.errors import UserError
from emnist.runs.search import Scalar
from emnist.seeding import mix

SAMPLERS: dict[str, type[BaseSampler]] = {
    "random": RandomSampler,
    "tpe": TPESampler,
    "gp": GPSampler,
    "cmaes": CmaEsSampler,
}
PRUNERS: dict[str, type[BasePruner]] = {"none": NopPruner, "median": MedianPruner, "hyperband": HyperbandPruner}


class Listed(BaseSampler):
    """Gives the parameters of one point of a grid."""

    def __init__(self, point: Mapping[str, Scalar]):
        self.point = point

    def infer_relative_search_space(self, study, trial):
        return {}

    def sample_relative(self, study, trial, search_space):
        return {}

    def sample_independent(self, study, trial, param_name, param_distribution):
        return self.point[param_name]


def build_sampler(name: str, options: Mapping[str, Any], seed: int, number: int) -> BaseSampler:
    """The sampler for trial `number`: seeded anew for each, so that a resumed search goes on as it would have.

    Raises UserError, naming the key, for a wrong option.
    """
    return _build(SAMPLERS[name], f"search.samplers.{name}", {**options, "seed": mix(seed, number) % 2**32})


def build_pruner(name: str, options: Mapping[str, Any], epochs: int) -> BasePruner:
    """The pruner of trials that train for so many epochs. Raises UserError, naming the key, for a wrong option."""
    if name == "hyperband" and options.get("max_resource") is None:
        options = {**options, "max_resource": epochs}
    return _build(PRUNERS[name], f"search.pruners.{name}", options)


def _build(cls: type, where: str, options: Mapping[str, Any]):
    known = inspect.signature(cls).parameters
    if unknown := sorted(options.keys() - known.keys()):
        raise UserError(f"{where}.{unknown[0]}: no such option of {cls.__name__} in Optuna {optuna.__version__}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # of options such as multivariate
        try:
            return cls(**options)
        except ImportError as error:
            raise UserError(f"{where}: {error.name} is missing; pip install 'emnist[search]'") from error
        except (TypeError, ValueError, AssertionError) as error:
            raise UserError(f"{where}={dict(options)}: {' '.join(str(error).split())}") from error
