"""The images that a run trains and validates on."""

import pytest
import torch

from emnist.data.module import DataModule
from emnist.errors import UserError


def module(glyphs: list[str], **given) -> DataModule:
    source = dict(override.removeprefix("data.").split("=") for override in glyphs[1:])
    counts = {"train_per_class": int(source["train_per_class"]), "test_per_class": int(source["test_per_class"])}
    split = {"batch_size": 128, "folds": 5, "fold": 0, "fold_seed": 0, **given}
    augmentation = {"name": "none"}
    return DataModule("glyphs", root=source["root"], glyph_seed=0, **counts, **split, augmentation=augmentation, seed=0)


def test_few_images_a_class(glyphs):
    whole, few, fewer = module(glyphs), module(glyphs, per_class=10), module(glyphs, per_class=5)
    labels = whole.dataset.train_labels
    for data, count in ((few, 10), (fewer, 5)):
        assert torch.equal(labels[data.train_indices].bincount(), torch.full((47,), count))
        assert torch.equal(data.train_indices, data.train_indices.unique())  # ascending, each once
        assert torch.equal(data.val_indices, whole.val_indices)
    assert set(fewer.train_indices.tolist()) < set(few.train_indices.tolist()) < set(whole.train_indices.tolist())
    assert few.describe_fold().startswith("470, validating on")


def test_the_draw_depends_on_fold_and_fold_seed_alone(glyphs):
    first = module(glyphs, per_class=5).train_indices
    assert torch.equal(first, module(glyphs, per_class=5, batch_size=8).train_indices)
    assert not torch.equal(first, module(glyphs, per_class=5, fold_seed=1).train_indices)
    folds = [set(module(glyphs, per_class=5, fold=fold).train_indices.tolist()) for fold in (0, 1, None)]
    assert len(folds[0] & folds[1]) < 100  # of 235: by chance an eighth of them


def test_all_of_a_class_can_be_drawn(glyphs):
    assert torch.equal(module(glyphs, per_class=32).train_indices, module(glyphs).train_indices)


def test_more_images_a_class_than_there_are(glyphs):
    with pytest.raises(UserError, match="data.per_class=33: the smallest class has 32 images to train on"):
        module(glyphs, per_class=33)
    with pytest.raises(UserError, match="data.per_class=0: must be greater than or equal to 1"):
        module(glyphs, per_class=0)
