import math

import pytest
import torch
import torch.nn.functional as F

from emnist.data.augmentation import build_augmentation
from emnist.data.augmentation.affine import Affine, affine_map
from emnist.data.augmentation.geometry import resting
from emnist.errors import UserError

IMAGE = torch.zeros(1, 1, 28, 28)
IMAGE[:, :, 10:18, 12:16] = 1.0


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_without_limits_nothing_changes():
    assert torch.equal(Affine(0, 0, 0, 0)(IMAGE, generator()), IMAGE)


def test_every_image_gets_its_own_map():
    images = Affine(10, 2, 0.1, 10)(IMAGE.repeat(8, 1, 1, 1), generator())
    assert images.shape == (8, 1, 28, 28)
    assert len({image.numpy().tobytes() for image in images}) == 8


def test_is_a_function_of_the_generator():
    augment, batch = Affine(10, 2, 0.1, 10), IMAGE.repeat(4, 1, 1, 1)
    assert torch.equal(augment(batch, generator(1)), augment(batch, generator(1)))
    assert not torch.equal(augment(batch, generator(1)), augment(batch, generator(2)))


def center(images: torch.Tensor) -> torch.Tensor:
    """Centre of mass in pixels: [B, 2], down and right."""
    mass = images[:, 0] / images.sum((1, 2, 3)).view(-1, 1, 1)
    steps = torch.arange(28.0)
    return torch.stack([(mass.sum(2) * steps).sum(1), (mass.sum(1) * steps).sum(1)], 1)


def test_shift_is_in_pixels_and_within_its_limit():
    moved = center(Affine(0, 2, 0, 0)(IMAGE.repeat(500, 1, 1, 1), generator())) - center(IMAGE)
    assert moved.abs().max() <= 2.01
    assert moved.abs().max() > 1.8
    assert moved.mean().abs() < 0.2


def test_shift_is_in_pixels_whatever_else_happens():
    moved = center(Affine(0, 2, 0.5, 0)(IMAGE.repeat(500, 1, 1, 1), generator())) - center(IMAGE)
    assert moved.abs().max() <= 2.1


def test_where_a_map_takes_an_image():
    zero, points = torch.zeros(1), resting(IMAGE)

    def moved(image: torch.Tensor, angle: float = 0, left: float = 0, up: float = 0) -> torch.Tensor:
        given = [torch.tensor([angle]), zero, zero, torch.tensor([left]), torch.tensor([up])]
        return F.grid_sample(image, affine_map(points, *given), align_corners=False)

    assert torch.allclose(center(moved(IMAGE, left=3, up=1)) - center(IMAGE), torch.tensor([-1.0, -3.0]), atol=1e-4)
    corner = F.pad(IMAGE[:, :, 8:20, 10:18], (20, 0, 0, 16))  # at the upper right
    quarter = moved(corner, angle=math.pi / 2)
    torch.testing.assert_close(quarter, corner.rot90(1, (2, 3)), atol=1e-4, rtol=0)  # anticlockwise


def test_scale_is_within_its_limit():
    area = Affine(0, 0, 0.1, 0)(IMAGE.repeat(500, 1, 1, 1), generator()).sum((1, 2, 3)) / IMAGE.sum()
    assert 0.9**2 - 0.03 < area.min() < 0.85
    assert 1.17 < area.max() < 1.1**2 + 0.03


def test_rotation_turns_about_the_middle():
    turned = Affine(90, 0, 0, 0)(IMAGE.repeat(200, 1, 1, 1), generator())
    wide = turned[:, 0].amax(1).gt(0.5).sum(1)  # columns with ink: 4 upright, 8 lying
    assert wide.min() >= 3
    assert wide.max() >= 8


@pytest.mark.parametrize(
    ("limits", "key"), [((200, 0, 0, 0), "rotation"), ((0, -1, 0, 0), "shift"), ((0, 0, 1, 0), "scale")]
)
def test_invalid_limits_are_named(limits, key):
    with pytest.raises(UserError, match=f"augmentation.{key}="):
        build_augmentation(47, "affine", **dict(zip(("rotation", "shift", "scale", "shear"), limits, strict=True)))
