"""A run whose final test averages over views of each image."""

import numpy as np
import pytest
import torch

import emnist
from emnist.checks import validate
from emnist.errors import UserError
from emnist.inference.calibration import fit_temperature
from emnist.inference.images import images_of
from emnist.inference.views import VIEWS
from emnist.runs.config import MOST_VIEWS, Evaluation
from emnist.runs.folder import RunFolder
from emnist.training.metrics import EpochMetrics
from tests.fixtures.jobs import train_in

COUNT = 2


@pytest.fixture(scope="module")
def viewed(small, tmp_path_factory) -> RunFolder:
    folder = tmp_path_factory.mktemp("viewed")
    train_in(folder, *small, f"evaluation.views={COUNT}")
    return RunFolder(folder)


def test_training_and_the_network_alone_stay_the_same(viewed, trained_small):
    plain = RunFolder(trained_small)
    assert viewed.metrics.read_bytes() == plain.metrics.read_bytes()
    ours, theirs = viewed.read_result(), plain.read_result()
    assert ours.temperature == theirs.temperature
    assert theirs.views_temperature is None
    assert ours.test_loss != theirs.test_loss
    alone, before = emnist.load_run(viewed.path), emnist.load_run(plain.path)
    images = torch.randint(256, (9, 28, 28), dtype=torch.uint8)
    assert torch.equal(alone.predict(images), before.predict(images))


def test_the_test_is_of_the_averaged_probabilities(viewed, characters):
    classifier, result = emnist.load_run(viewed.path), viewed.read_result()
    probabilities = classifier.predict(characters.test_images, augment=COUNT)
    with np.load(viewed.predictions) as saved:
        np.testing.assert_allclose(saved["probabilities"], probabilities, atol=1e-6)
        assert np.array_equal(saved["predicted"], probabilities.argmax(1))
    shifted = torch.stack([characters.test_images, *moved(characters.test_images)])
    mean = torch.stack([classifier.logits(images).softmax(1) for images in shifted]).mean(0)
    metrics = EpochMetrics(47)(mean.log(), characters.test_labels)
    for name, value in metrics.items():
        assert getattr(result, f"test_{name}") == pytest.approx(value, abs=1e-5), name


def test_temperature_and_validation_accuracy_are_of_the_same_views(viewed, characters):
    classifier, result = emnist.load_run(viewed.path), viewed.read_result()
    labels, predicted = viewed.read_validation()
    assert (labels == predicted).mean() == result.val_accuracy
    data = images_of(result)
    images = data.dataset.train_images[data.val_indices]
    logits = classifier.logits_of_views(images, COUNT)
    assert result.views_temperature == pytest.approx(fit_temperature(logits, torch.from_numpy(labels)), rel=1e-4)
    assert result.views_temperature < result.temperature  # averages are less sure of themselves
    assert np.array_equal(logits.argmax(1), predicted)


def moved(images: torch.Tensor) -> list[torch.Tensor]:
    """The first two views: a pixel to the right, and to the left."""
    pad = torch.nn.functional.pad
    return [pad(images, (1, -1)), pad(images, (-1, 1))]


def test_the_number_of_views_is_checked():
    assert len(VIEWS) == MOST_VIEWS
    with pytest.raises(UserError, match="views=9: must be less than or equal to 8"):
        validate(Evaluation, {"views": 9})
