"""Distillation: a network learns from the probabilities of trained ones (Hinton et al., 2015)."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from emnist.checks import Share, construct
from emnist.data.batches import Moment
from emnist.data.module import DataModule
from emnist.errors import UserError
from emnist.inference.load import TrainedClassifier
from emnist.runs.folder import RunFolder
from emnist.training.init import Source, find_network, holds_out_the_same


class Teachers:
    """Trained networks whose mean probabilities, at a temperature, are what a network learns besides the labels.

    `mean` and `std` are those of the images that they are given; each sees them as in its own training. The gradient of
    the divergence is 1 / temperature² of what it is at temperature 1, which the loss makes up for.
    """

    def __init__(
        self,
        classifiers: Sequence[TrainedClassifier],
        mean: Moment,
        std: Moment,
        weight: Share,
        temperature: Annotated[float, Field(gt=0)],
    ):
        self.networks = [classifier.network for classifier in classifiers]
        self.weight, self.temperature = weight, temperature
        self.maps: list[tuple[Tensor, Tensor]] = []  # factor and summand, [C, 1, 1] each
        for classifier in classifiers:
            own_mean, own_std = _moment(classifier.mean), _moment(classifier.std)
            self.maps.append((_moment(std) / own_std, (_moment(mean) - own_mean) / own_std))

    def to(self, device: torch.device) -> None:
        self.networks = [network.to(device) for network in self.networks]
        self.maps = [(factor.to(device), summand.to(device)) for factor, summand in self.maps]

    @torch.no_grad()
    def probabilities(self, images: Tensor) -> Tensor:
        """Normalised images float [B, C, H, W] → float32 [B, classes], at the temperature."""
        logits = [
            network(images * factor + summand).float()
            for network, (factor, summand) in zip(self.networks, self.maps, strict=True)
        ]
        return torch.stack([(one / self.temperature).softmax(1) for one in logits]).mean(0)

    def teach(self, loss: Tensor, logits: Tensor, images: Tensor) -> Tensor:
        """(1 - weight) × loss + weight × temperature² × KL(teachers ‖ network), the mean over the batch."""
        student = (logits / self.temperature).log_softmax(1)
        divergence = F.kl_div(student, self.probabilities(images), reduction="batchmean")
        return (1 - self.weight) * loss + self.weight * self.temperature**2 * divergence


def _moment(value: Moment) -> Tensor:
    return torch.tensor(value, dtype=torch.float32).view(-1, 1, 1)


def find_teachers(loss: dict[str, Any]) -> list[Source]:
    """The networks that `loss.teachers` names, none without; `loss` gets their absolute paths and their sha256.

    Raises UserError if there is no network, or others than those with `loss.sha256`.
    """
    if loss.get("name") != "distill":
        return []
    runs = loss.get("teachers")
    if not isinstance(runs, list) or not runs:
        raise UserError("loss.teachers is missing: give the folders of finished runs, as in loss.teachers=[RUN,RUN]")
    sources = [find_network(run, "loss.teachers") for run in runs]
    sha256 = [source.origin["sha256"] for source in sources]
    if loss.get("sha256") not in (None, sha256):
        raise UserError("loss.teachers: not the networks with the loss.sha256 of this run; they were trained again")
    loss |= {"teachers": [os.path.abspath(Path(run).expanduser()) for run in runs], "sha256": sha256}
    return sources


def build_teachers(config: dict[str, Any], data: DataModule) -> tuple[Teachers | None, list[dict[str, Any]]]:
    """The teachers of a run and where they come from, each as in result.json; None without.

    Raises UserError if one may have seen images on which this run is validated or tested.
    """
    loss = config.get("loss", {})
    sources = find_teachers(loss)
    if not sources:
        return None, []
    for source, run in zip(sources, loss["teachers"], strict=True):
        _check(source, run, config["data"], data)
    classifiers = [source.classifier for source in sources]
    arguments = {key: loss[key] for key in ("weight", "temperature") if key in loss}
    teachers = construct("loss", Teachers, classifiers, data.mean, data.std, **arguments)
    return teachers, [{**source.origin, "run": run} for source, run in zip(sources, loss["teachers"], strict=True)]


def _check(source: Source, run: str, split: dict[str, Any], data: DataModule) -> None:
    folder = RunFolder(run)
    result = folder.read_result()
    if result is None:
        raise UserError(f"loss.teachers={run}: not the folder of a finished run ({folder.result} is missing)")
    if source.classifier.classes != tuple(data.dataset.classes) or result.data.fingerprint != data.dataset.fingerprint:
        raise UserError(f"loss.teachers={run}: trained on other data, which may contain images of this run's test set")
    if result.config.get("init"):
        raise UserError(f"loss.teachers={run}: started from a network that may have seen other images (init)")
    if split["fold"] is not None and not holds_out_the_same(result.config["data"], split):
        raise UserError(
            f"loss.teachers={run}: trained on images that validate this run (data.fold={split['fold']}); give runs of"
            " the same data.fold, data.folds and data.fold_seed, or set data.fold=null"
        )
