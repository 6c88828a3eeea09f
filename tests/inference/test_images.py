import pytest
import torch

from emnist.data.module import DataModule
from emnist.errors import UserError
from emnist.inference.images import images_of
from tests.fixtures.idx_files import write_emnist
from tests.fixtures.sets import write_npz, write_set


def test_the_same_images_and_folds(trained, characters):
    result = trained.read_result()
    data = images_of(result)
    assert torch.equal(data.dataset.test_images, characters.test_images)
    assert (len(data.train_indices), len(data.val_indices)) == (result.data.train, result.data.val)


def test_the_same_few_images(trained):
    result = trained.read_result()
    result.config["data"]["per_class"] = 5
    draws = []
    for seed in (0, 1):
        result.config["seed"] = seed
        data = DataModule(**result.config["data"], augmentation={"name": "none"}, seed=seed)
        assert torch.equal(images_of(result).train_indices, data.train_indices)
        draws.append(data.train_indices)
    assert not torch.equal(*draws)


def test_other_images(trained):
    result = trained.read_result()
    result.data.fingerprint = "another"
    with pytest.raises(UserError, match="are not the images of the run, glyphs, .*; put them back there$"):
        images_of(result)


def test_images_moved_or_gone(trained, tmp_path, monkeypatch):
    monkeypatch.delenv("EMNIST_ROOT", raising=False)
    write_emnist(tmp_path / "here")
    result = trained.read_result()
    common = {key: result.config["data"][key] for key in ("batch_size", "folds", "fold", "fold_seed")}
    result.config["data"] = {"name": "emnist", "split": "balanced", "root": str(tmp_path / "here"), **common}
    with pytest.raises(UserError, match="are not the images of the run"):
        images_of(result)
    result.config["data"]["root"] = str(tmp_path / "there")
    with pytest.raises(UserError) as error:
        images_of(result)
    assert str(error.value) == (
        f"data.root={tmp_path / 'there'}: the images of the run are no longer there; "
        "put them back there or set EMNIST_ROOT to their folder"
    )
    assert not (tmp_path / "there").exists()  # nothing was downloaded
    monkeypatch.setenv("EMNIST_ROOT", str(tmp_path / "here"))
    with pytest.raises(UserError, match=r"EMNIST balanced, 282 \+ 94 images"):
        images_of(result)


def test_images_of_other_sources(trained, tmp_path, monkeypatch):
    monkeypatch.delenv("EMNIST_ROOT", raising=False)
    result = trained.read_result()
    common = {key: result.config["data"][key] for key in ("batch_size", "folds", "fold", "fold_seed")}
    result.config["data"] = {"name": "torchvision", "split": "usps", "root": str(tmp_path), **common, "folds": 2}
    with pytest.raises(UserError, match="no longer there; put them back there or set EMNIST_ROOT"):
        images_of(result)
    write_set(tmp_path / "elsewhere", "usps")
    monkeypatch.setenv("EMNIST_ROOT", str(tmp_path / "elsewhere"))
    with pytest.raises(UserError, match="USPS, 20 . 20 images, .* are not the images of the run"):
        images_of(result)
    result.config["data"] = {"name": "npz", "root": str(tmp_path), "file": "a.npz", **common}
    with pytest.raises(UserError, match="images of the run can't be read: data.file=a.npz: .*; put them back there$"):
        images_of(result)
    write_npz(tmp_path / "a.npz", (8, 8))
    with pytest.raises(UserError, match="are not the images of the run"):
        images_of(result)
