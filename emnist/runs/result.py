"""result.json and failure.json: how a run ended."""

from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, Field

from emnist.runs.config import is_run_config
from emnist.runs.stored import Stored

DIVERGED = "diverged"  # `stopped` of a run whose loss became infinite or NaN


def _of_a_run(config: dict[str, Any]) -> dict[str, Any]:
    if not is_run_config(config):
        raise ValueError("not the configuration of a run")
    return config


Config = Annotated[dict[str, Any], AfterValidator(_of_a_run)]  # resolved


class DataSummary(BaseModel):
    """Which images a run was trained and tested on."""

    split: str
    description: str
    official: bool | None  # None: unknown
    train: int  # images
    val: int
    test: int
    fingerprint: str  # sha256 of all images and labels
    image_shape: tuple[int, int, int] = (1, 28, 28)  # channels, height, width


class Origin(BaseModel):
    """Which trained network a run started or learned from."""

    run: str  # path of the run or the checkpoint, as it was then
    sha256: str  # of its weights, classes and normalisation
    epoch: int  # after which its weights were saved; epochs count from 1


class Result(Stored):
    """Contents of result.json, written last: where it exists, the run is complete.

    Metrics are None if the run diverged before its first epoch ended, `val_accuracy` also without validation. They are
    those of the network alone, or with `evaluation.views` of the averaged probabilities.
    """

    FORMAT: ClassVar[str] = "emnist.result/1"
    REMEDY: ClassVar[str] = "delete it, then resume the run to write it again"
    SUMMED: ClassVar[str] = "checksums"

    test_loss: float | None
    test_accuracy: float | None
    test_top3_accuracy: float | None
    test_macro_f1: float | None
    test_ece: float | None
    test_balanced_accuracy: float | None = None  # mean over the classes; None too for runs before version 0.6
    val_accuracy: float | None
    temperature: float | None = None  # logits are divided by it, see inference/calibration.py; None: not fitted
    views_temperature: float | None = None  # likewise, of averages over evaluation.views; None: without views
    test_calibrated_ece: float | None = None  # test_ece is that without the temperature
    best_epoch: int | None  # epochs count from 1
    epochs: int
    stopped: str  # max_epochs, early_stopping or diverged
    parameters: int
    duration_s: float  # training and evaluation, over all sessions
    images_per_s: float | None  # of training alone
    together: int = 1  # runs trained at once, by batched matmuls; with more than 1 the times are shares of theirs
    data: DataSummary
    init: Origin | None = None  # None: fresh weights
    teachers: list[Origin] = Field(default_factory=list)  # of distillation
    config: Config
    versions: dict[str, str | None]  # of emnist, its commit, Python and the main libraries
    device: dict[str, str | int]
    checksums: dict[str, str] = Field(default_factory=dict)  # SHA-256 by file; empty for runs before version 0.7

    @property
    def views(self) -> int:
        """Over how many views of each image, beside the image itself, the test averages."""
        return self.config.get("evaluation", {}).get("views", 0)

    @property
    def tested_temperature(self) -> float | None:
        """The temperature of the test: with `evaluation.views` that of the averages."""
        return self.temperature if self.views_temperature is None else self.views_temperature


class Failure(Stored):
    """Contents of failure.json: why a run ended without a result. It is deleted when the run is resumed."""

    FORMAT: ClassVar[str] = "emnist.failure/1"

    error: str
    config: Config
