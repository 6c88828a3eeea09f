"""The sweeper of searches, where Hydra looks for plugins."""

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class SearchSweeper(Sweeper):
    """Runs `emnist.search.sweeper.sweep`, imported here because Hydra imports this module for every command."""

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.search = config, hydra_context

    def sweep(self, arguments: list[str]) -> None:
        from emnist.search.sweeper import sweep

        sweep(arguments, *self.search)
