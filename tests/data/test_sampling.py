import pytest
import torch

from emnist.data.batches import Batches
from emnist.data.sampling import BalancedOrder

LABELS = torch.tensor([0] * 90 + [1] * 25 + [3] * 5)[torch.randperm(120, generator=torch.Generator().manual_seed(0))]


def draw(seed: int = 0) -> torch.Tensor:
    return BalancedOrder(LABELS)(torch.Generator().manual_seed(seed))


def test_every_class_comes_equally_often_in_an_epoch_of_the_same_length():
    positions = draw()
    assert len(positions) == 120
    assert torch.bincount(LABELS[positions]).tolist() == [40, 40, 0, 40]


def test_images_of_a_class_come_equally_often():
    times = torch.bincount(draw(), minlength=120)
    assert times[LABELS == 0].max() == 1  # 40 of 90
    assert times[LABELS == 1].unique().tolist() == [1, 2]
    assert times[LABELS == 3].unique().tolist() == [8]


def test_each_epoch_draws_others_in_another_order():
    first, second = draw(0), draw(1)
    assert torch.equal(first, draw(0))
    of_the_large = [set(positions[LABELS[positions] == 0].tolist()) for positions in (first, second)]
    assert of_the_large[0] != of_the_large[1]
    assert len(LABELS[first[:30]].unique()) == 3  # shuffled


def test_what_does_not_divide_goes_to_some_classes():
    labels = torch.arange(11) % 3
    order = BalancedOrder(labels)
    counts = [torch.bincount(labels[order(torch.Generator().manual_seed(seed))]).tolist() for seed in range(20)]
    assert all(sorted(count) == [3, 4, 4] for count in counts)
    assert len(set(map(tuple, counts))) == 3


@pytest.mark.parametrize("world_size", [1, 2])
def test_batches(world_size):
    images = torch.zeros(120, 4, 4, dtype=torch.uint8)
    indices = torch.arange(120)[LABELS != 3]

    def seen(epoch: int, rank: int) -> list[int]:
        loader = Batches(
            images, LABELS, indices, 16, 0.5, 0.5, True, None, 3, lambda: epoch, rank, world_size, balanced=True
        )
        return torch.cat([labels for _, labels in loader]).tolist()

    labels = [label for rank in range(world_size) for label in seen(0, rank)]
    assert set(labels) == {0, 1}
    assert abs(labels.count(0) - labels.count(1)) <= 2  # one of the 115 is no one's with two ranks
    assert 114 <= len(labels) <= 115
    assert seen(0, 0) == seen(0, 0) != seen(1, 0)
