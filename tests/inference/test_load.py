import os

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import emnist
from emnist.errors import UserError
from tests.fixtures.jobs import train_in


def test_loaded_run_predicts_as_it_did(trained, characters):
    images = characters.test_images
    classifier = emnist.load_run(trained.path)
    probabilities = classifier.predict(images)
    assert probabilities.dtype == torch.float32
    assert len(classifier.classes) == 47
    assert torch.allclose(probabilities.sum(1), torch.ones(470), atol=1e-5)
    with np.load(trained.predictions) as saved:
        assert np.array_equal(saved["probabilities"], probabilities.numpy())
    assert torch.equal(classifier.predict(images.numpy()), probabilities)
    flipped = classifier.predict(images.flip(2))
    assert torch.equal(classifier.predict(images.numpy()[:, :, ::-1]), flipped)


@pytest.mark.parametrize("images", [torch.zeros(3, 28, 28), torch.zeros(3, 27, 28, dtype=torch.uint8)])
def test_loaded_run_refuses_other_images(trained, images):
    with pytest.raises(ValueError, match=r"give uint8 \[N, 28, 28\]"):
        emnist.load_run(trained.path).predict(images)


def test_augmented_predictions_are_the_mean_over_fixed_views(trained, characters):
    images = characters.test_images[:600]
    classifier = emnist.load_run(trained.path)
    assert torch.equal(classifier.predict(images, augment=0), classifier.predict(images))
    wide = F.pad(images, (1, 1, 1, 1))
    right, left, down, up = wide[:, 1:-1, :28], wide[:, 1:-1, 2:], wide[:, :28, 1:-1], wide[:, 2:, 1:-1]
    for count in (1, 2, 3, 4):
        seen = [images, right, left, down, up][: 1 + count]
        mean = sum(classifier.logits(view).softmax(1) for view in seen) / len(seen)
        calibrated = (mean.log() / classifier.temperature).softmax(1)
        torch.testing.assert_close(classifier.predict(images, augment=count), calibrated)
    every = classifier.predict(images.numpy(), augment=8)
    assert torch.equal(every, classifier.predict(images, augment=8))
    assert torch.allclose(every.sum(1), torch.ones(len(images)), atol=1e-5)
    assert (every.argmax(1) == classifier.predict(images).argmax(1)).float().mean() > 0.7


@pytest.mark.parametrize("augment", [-1, 9, 1.5])
def test_no_other_number_of_views(trained, characters, augment):
    with pytest.raises(ValueError, match=f"augment={augment}: give 0 to 8"):
        emnist.load_run(trained.path).predict(characters.test_images, augment=augment)


def test_checkpoint_of_a_stranger_runs_no_code(small, tmp_path):
    class Attack:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "owned"),))

    for name in ("best", "last"):
        path = tmp_path / "checkpoints" / f"{name}.ckpt"
        path.parent.mkdir(exist_ok=True)
        torch.save({"state_dict": {}, "about": Attack()}, path)
    with pytest.raises(UserError, match="best.ckpt: not a checkpoint of this project"):
        emnist.load_run(tmp_path)
    with pytest.raises(UserError, match="last.ckpt: not a checkpoint of this project"):
        train_in(tmp_path, *small, resume=True)
    assert not (tmp_path / "owned").exists()


def test_no_run_to_load(tmp_path):
    with pytest.raises(UserError, match="not the folder of a run with a finished epoch"):
        emnist.load_run(tmp_path)
