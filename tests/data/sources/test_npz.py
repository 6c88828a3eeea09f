import os
import pickle

import numpy as np
import pytest
import torch

from emnist.data.sources import load_dataset
from emnist.errors import UserError
from tests.fixtures.sets import write_npz


def load(path, **changes):
    return load_dataset("npz", **{"root": str(path.parent), "file": path.name, "groups": None} | changes)


def test_grey_as_medmnist_has_it(tmp_path):
    path = write_npz(tmp_path / "breast.npz", (28, 28))
    data = load(path)
    assert data.train_images.shape == (48, 28, 28)  # 36 for training and 12 for validation
    assert data.test_images.shape == (12, 28, 28)
    assert data.train_images.dtype == torch.uint8
    assert data.train_labels.shape == (48,)
    assert data.train_labels.dtype == torch.int64
    assert data.classes == ("0", "1", "2")
    assert data.image_shape == (1, 28, 28)
    assert [counts.tolist() for counts in data.class_counts] == [[16] * 3, [4] * 3]
    expected = "breast, 48 + 12 images, from breast.npz, its 12 validation images among those for training"
    assert data.describe() == expected


def test_colour_has_its_channels_first(tmp_path):
    path = write_npz(tmp_path / "blood.npz", (32, 20, 3))
    data = load(path)
    assert data.image_shape == (3, 32, 20)
    with np.load(path) as stored:
        assert np.array_equal(data.test_images.numpy()[:, 2], stored["test_images"][..., 2])
    mean, std = data.mean_and_std(torch.arange(5))
    pixels = data.train_images[:5].double() / 255
    assert mean == pytest.approx(pixels.mean((0, 2, 3)).tolist())
    assert std == pytest.approx(pixels.transpose(0, 1).flatten(1).std(1, correction=0).tolist())


def test_names_of_classes(tmp_path):
    named = load(write_npz(tmp_path / "a.npz", (8, 8), classes=np.array(["cat", "dog", "owl"])))
    assert named.classes == ("cat", "dog", "owl")


def test_labels_may_be_names_and_need_not_start_at_zero(tmp_path):
    labels = {f"{part}_labels": np.tile([7, 3, 5], count) for part, count in (("train", 12), ("val", 4), ("test", 4))}
    data = load(write_npz(tmp_path / "a.npz", (8, 8), **labels))
    assert data.classes == ("3", "5", "7")
    assert data.test_labels[:3].tolist() == [2, 0, 1]
    names = {part: np.array(["x", "y", "z"])[array % 3] for part, array in labels.items()}
    assert load(write_npz(tmp_path / "b.npz", (8, 8), **names)).classes == ("x", "y", "z")


def test_numbers_are_in_their_order_also_as_text(tmp_path):
    labels = {
        f"{part}_labels": np.tile(["10", "9", "2"], count) for part, count in (("train", 12), ("val", 4), ("test", 4))
    }
    data = load(write_npz(tmp_path / "a.npz", (8, 8), **labels))
    assert data.classes == ("2", "9", "10")
    assert data.test_labels[:3].tolist() == [2, 1, 0]


def test_groups(tmp_path):
    writers = {"train_writer": np.arange(36) // 3, "val_writer": np.arange(12) + 50, "test_writer": np.arange(12) + 61}
    data = load(write_npz(tmp_path / "a.npz", (8, 8), **writers), groups="writer")
    assert len(data.train_groups.unique()) == 12 + 12
    assert torch.isin(data.test_groups, data.train_groups).sum() == 1  # 61
    assert data.fingerprint != load(tmp_path / "a.npz").fingerprint


LABELS = np.arange(36, dtype=np.uint8) % 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test_images": None}, "no array test_images; it has train_images, train_labels, val_images"),
        ({"train_images": np.zeros((36, 8, 8))}, "train_images: float64.*uint8 from 0 to 255; multiply them by 255"),
        ({"train_images": np.zeros((36, 8, 8), np.int32)}, "train_images: int32, but images are uint8 from 0 to 255$"),
        ({"train_images": np.zeros((36, 8, 8, 8), np.uint8)}, r"train_images: the shape \[36, 8, 8, 8\]; give \[N"),
        ({"train_images": np.zeros((36, 1, 8), np.uint8)}, "train_images: images of 1 × 8 pixels are too small"),
        ({"train_images": np.zeros((0, 8, 8), np.uint8)}, "train_images: no images"),
        ({"train_labels": LABELS[:35]}, "train_labels: 35, but there are 36 images"),
        ({"train_labels": np.zeros((36, 14), np.uint8)}, r"train_labels: uint8 \[36, 14\]; give one whole number"),
        ({"train_labels": LABELS.astype(float)}, "train_labels: float64"),
        ({"test_labels": np.full(12, 9)}, "test_images: labels no training image has: 9"),
        ({"test_images": np.zeros((12, 8, 9), np.uint8)}, "images of 8 × 9, but those of .*train_images are 8 × 8"),
        ({"val_images": np.zeros((12, 9, 8), np.uint8)}, "val_images: images of another shape"),
        ({"classes": np.array(["a", "b"])}, "labels that are not among the 2 classes: 2"),
        ({"classes": np.array(["a", "b", "a"])}, "classes: a twice"),
        ({"classes": np.array([["a", "b", "c"]])}, r"classes: <U1 \[1, 3\]; give the names of the classes, \[C\]"),
        ({"classes": np.array(3)}, r"classes: int64 \[\]; give the names"),
        (
            {"train_labels": np.array(["a", None] * 18)},
            "train_labels: Python objects, which are not read; store numbers",
        ),
        (
            {f"{part}_labels": np.zeros(n, int) for part, n in (("train", 36), ("val", 12), ("test", 12))},
            "all are of one class, 0",
        ),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, changes, message):
    path = write_npz(tmp_path / "a.npz", (8, 8), **changes)
    with pytest.raises(UserError, match=f"^{path}: .*{message}|{message}") as error:
        load(path)
    assert str(error.value).startswith(str(path))
    assert "\n" not in str(error.value)


def test_files_that_are_no_arrays(tmp_path):
    with pytest.raises(UserError, match="data.file is empty: give the name of an .npz file in data.root"):
        load(tmp_path / "a.npz", file=None)
    with pytest.raises(UserError, match="data.root is empty"):
        load(tmp_path / "a.npz", root=None)
    with pytest.raises(UserError, match="data.file=a.npz: .*a.npz can't be read .No such file"):
        load(tmp_path / "a.npz")
    (tmp_path / "a.npz").write_text("text")
    with pytest.raises(UserError, match="a.npz: not an .npz file of arrays, or damaged"):
        load(tmp_path / "a.npz")
    with pytest.raises(UserError, match="no array train_patient"):
        load(write_npz(tmp_path / "c.npz", (8, 8)), groups="patient")


class Harmful:
    """Unpickling it makes a folder."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_no_code_in_a_file_is_run(tmp_path):
    objects = np.array([Harmful(tmp_path / "harm")], dtype=object)
    with pytest.raises(UserError, match="train_images: Python objects, which are not read"):
        load(write_npz(tmp_path / "a.npz", (8, 8), train_images=objects))
    (tmp_path / "b.npz").write_bytes(pickle.dumps(objects))
    with pytest.raises(UserError, match="b.npz: not an .npz file of arrays"):
        load(tmp_path / "b.npz")
    with (tmp_path / "b.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(UserError, match="b.npz: not an .npz file of arrays"):
        load(tmp_path / "b.npz")
    load(write_npz(tmp_path / "c.npz", (8, 8), about=objects))  # what is not needed is not read
    assert not (tmp_path / "harm").exists()


def test_a_changed_file_is_read_again(tmp_path):
    path = write_npz(tmp_path / "a.npz", (8, 8))
    before = load(path)
    assert load(path) is before
    write_npz(path, (8, 9))
    assert load(path).image_shape == (1, 8, 9)
