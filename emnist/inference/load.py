"""A trained classifier, loaded from its run folder."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast
from zipfile import ZipFile

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from emnist.data.batches import EVALUATION_BATCH, Moment, normalize
from emnist.data.character import INKS, read_character
from emnist.data.picture import Picture, as_grey
from emnist.errors import UserError
from emnist.inference.views import VIEWS, views
from emnist.models import build_model
from emnist.models.layers import GREY_28, ImageShape
from emnist.runs.folder import RunFolder

FOLDER = 0x10  # attribute in a zip file


class TrainedClassifier:
    """The best network of a run, with its classes, the normalisation it was trained with, and its temperature."""

    def __init__(
        self, network: nn.Module, classes: tuple[str, ...], mean: Moment, std: Moment, temperature: float = 1.0
    ):
        self.network, self.classes, self.mean, self.std = network.eval(), classes, mean, std
        self.temperature = temperature
        self.temperatures: dict[int, float] = {}  # of averages over so many views, as far as they were fitted

    @property
    def image_shape(self) -> ImageShape:
        """Channels, height and width of the images that the network takes."""
        return cast(ImageShape, self.network.image_shape)

    @property
    def array_shape(self) -> tuple[int, ...]:
        """The shape of one image in memory: [H, W] if it is grey, else [C, H, W]."""
        return self.image_shape[1:] if self.image_shape[0] == 1 else self.image_shape

    def require_characters(self) -> None:
        """Raises UserError unless the network takes images as characters in pictures are read: grey, 28 × 28."""
        if self.image_shape != GREY_28:
            shape = " × ".join(map(str, self.array_shape))
            raise UserError(f"the network takes images of {shape}; only one of grey images of 28 × 28 reads pictures")

    def predict(self, images: Tensor | np.ndarray, augment: int = 0) -> Tensor:
        """Upright images, uint8 [N, 28, 28] (0 = paper, 255 = ink) → calibrated probabilities float32 [N, classes].

        A network that was trained on images of another size takes uint8 [N, H, W], on colour images [N, 3, H, W].

        With `augment`, the mean over the images and as many slightly shifted or turned views of them, 8 at most, always
        the same ones (test-time augmentation). It is calibrated if the run was tested with as many views; otherwise it
        is underconfident: see docs/reading.md.

        Raises ValueError for another shape or dtype, or another number of views.
        """
        if augment not in range(len(VIEWS) + 1):
            raise ValueError(f"augment={augment}: give 0 to {len(VIEWS)}")
        return self.probabilities(self.logits_of_views(images, augment), augment)

    def read(self, pictures: Iterable[Picture], ink: str = "auto") -> Tensor:
        """Pictures of one character each, of any size → calibrated probabilities float32 [N, classes].

        A picture is the path of an image file, a PIL image, or an array or tensor [H, W], [H, W, 1] or [H, W, 3] from
        0 (black) to 255. `ink` is dark, light, or auto, which finds out. Raises UserError for one that can't be read or
        is empty, ValueError for an array of another shape or range; both name it by its path, or its number from 0.
        UserError also if the network was trained on images of another size or with three channels.
        """
        self.require_characters()
        if isinstance(pictures, str | Path | Image.Image | np.ndarray | Tensor):
            raise ValueError(f"pictures is one {type(pictures).__name__}; give a list of pictures")
        if ink not in INKS:
            raise ValueError(f"ink={ink!r}: give {', '.join(INKS)}")
        images = [self._read_one(i, picture, ink) for i, picture in enumerate(pictures)]
        return self.predict(np.stack(images) if images else np.zeros((0, 28, 28), np.uint8))

    def _read_one(self, number: int, picture: Picture, ink: str) -> np.ndarray:
        """uint8 [28, 28]; errors name the picture."""
        try:
            return read_character(as_grey(picture), ink)
        except (UserError, ValueError) as error:
            name = str(picture) if isinstance(picture, str | Path) else f"picture {number}"
            raise type(error)(str(error) if str(error).startswith(name) else f"{name}: {error}") from error

    def probabilities(self, logits: Tensor, augment: int = 0) -> Tensor:
        """Calibrated, for logits of so many views: float [N, classes] → float [N, classes]."""
        return (logits / self.temperatures.get(augment, self.temperature)).softmax(1)

    def logits_of_views(self, images: Tensor | np.ndarray, augment: int) -> Tensor:
        """The logits if `augment` is 0, else the logarithm of the mean probability over the images and their views.

        Calibrated after they are averaged, probabilities are calibrated best (Rahaman and Thiery, 2021).
        """
        images = as_tensor(images)
        logits = self.logits(images)
        if augment == 0:
            return logits
        total = logits.log_softmax(1)
        for view in views(images, augment):
            total = total.logaddexp(self.logits(view).log_softmax(1))
        return total - math.log(1 + augment)

    @torch.inference_mode()
    def logits(self, images: Tensor | np.ndarray) -> Tensor:
        """uint8 [N, *array_shape] → logits float32 [N, classes], in 32-bit whatever the training precision was."""
        images = as_tensor(images)
        if images.dtype != torch.uint8 or images.shape[1:] != self.array_shape:
            wanted = ", ".join(map(str, ("N", *self.array_shape)))
            raise ValueError(f"images are {images.dtype} {list(images.shape)}; give uint8 [{wanted}]")
        device = next(self.network.parameters()).device
        batches = images.split(EVALUATION_BATCH)
        return torch.cat([self.network(normalize(batch.to(device), self.mean, self.std)).cpu() for batch in batches])


def as_tensor(images: Tensor | np.ndarray) -> Tensor:
    """Arrays with negative strides, such as mirrored ones, are copied."""
    return images if isinstance(images, Tensor) else torch.from_numpy(np.ascontiguousarray(images))


def load_run(folder: str | Path, device: str | torch.device = "cpu") -> TrainedClassifier:
    """The classifier from the best epoch (by validation accuracy) that the run in `folder` has reached so far.

    Checkpoints are read as tensors and plain values only, so loading a folder from the internet runs no code.
    Raises UserError if the folder holds no run with a finished epoch.
    """
    run = RunFolder(folder)
    path = run.best
    if not path.exists():
        raise UserError(f"{folder}: not the folder of a run with a finished epoch ({path} is missing)")
    classifier = classifier_in(read_checkpoint(path), path)
    classifier.network.to(device)
    result = run.read_result()
    if result is not None and result.temperature is not None:
        classifier.temperature = result.temperature
        if result.views_temperature is not None:
            classifier.temperatures[result.views] = result.views_temperature
    return classifier


def classifier_in(checkpoint: dict[str, Any], path: Path) -> TrainedClassifier:
    """The classifier in what was read from `path`, not calibrated. Raises UserError if there is none."""
    try:
        about = checkpoint["about"]
        shape = tuple(about.get("image_shape", GREY_28))  # which runs before version 0.6 don't state
        network = build_model(num_classes=len(about["classes"]), image_shape=shape, **about["model"])
        state, prefix = checkpoint["state_dict"], "network."
        network.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})
        return TrainedClassifier(network, tuple(about["classes"]), about["mean"], about["std"])
    except Exception as error:
        raise UserError(f"{path}: not a checkpoint of this project ({str(error).splitlines()[0]})") from error


def load_reader(folder: str | Path) -> TrainedClassifier:
    """As `load_run`. Raises UserError, naming the folder, for a network that doesn't read characters in pictures."""
    classifier = load_run(folder)
    try:
        classifier.require_characters()
    except UserError as error:
        raise UserError(f"{folder}: {error}") from error
    return classifier


def read_checkpoint(path: Path, device: Any = "cpu") -> dict[str, Any]:
    """Tensors and plain values, nothing that could run code.

    Raises UserError for a file with anything else, and for one that is not as it was written: by its SHA-256 if the run
    has stored it, else by the CRC-32 of its parts.
    """
    run = RunFolder(path.parent.parent)
    of_run = path in (run.best, run.last)
    known = of_run and run.verify(path)
    try:
        if not known:
            _check_parts(path)
        return torch.load(path, map_location=device, weights_only=True)
    except PermissionError as error:
        raise UserError(f"{path}: can't be read ({error.strerror})") from error
    except Exception as error:  # torch, pickle and zipfile raise various exceptions for truncated or altered files
        remedy = f"; {run.remedy(path)}" if of_run and not known else ""  # known: as it was written, memory may be full
        raise UserError(f"{path}: not a checkpoint of this project, or damaged{remedy}") from error


def _check_parts(path: Path) -> None:
    """Raises ValueError for a damaged file. torch.load doesn't look at CRC-32, and reads parts that are folders."""
    with ZipFile(path) as file:
        if file.testzip() is not None or any(part.external_attr & FOLDER for part in file.infolist()):
            raise ValueError("its parts are not as they were written")
