import os

import numpy as np
import pytest
import torch

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
