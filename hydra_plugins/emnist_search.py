"""The sweeper of searches, where Hydra looks for plugins."""

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from emnist.errors import UserError


class SearchSweeper(Sweeper):
    """Runs `emnist.search.sweeper.sweep`, imported here because Hydra imports this module for every command."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.search = config, hydra_context

    def sweep(self, arguments: list[str]) -> None:
        try:
            from emnist.search.sweeper import sweep
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "optuna":
                raise
            raise UserError("a search needs Optuna; pip install 'emnist[search]'") from error
        sweep(arguments, *self.search)
