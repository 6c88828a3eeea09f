"""The images that a run trains and validates on."""

from itertools import combinations

import pytest
import torch

from emnist.data.module import DataModule
from emnist.errors import UserError


def module(glyphs: list[str], **given) -> DataModule:
    source = dict(override.removeprefix("data.").split("=") for override in glyphs[1:])
    counts = {"train_per_class": int(source["train_per_class"]), "test_per_class": int(source["test_per_class"])}
    split = {"batch_size": 128, "folds": 5, "fold": 0, "fold_seed": 0, "seed": 0, **given}
    return DataModule("glyphs", root=source["root"], glyph_seed=0, **counts, **split, augmentation={"name": "none"})


@pytest.mark.parametrize(("fold", "described"), [(2, "470, validating on 376"), (None, "all 470, no validation")])
def test_few_images_a_class(glyphs, fold, described):
    whole, few, fewer = (module(glyphs, per_class=count, fold=fold, seed=3) for count in (None, 10, 5))
    labels = whole.dataset.train_labels
    for data, count in ((few, 10), (fewer, 5)):
        assert torch.equal(labels[data.train_indices].bincount(), torch.full((47,), count))
        assert torch.equal(data.train_indices, data.train_indices.unique())  # ascending, each once
        assert torch.equal(data.val_indices, whole.val_indices)
    assert set(fewer.train_indices.tolist()) < set(few.train_indices.tolist()) < set(whole.train_indices.tolist())
    assert few.describe_fold() == described


def test_the_draw_depends_on_the_fold_and_the_seeds_alone(glyphs):
    first = module(glyphs, per_class=5).train_indices
    assert torch.equal(first, module(glyphs, per_class=5, batch_size=8).train_indices)
    others = [{"seed": 1}, {"fold": 1}, {"fold_seed": 1}, {"fold": None}, {"fold": None, "seed": 1}]
    draws = [set(module(glyphs, per_class=5, **other).train_indices.tolist()) for other in ({}, *others)]
    for one, other in combinations(draws, 2):
        assert len(one & other) < 60  # of 235: by chance a sixth of them at most


def test_all_of_a_class_can_be_drawn(glyphs):
    assert torch.equal(module(glyphs, per_class=32).train_indices, module(glyphs).train_indices)


def test_more_images_a_class_than_there_are(glyphs):
    with pytest.raises(UserError, match="data.per_class=33: the smallest class has 32 images to train on"):
        module(glyphs, per_class=33)
    with pytest.raises(UserError, match="data.per_class=0: must be greater than or equal to 1"):
        module(glyphs, per_class=0)
