import pytest
import torch

from emnist.data.augmentation.affine import Affine
from emnist.data.batches import Batches

IMAGES = torch.arange(100, dtype=torch.uint8).view(-1, 1, 1).repeat(1, 28, 28)
LABELS = torch.arange(100)


def batches(indices=None, batch_size=32, **arguments) -> Batches:
    indices = torch.arange(100) if indices is None else indices
    return Batches(IMAGES, LABELS, indices, batch_size, mean=0.25, std=0.5, **arguments)


def seen(loader: Batches) -> list[int]:
    return [label for _, labels in loader for label in labels.tolist()]


def test_shapes_and_normalisation():
    images, labels = next(iter(batches()))
    assert images.shape == (32, 1, 28, 28)
    assert images.dtype == torch.float32
    assert images[7, 0, 3, 3].item() == pytest.approx((7 / 255 - 0.25) / 0.5, abs=1e-6)
    assert labels.tolist() == list(range(32))


def test_one_pass_sees_each_chosen_image_once():
    chosen = torch.arange(0, 100, 3)
    assert seen(batches(chosen)) == chosen.tolist()
    shuffled = seen(batches(chosen, shuffle=True))
    assert shuffled != chosen.tolist()
    assert sorted(shuffled) == chosen.tolist()
    assert len(list(batches(chosen))) == len(batches(chosen)) == 2


def test_images_stay_with_their_labels():
    for images, labels in batches(shuffle=True):
        pixels = (images[:, 0, 0, 0] * 0.5 + 0.25) * 255
        assert torch.allclose(pixels, labels.float(), atol=1e-3)


def test_order_is_a_function_of_seed_and_epoch():
    def order(seed, epoch):
        return seen(batches(shuffle=True, seed=seed, epoch=lambda: epoch))

    assert order(0, 1) == order(0, 1)
    assert len({tuple(order(seed, epoch)) for seed in range(3) for epoch in range(3)}) == 9


def test_ranks_share_a_pass():
    parts = [seen(batches(batch_size=10, shuffle=True, rank=rank, world_size=3)) for rank in range(3)]
    assert [len(part) for part in parts] == [33, 33, 33]
    assert len(set().union(*parts)) == 99
    assert seen(batches(rank=1, world_size=3)) == list(range(100))  # evaluation is not shared out


def test_no_training_batch_of_one():
    """Batch norm can't train on it."""
    sizes = [len(labels) for _, labels in batches(batch_size=33, shuffle=True)]
    assert sizes == [33, 33, 33]
    assert [len(labels) for _, labels in batches(batch_size=33)] == [33, 33, 33, 1]
    assert len(seen(batches(batch_size=1, shuffle=True))) == 100


def test_augmentation_leaves_paper_as_paper():
    """Outside the image is paper (0), not the grey that normalisation makes of 0."""
    blank = Batches(
        torch.zeros(4, 28, 28, dtype=torch.uint8),
        LABELS[:4],
        torch.arange(4),
        4,
        0.25,
        0.5,
        shuffle=True,
        augmentation=Affine(45, 5, 0.2, 10),
    )
    images, _ = next(iter(blank))
    assert torch.allclose(images, torch.tensor(-0.5))
