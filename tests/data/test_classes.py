"""data.classes: some of the classes of a data set."""

import numpy as np
import pytest
import torch

from emnist.data.module import DataModule
from emnist.data.sources import load_dataset
from emnist.data.sources.emnist import MERGED
from emnist.errors import UserError
from tests.fixtures.sets import write_npz


def glyphs(root, classes):
    return load_dataset("glyphs", classes, root=str(root), glyph_seed=0, train_per_class=6, test_per_class=2)


def test_the_images_of_some_classes_in_the_order_of_the_source(tmp_path):
    whole, some = glyphs(tmp_path, None), glyphs(tmp_path, ["b", 7, "A"])
    assert some.classes == ("7", "A", "b")
    for part in ("train", "test"):
        images, labels = getattr(some, f"{part}_images"), getattr(some, f"{part}_labels")
        for label, name in enumerate(some.classes):
            own = getattr(whole, f"{part}_labels") == whole.classes.index(name)
            assert torch.equal(images[labels == label], getattr(whole, f"{part}_images")[own])
        assert set(labels.tolist()) == {0, 1, 2}
    assert glyphs(tmp_path, ["b", "7", "A", "A"]) is some  # the jobs of a multirun share the tensors
    assert some.describe() == "glyphs, 18 + 6 images, 3 of 47 classes, generated, not EMNIST"
    assert len({whole.fingerprint, some.fingerprint, glyphs(tmp_path, ["A", "B", "b"]).fingerprint}) == 3


def test_digits_and_letters(tmp_path):
    assert glyphs(tmp_path, "digits").classes == tuple("0123456789")
    assert glyphs(tmp_path, "letters").classes == tuple(MERGED[10:])


def test_all_classes_are_the_data_as_it_is(tmp_path):
    assert glyphs(tmp_path, list(MERGED)) is glyphs(tmp_path, None)


def test_groups_and_folds(tmp_path):
    writers = {f"{part}_writer": np.arange(n) // 3 for part, n in (("train", 36), ("val", 12), ("test", 12))}
    path = write_npz(tmp_path / "a.npz", (8, 8), classes=np.array(["x", "y", "z"]), **writers)
    split = {"batch_size": 8, "folds": 3, "fold": 0, "fold_seed": 0, "augmentation": {"name": "none"}, "seed": 0}
    data = DataModule("npz", root=str(tmp_path), file=path.name, groups="writer", classes=["x", "z"], **split)
    groups = data.dataset.train_groups
    assert len(groups) == len(data.dataset.train_labels) == 32
    assert not torch.isin(groups[data.train_indices], groups[data.val_indices]).any()


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["A", "c"], "data.classes: glyphs has no class c; did you mean C?"),
        (["A", "?"], "data.classes: glyphs has no class ?; it has 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, A, B, …"),
        (["A"], "data.classes=[A]: only class A of glyphs (0, 1, 2, "),
        ([], "data.classes=[]: no class of glyphs (0, 1, 2, "),
        ("capitals", "data.classes=capitals: give digits, letters, or a list, such as [0,1]"),
        (3, "data.classes=3: give digits, letters, or a list, such as [0,1]"),
        ([True, "A"], "data.classes=[True, 'A']: give digits, letters, or a list"),
    ],
)
def test_wrong_classes(tmp_path, classes, message):
    with pytest.raises(UserError) as error:
        glyphs(tmp_path, classes)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_kinds_that_a_source_does_not_have(tmp_path):
    path = write_npz(tmp_path / "a.npz", (8, 8), classes=np.array(["cat", "dog", "owl"]))
    given = {"root": str(tmp_path), "file": path.name}
    with pytest.raises(UserError, match=r"data.classes=letters: no class of a \(cat, dog, owl\)"):
        load_dataset("npz", "letters", **given)
    with pytest.raises(UserError, match="data.classes: a has no class dgo; did you mean dog?"):
        load_dataset("npz", ["cat", "dgo"], **given)


def test_classes_without_test_images(tmp_path):
    labels = np.full(12, 2)
    path = write_npz(tmp_path / "a.npz", (8, 8), test_labels=labels)
    with pytest.raises(UserError, match="data.classes: a has no test images of 0, 1"):
        load_dataset("npz", [0, 1], root=str(tmp_path), file=path.name)
