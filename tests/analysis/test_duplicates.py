from dataclasses import replace

import numpy as np
import pytest
import torch

from emnist.analysis.duplicates import NEAR, copies, near_duplicates, repeats, shifted, typical_distances, vectors

TEST, TRAIN = 7, 11  # a planted pair


def planted(data, image):
    """The data with this image in place of a test image."""
    images = data.test_images.clone()
    images[TEST] = image
    labels = data.test_labels.clone()
    labels[TEST] = data.train_labels[TRAIN]
    return replace(data, test_images=images, test_labels=labels)


def near(data):
    pairs = near_duplicates(data)
    return {
        test: (train, distance) for test, train, distance in zip(pairs.test, pairs.train, pairs.distance, strict=True)
    }


def test_equal_images(characters):
    images = characters.train_images[:6].clone()
    images[3], images[4], images[5] = images[1], images[0], images[1]
    assert repeats(images).tolist() == [[3, 1], [4, 0], [5, 1]]
    assert copies(images[1:4], images).tolist() == [[0, 1], [1, 2], [2, 1]]
    assert repeats(images[:3]).shape == copies(images[:1], images[1:3]).shape == (0, 2)


@pytest.mark.parametrize(
    "copied",
    [
        lambda image: image,
        lambda image: image.roll((1, -1), (0, 1)),
        lambda image: image // 2,
        lambda image: (
            (image.float() + 5 * torch.randn(28, 28, generator=torch.Generator().manual_seed(0))).clamp(0, 255).byte()
        ),
    ],
    ids=["equal", "shifted", "lighter", "noisy"],
)
def test_copies_are_near(characters, copied):
    train, distance = near(planted(characters, copied(characters.train_images[TRAIN])))[TEST]
    assert train == TRAIN
    assert distance < NEAR


def test_other_images_are_not(characters):
    far = characters.train_images[TRAIN].roll((4, 4), (0, 1))
    assert near(planted(characters, far)).get(TEST, (0, 1))[1] > NEAR


def test_the_bound_leaves_out_no_pair(characters):
    data = replace(characters, test_images=characters.test_images[:94], test_labels=characters.test_labels[:94])
    pairs = near_duplicates(data, limit=0.9)
    moved, originals = shifted(data.test_images).flatten(0, 1), vectors(data.train_images)
    distances = torch.cdist(moved, originals, compute_mode="donot_use_mm_for_euclid_dist").view(94, 9, -1).amin(1)
    scales = typical_distances(data.train_images, data.train_labels, 47)
    distances /= torch.minimum(scales[data.test_labels][:, None], scales[data.train_labels])
    least, nearest = distances.min(1)
    expected = least.argsort()[: (least < 0.9).sum()]
    assert 10 < len(expected) < 90
    assert pairs.test.tolist() == expected.tolist()
    assert pairs.train.tolist() == nearest[expected].tolist()
    assert np.allclose(pairs.distance, least[expected], atol=1e-5)


def test_images_in_colour_and_of_other_sizes(characters):
    def enlarged(images):
        colours = images[:, None].repeat(1, 3, 1, 1)
        return torch.nn.functional.interpolate(colours, (56, 48))

    few = planted(characters, characters.train_images[TRAIN])
    large = replace(few, train_images=enlarged(few.train_images[:470]), train_labels=few.train_labels[:470])
    large = replace(large, test_images=enlarged(few.test_images[:20]), test_labels=few.test_labels[:20])
    assert near(large)[TEST] == (TRAIN, pytest.approx(0, abs=0.01))


def test_a_training_set_of_one_image_a_class(characters):
    chosen = torch.tensor([(characters.train_labels == label).nonzero()[0, 0] for label in range(47)])
    data = replace(
        characters, train_images=characters.train_images[chosen], train_labels=characters.train_labels[chosen]
    )
    assert len(near_duplicates(data)) == 0


def test_empty_images_are_near_nothing(characters):
    data = replace(characters, train_images=torch.zeros_like(characters.train_images))
    assert len(near_duplicates(data)) == 0
