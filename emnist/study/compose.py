"""Turn overrides into the configuration of a run, as Hydra does for a job of a multirun."""

from dataclasses import dataclass
from typing import Any, cast

from hydra.types import HydraContext
from omegaconf import DictConfig, OmegaConf, open_dict

from emnist.errors import UserError, describe
from emnist.hydra_errors import reworded
from emnist.runs.config import Split


@dataclass(frozen=True)
class Compose:
    """Can be sent to other processes."""

    config: DictConfig  # of the multirun
    context: HydraContext

    def __call__(self, overrides: tuple[str, ...]) -> dict[str, Any]:
        """The resolved configuration. Raises UserError for overrides that Hydra doesn't accept."""
        return self.with_choices(overrides)[0]

    def with_choices(self, overrides: tuple[str, ...]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Also what was chosen of each group, such as {"optimizer": "adam"}."""
        try:
            composed = self.context.config_loader.load_sweep_config(self.config, list(overrides))
            choices = cast(dict[str, Any], OmegaConf.to_container(composed.hydra.runtime.choices))
            with open_dict(composed):
                del composed["hydra"]
            return cast(dict[str, Any], OmegaConf.to_container(composed, resolve=True)), choices
        except Exception as error:
            raise UserError(describe(reworded(error))) from error


def fingerprint(data: dict[str, Any]) -> str:
    """Fingerprint of the images described by `data`."""
    return dataset(data).fingerprint


def dataset(data: dict[str, Any]):
    """The images described by `data`."""
    from emnist.data.sources import load_dataset  # imports torch, which errors in the study's file needn't wait for

    return load_dataset(**{key: value for key, value in data.items() if key not in Split.model_fields})
