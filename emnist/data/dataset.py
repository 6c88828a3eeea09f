import hashlib
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

CHUNK = 4096 * 28 * 28  # pixels that become floats at a time: 13 MB


@dataclass(frozen=True)
class Dataset:
    """A training set and a test set of upright images, in memory once.

    Images are uint8, grey [N, H, W] or of three channels [N, 3, H, W]; of characters, 0 = paper and 255 = ink. Labels
    are int64 [N], an index into `classes`. Groups, if the data has them, are int64 [N]: images with the same number
    belong together, such as those of one writer. Files, if each image has its own, are their paths.
    """

    name: str
    split: str
    classes: tuple[str, ...]
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    official: bool | None  # None: unknown
    kind: str  # `official` in words
    train_groups: Tensor | None = None
    test_groups: Tensor | None = None
    train_files: tuple[str, ...] = ()
    test_files: tuple[str, ...] = ()
    placed: dict[torch.device, tuple[Tensor, ...]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Channels, height and width."""
        *channels, height, width = self.train_images.shape[1:]
        return (channels[0] if channels else 1), height, width

    @cached_property
    def class_counts(self) -> tuple[Tensor, Tensor]:
        """Training and test images of each class: int64 [classes] each."""
        train, test = (
            torch.bincount(part, minlength=len(self.classes)) for part in (self.train_labels, self.test_labels)
        )
        return train, test

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of all images, labels and groups, which identifies the data wherever it is stored."""
        digest = hashlib.sha256()
        parts = (self.train_images, self.train_labels, self.test_images, self.test_labels)
        for tensor in (*parts, self.train_groups, self.test_groups):
            if tensor is not None:
                digest.update(tensor.numpy().data)
        return digest.hexdigest()

    @cached_property
    def moments(self) -> tuple[Tensor, Tensor]:
        """Sum of the pixels and of their squares, per training image: float64 [N] each, pixels in [0, 1].

        Of colour images per channel: float64 [N, 3].
        """
        sums, squares = [], []
        for chunk in self.train_images.flatten(-2).split(max(1, CHUNK // self.train_images[0].numel())):
            pixels = chunk.float() / 255
            sums.append(pixels.sum(-1).double())
            squares.append(pixels.square().sum(-1).double())
        return torch.cat(sums), torch.cat(squares)

    def mean_and_std(self, indices: Tensor) -> tuple[float | list[float], float | list[float]]:
        """Mean and standard deviation of the pixels of these training images, pixels in [0, 1].

        Of colour images a list, one a channel. The deviation of a channel that is the same everywhere is given as 1.
        """
        sums, squares = (moment[indices].sum(0) for moment in self.moments)
        pixels = len(indices) * self.image_shape[1] * self.image_shape[2]
        mean = sums / pixels
        std = (squares / pixels - mean**2).clamp_min(0).sqrt()
        return mean.tolist(), torch.where(std > 0, std, 1.0).tolist()

    def on(self, device: torch.device) -> tuple[Tensor, ...]:
        """Training images and labels, test images and labels on a device, copied there once.

        The whole set is 22 MB for a quarter of EMNIST Balanced; a CPU needs no copy.
        """
        if device not in self.placed:
            tensors = self.train_images, self.train_labels, self.test_images, self.test_labels
            self.placed[device] = tuple(tensor.to(device) for tensor in tensors)
        return self.placed[device]

    def describe(self) -> str:
        return f"{self.name}, {len(self.train_labels):,} + {len(self.test_labels):,} images, {self.kind}"
