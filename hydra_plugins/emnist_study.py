"""The sweeper of studies, where Hydra looks for plugins."""

from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class StudySweeper(Sweeper):
    """Runs `emnist.study.sweeper.sweep`, imported here because Hydra imports this module for every command.

    With it, `--help` would take 0.2 s longer.
    """

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.study = config, hydra_context

    def sweep(self, arguments: list[str]) -> None:
        from emnist.study.sweeper import sweep

        sweep(arguments, *self.study)
