"""How far images move, on images of a few pixels whose distances are known."""

import pytest
import torch

from emnist.analysis.movement import movement


def pictures(*values: float) -> torch.Tensor:
    """An image of two pixels for each, the second 0: float [N, 1, 1, 2]."""
    return torch.tensor([[[[value, 0.0]]] for value in values])


IMAGES = pictures(0, 10, 100, 106, 108, 200).byte()
LABELS = torch.tensor([0, 0, 1, 1, 0, 2])


def test_movement_against_the_distance_to_the_class():
    m = movement(IMAGES, LABELS, pictures(2, 13, 104), LABELS[:3])
    assert (m.images, m.among) == (3, 6)
    assert m.moved == 3  # of 2, 3 and 4
    assert m.to_class == 10  # of 10, 10 and 6
    assert m.relative == pytest.approx(0.3)  # of 0.2, 0.3 and 0.67


def test_images_that_come_nearer_to_another_class():
    m = movement(IMAGES, LABELS, pictures(0, 90, 107.5), LABELS[:3])
    assert m.other_class == 0
    assert m.other_class_augmented == pytest.approx(2 / 3)  # 10 becomes 90, beside 100; 107.5 is beside 108


def test_the_class_of_a_mixed_image_is_that_of_its_labels():
    m = movement(IMAGES, LABELS, pictures(99), torch.tensor([1]))
    assert m.other_class_augmented == 0


def test_the_image_itself_is_not_its_nearest():
    m = movement(IMAGES, LABELS, pictures(0.0), LABELS[:1])
    assert (m.moved, m.relative, m.other_class_augmented) == (0, 0, 0)


def test_without_two_images_of_a_class_there_is_no_distance_to_it():
    m = movement(IMAGES[[0, 2, 5]], torch.arange(3), pictures(4), torch.tensor([0]))
    assert (m.to_class, m.relative, m.moved) == (None, None, 4)
