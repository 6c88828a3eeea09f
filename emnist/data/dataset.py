import hashlib
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Dataset:
    """A training set and a test set of upright grey images, in memory once.

    Images are uint8 [N, 28, 28], 0 = paper, 255 = ink; labels are int64 [N], an index into `classes`.
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
    placed: dict[torch.device, tuple[Tensor, ...]] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def fingerprint(self) -> str:
        """sha256 of all images and labels, which identifies the data wherever it is stored."""
        digest = hashlib.sha256()
        for tensor in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            digest.update(tensor.numpy().data)
        return digest.hexdigest()

    @cached_property
    def moments(self) -> tuple[Tensor, Tensor]:
        """Sum of the pixels and of their squares, per training image: float64 [N] each, pixels in [0, 1]."""
        sums, squares = [], []
        for chunk in self.train_images.flatten(1).split(4096):  # 13 MB of floats at a time
            pixels = chunk.float() / 255
            sums.append(pixels.sum(1).double())
            squares.append(pixels.square().sum(1).double())
        return torch.cat(sums), torch.cat(squares)

    def mean_and_std(self, indices: Tensor) -> tuple[float, float]:
        """Mean and standard deviation of the pixels of these training images, pixels in [0, 1]."""
        sums, squares = (moment[indices].sum() for moment in self.moments)
        pixels = len(indices) * self.train_images[0].numel()
        mean = sums / pixels
        return mean.item(), (squares / pixels - mean**2).sqrt().item()

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
