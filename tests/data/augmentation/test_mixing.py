"""Augmentations that mix images and labels."""

import pytest
import torch
import torch.nn.functional as F

from emnist.data.augmentation.cutmix import CutMix
from emnist.data.augmentation.mixup import Mixup
from emnist.data.batches import Batches
from emnist.training.metrics import EpochMetrics

IMAGES = torch.arange(10.0).mul(25).view(-1, 1, 1, 1).expand(-1, 1, 28, 28)  # a level of grey for each class
LABELS = torch.arange(10)
KINDS = [Mixup, CutMix]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("kind", KINDS)
def test_labels_are_mixed_as_much_as_images(kind):
    images, shares = kind(10, 1)(IMAGES, LABELS, generator())
    assert shares.shape == (10, 10)
    assert shares.sum(1) == pytest.approx(torch.ones(10))
    assert images.mean((1, 2, 3)) == pytest.approx(shares @ (25.0 * LABELS), abs=1e-3)
    assert (shares > 0).sum(1).max() == 2
    assert len({round(share, 5) for share in shares.amax(1).tolist()}) > 1  # each image its own


def test_mixup_fades_and_cutmix_pastes():
    images, _ = Mixup(10, 1)(IMAGES, LABELS, generator())
    assert all(len(image.unique()) == 1 for image in images.round(decimals=2))
    images, shares = CutMix(10, 1)(IMAGES, LABELS, generator())
    for image, share in zip(images, shares, strict=True):
        assert set(image.unique().tolist()) <= {25.0 * i for i in share.nonzero()[:, 0].tolist()}


@pytest.mark.parametrize("kind", KINDS)
def test_is_a_function_of_the_generator(kind):
    first, again, other = (kind(10, 1)(IMAGES, LABELS, generator(seed)) for seed in (1, 1, 2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])


@pytest.mark.parametrize("kind", KINDS)
def test_at_alpha_0_images_are_equal_to_the_bit(kind):
    images, shares = kind(10, 0)(IMAGES, LABELS, generator())
    assert torch.equal(images, IMAGES)
    assert torch.equal(shares, F.one_hot(LABELS, 10).float())


def test_a_small_alpha_mixes_little():
    _, shares = Mixup(10, 0.1)(IMAGES.repeat(50, 1, 1, 1), LABELS.repeat(50), generator())
    assert (shares.amax(1) > 0.9).float().mean() > 0.6


@pytest.mark.parametrize("kind", KINDS)
def test_batches_have_mixed_labels_in_training(kind):
    images = torch.randint(255, (40, 28, 28), dtype=torch.uint8, generator=generator())
    labels = torch.arange(40) % 10
    loader = Batches(images, labels, torch.arange(40), 16, mean=0.2, std=0.3, shuffle=True, augmentation=kind(10, 1))
    batches = list(loader)
    assert [tuple(batch[0].shape) for batch in batches] == [(16, 1, 28, 28), (16, 1, 28, 28), (8, 1, 28, 28)]
    assert [tuple(batch[1].shape) for batch in batches] == [(16, 10), (16, 10), (8, 10)]


def test_loss_is_that_of_the_mixture_and_accuracy_counts_the_dominant_label():
    logits = torch.tensor([[2.0, 0.0, 1.0], [0.0, 3.0, 1.0], [0.0, 0.0, 1.0]])
    shares = torch.tensor([[0.7, 0.3, 0.0], [0.6, 0.4, 0.0], [0.0, 0.0, 1.0]])
    metrics = EpochMetrics(3)(logits, shares)
    assert metrics["loss"] == pytest.approx(-(shares * logits.log_softmax(1)).sum(1).mean().item())
    assert metrics["accuracy"] == pytest.approx(2 / 3)
    unmixed = EpochMetrics(3)(logits, F.one_hot(torch.tensor([0, 1, 2]), 3).float())
    assert unmixed == pytest.approx(EpochMetrics(3)(logits, torch.tensor([0, 1, 2])))
