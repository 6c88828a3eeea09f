import pytest
import torch

from emnist.data.sources import glyphs, load_dataset
from emnist.data.sources.emnist import MERGED
from emnist.data.sources.glyphs import draw, load_glyphs
from emnist.errors import UserError


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


def test_damaged_file_is_named(tmp_path):
    load_glyphs(str(tmp_path), 0, 3, 1)
    glyphs._load.cache_clear()
    (kept,) = tmp_path.glob("glyphs/*.npz")
    kept.write_bytes(kept.read_bytes()[:1000])
    with pytest.raises(UserError, match=f"{kept.name}.*delete it"):
        load_glyphs(str(tmp_path), 0, 3, 1)


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
