"""Images that a data set holds twice: equal ones, and nearly equal ones in training and test set."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from emnist.data.dataset import Dataset

# Of the distance that is typical of the nearest two images of a class. Of the 4,700 test images of a quarter of EMNIST
# Balanced, which share no image with the 28,200 for training, the nearest ones are at 0.49 and more; of copies below
# 0.4 are: all that are shifted by a pixel or have half the contrast, 94% of those with noise of 5%, half of those
# turned by 3° or enlarged by 5%, 1% of those shifted by half a pixel both ways.
NEAR = 0.4
SEARCHED = 0.6  # pairs up to here are found, to show what is just not near
SAMPLED = 200  # images a class, for the typical distance
LARGEST = 32  # pixels of a side; larger images are compared when made smaller
COMPONENTS = 64  # 93% of what is in EMNIST; with 32 or 96 the search is slower
COMPONENTS_FROM = 4096  # images
TEST_BLOCK, TRAIN_BLOCK = 64, 8192  # images: their scores are 19 MB
EQUAL = 1 - 1e-5  # cosine


@dataclass(frozen=True)
class NearPairs:
    """Test images, each with the training image that is nearest to it; the nearest pairs first."""

    test: np.ndarray  # int64 [P]
    train: np.ndarray  # int64 [P]
    distance: np.ndarray  # float32 [P]; 1: as far apart as the nearest two images of a class typically are

    def __getitem__(self, chosen: np.ndarray | slice) -> "NearPairs":
        return NearPairs(self.test[chosen], self.train[chosen], self.distance[chosen])

    def __len__(self) -> int:
        return len(self.test)


def repeats(images: Tensor) -> np.ndarray:
    """Each image that is equal to one before it, with the first such: int64 [P, 2]."""
    first: dict[bytes, int] = {}
    pairs = [(i, first.setdefault(digest, i)) for i, digest in enumerate(_digests(images))]
    return _pairs([(i, j) for i, j in pairs if i != j])


def copies(images: Tensor, originals: Tensor) -> np.ndarray:
    """Each image that is equal to one of `originals`, with the first such: int64 [P, 2]."""
    first: dict[bytes, int] = {}
    for i, digest in enumerate(_digests(originals)):
        first.setdefault(digest, i)
    return _pairs([(i, first[digest]) for i, digest in enumerate(_digests(images)) if digest in first])


def _digests(images: Tensor) -> list[bytes]:
    return [hashlib.blake2b(image.data, digest_size=16).digest() for image in images.contiguous().numpy()]


def _pairs(pairs: list[tuple[int, int]]) -> np.ndarray:
    return np.array(pairs, np.int64).reshape(-1, 2)


def near_duplicates(
    data: Dataset, limit: float = SEARCHED, track: Callable[[range], Iterable[int]] = iter
) -> NearPairs:
    """The test images that have a training image nearer than `limit`, with the nearest; equal ones are among them.

    The distance is the Euclidean one of two images of unit norm, the least over shifts of the test image by up to a
    pixel, divided by the typical distance in the class of the one or the other, whichever is smaller.

    All pairs are compared, most of them by a bound alone: the cosine of two images is at most that of their principal
    components plus the product of the norms of what these leave of each. For a quarter of EMNIST Balanced (4,700 test
    and 28,200 training images) that takes 4 s on a core instead of 35, for one of ByMerge (30,529 and 183,180) 150 s.
    `track` is passed the range of the loop over the test images, to show progress.
    """
    scales = typical_distances(data.train_images, data.train_labels, len(data.classes))
    basis = principal_components(data.train_images)
    features = torch.cat([project(vectors(some), basis) for some in data.train_images.split(TRAIN_BLOCK)])
    found: list[tuple[int, int, float]] = []  # not small tensors, between which the heap would grow by 19 MB a block
    for start in track(range(0, len(data.test_images), TEST_BLOCK)):
        queries = shifted(data.test_images[start : start + TEST_BLOCK])
        shifts, queries = queries.shape[1], queries.flatten(0, 1)
        projected = project(queries, basis)
        scale = scales[data.test_labels[start : start + TEST_BLOCK]].repeat_interleave(shifts)
        least = 1 - (limit * scale).square() / 2 - 1e-5  # cosine; less for rounding errors
        for offset in range(0, len(features), TRAIN_BLOCK):
            scores = projected @ features[offset : offset + TRAIN_BLOCK].T
            for hits in (scores > least[:, None]).nonzero().split(TRAIN_BLOCK):
                query, train = hits[:, 0], hits[:, 1] + offset
                distance = (queries[query] - vectors(data.train_images[train])).norm(dim=1)
                distance /= torch.minimum(scale[query], scales[data.train_labels[train]])
                near = distance < limit
                test = start + query[near] // shifts
                found += zip(test.tolist(), train[near].tolist(), distance[near].tolist(), strict=True)
    pairs = np.array(found, [("test", np.int64), ("train", np.int64), ("distance", np.float32)])
    pairs = np.sort(pairs, order=["distance", "train"])
    _, first = np.unique(pairs["test"], return_index=True)
    nearest = pairs[np.sort(first)]
    return NearPairs(*(np.ascontiguousarray(nearest[name]) for name in ("test", "train", "distance")))


def typical_distances(images: Tensor, labels: Tensor, classes: int) -> Tensor:
    """The median distance of an image to the nearest other of its class, not equal to it: float32 [classes].

    Of training images, so that copies of them in the test set don't matter. Classes with too few images for it get the
    median of the others; it is 0 if there are none.
    """
    scales = torch.full((classes,), torch.nan)
    for label in range(classes):
        own = images[labels == label]
        all_vectors = vectors(own)
        nearest = []
        for some in own[:: -(-len(own) // SAMPLED)].split(TEST_BLOCK) if len(own) else ():
            cosines = (shifted(some).flatten(0, 1) @ all_vectors.T).unflatten(0, (len(some), -1)).amax(1)
            nearest.append(cosines.masked_fill(cosines > EQUAL, -torch.inf).amax(1))
        if nearest:
            cosine = torch.cat(nearest)
            cosine = cosine[cosine.isfinite()]
            if len(cosine):
                scales[label] = (2 - 2 * cosine.median()).sqrt()
    return torch.where(scales.isnan(), scales.nanmedian().nan_to_num(0), scales)


def vectors(images: Tensor) -> Tensor:
    """uint8 [N, H, W] or [N, C, H, W] → float32 [N, pixels] of norm 1, or 0 for empty images."""
    return F.normalize(_small(images).flatten(1), dim=1)


def shifted(images: Tensor) -> Tensor:
    """Each image as it is and shifted by a pixel in all 8 directions: float32 [N, 9, pixels] of norm 1."""
    small = _small(images)
    height, width = small.shape[-2:]
    padded = F.pad(small, (1, 1, 1, 1))
    moved = [padded[..., y : y + height, x : x + width] for y in range(3) for x in range(3)]
    return F.normalize(torch.stack(moved, 1).flatten(2), dim=2)


def _small(images: Tensor) -> Tensor:
    """float32 [N, C, H, W] of at most LARGEST pixels a side."""
    height, width = images.shape[-2:]
    channels = (images.unsqueeze(1) if images.ndim == 3 else images).float()
    if max(height, width) <= LARGEST:
        return channels
    times = LARGEST / max(height, width)
    return F.interpolate(channels, (max(1, round(times * height)), max(1, round(times * width))), mode="area")


def principal_components(images: Tensor) -> Tensor:
    """Orthonormal directions in which images vary most about 0, of unit norm each: float32 [pixels, components]."""
    some = vectors(images[:: -(-len(images) // COMPONENTS_FROM)])
    return torch.linalg.eigh(some.T @ some)[1][:, -COMPONENTS:]


def project(unit: Tensor, basis: Tensor) -> Tensor:
    """Components in `basis` and the norm of what they leave: float32 [N, components + 1]."""
    components = unit @ basis
    rest = (unit.square().sum(1) - components.square().sum(1)).clamp(min=0).sqrt()
    return torch.cat([components, rest[:, None]], 1)
