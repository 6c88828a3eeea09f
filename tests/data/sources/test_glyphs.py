from functools import cache

import numpy as np
import pytest
import torch

from emnist.data.sources import glyphs, load_dataset
from emnist.data.sources.emnist import MERGED
from emnist.data.sources.glyphs import draw, load_glyphs
from emnist.errors import UserError
from tests.fixtures.damage import flipped


def test_has_the_classes_of_balanced_in_equal_numbers(tmp_path):
    data = load_glyphs(str(tmp_path), 0, 4, 2)
    assert "".join(data.classes) == MERGED
    assert data.train_images.shape == (4 * 47, 28, 28)
    assert data.test_images.dtype == torch.uint8
    assert data.train_labels.bincount().tolist() == [4] * 47
    assert data.test_labels.bincount().tolist() == [2] * 47
    assert "not EMNIST" in data.describe()


def test_drawing_is_a_function_of_the_seed():
    assert torch.equal(draw(2, seed=3), draw(2, seed=3))
    assert not torch.equal(draw(2, seed=3), draw(2, seed=4))


def test_every_image_is_different_and_none_is_empty():
    images = draw(6, seed=0).flatten(0, 1)
    assert len({image.numpy().tobytes() for image in images}) == len(images)
    assert images.flatten(1).amax(1).min() > 30


def test_is_kept_for_the_next_time(tmp_path, monkeypatch):
    first = load_glyphs(str(tmp_path), 0, 2, 1)
    glyphs._load.cache_clear()
    monkeypatch.setattr(glyphs, "draw", None)  # may not be called
    again = load_glyphs(str(tmp_path), 0, 2, 1)
    assert first.fingerprint == again.fingerprint


def test_a_damaged_file_is_named_and_drawn_again(tmp_path, caplog, monkeypatch):
    """Whatever bytes change: the images are those that were drawn."""
    monkeypatch.setattr(glyphs, "draw", cache(draw))  # drawing takes a second
    first = load_glyphs(str(tmp_path), 0, 3, 1)
    (kept,) = tmp_path.glob("glyphs/*.npz")
    whole, warned = kept.read_bytes(), 0
    for damaged in (*flipped(whole, 150), whole[:1000], b""):
        kept.write_bytes(damaged)
        glyphs._load.cache_clear()
        caplog.clear()
        again = load_glyphs(str(tmp_path), 0, 3, 1)
        assert torch.equal(again.train_images, first.train_images)
        assert torch.equal(again.test_images, first.test_images)
        if caplog.messages:
            warned += 1
            (line,) = caplog.messages
            assert line.startswith(f"{kept}: damaged (")
            assert line.endswith("the characters are drawn again")
            glyphs._load.cache_clear()
            caplog.clear()
            load_glyphs(str(tmp_path), 0, 3, 1)
            assert not caplog.messages
    assert warned > 140


def test_files_without_a_checksum_are_read(tmp_path, monkeypatch):
    first = load_glyphs(str(tmp_path), 0, 3, 1)
    (kept,) = tmp_path.glob("glyphs/*.npz")
    np.savez(kept, train=first.train_images.numpy(), test=first.test_images.numpy())  # as before version 0.7
    glyphs._load.cache_clear()
    monkeypatch.setattr(glyphs, "draw", None)  # may not be called
    assert load_glyphs(str(tmp_path), 0, 3, 1).fingerprint == first.fingerprint


@pytest.mark.parametrize("counts", [(0, 1), (1, 0), (1.5, 1)])
def test_invalid_sizes(tmp_path, counts):
    train, test = counts
    with pytest.raises(UserError, match="data.t.*_per_class=.*must be"):
        load_dataset("glyphs", root=str(tmp_path), glyph_seed=0, train_per_class=train, test_per_class=test)


def test_a_nearest_mean_does_not_solve_it():
    """Not trivial: the mean image of each class, as a classifier, gets every third character wrong."""
    images = draw(40, seed=0).float()
    train, test = images[:30].mean(0), images[30:]
    distances = torch.cdist(test.flatten(0, 1).flatten(1), train.flatten(1))
    accuracy = (distances.argmin(1).view(10, 47) == torch.arange(47)).float().mean().item()
    assert 0.1 < accuracy < 0.7
