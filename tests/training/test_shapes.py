"""Runs on images of another size, in colour, of groups and with balanced sampling, from training to use."""

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf

import emnist
from emnist.data.module import DataModule
from emnist.errors import UserError
from emnist.inference import deployed
from emnist.inference.cost import measure_cost, multiply_accumulates
from emnist.inference.faithfulness import faithfulness
from emnist.inference.onnx import load_onnx, to_onnx, with_metadata
from emnist.inference.page import load_readers
from emnist.inference.predictions import predict_files
from emnist.inference.saliency import heat_maps
from emnist.reporting.card import model_card
from emnist.reporting.explanation import explain
from emnist.runs.folder import RunFolder
from emnist.training.job import JobFailed, run_together
from emnist.training.recorder import Recorder
from tests.fixtures.commands import error_line
from tests.fixtures.configuration import configure
from tests.fixtures.jobs import train_in
from tests.fixtures.resuming import Killed, die_in, same_runs
from tests.fixtures.sets import write_csv, write_npz, write_pictures

CNN = [
    "model=cnn",
    "model.filters=[4,8]",
    "model.kernel_sizes=[3,3]",
    "optimizer.lr=0.02",
    "trainer.max_epochs=1",
    "data.batch_size=16",
]
MLP = ["model=mlp", "model.hidden_layers=1", "model.neurons=8", "model.dropout=0", "data.batch_size=16"]
CPU = ["trainer.accelerator=cpu", "trainer.precision=32-true", "threads=1"]


def npz(folder, *overrides: str, shape=(32, 32, 3), **changes) -> list[str]:
    write_npz(folder / "colour.npz", shape, **changes)
    return ["data=npz", f"data.root={folder}", "data.file=colour.npz", *CPU, *overrides]


@pytest.fixture(scope="module")
def colour(tmp_path_factory) -> RunFolder:
    """The finished run of a small CNN on images of 3 × 32 × 32. Three of 60 test labels are wrong. Only read it."""
    folder = tmp_path_factory.mktemp("colour")
    labels = np.arange(60, dtype=np.uint8) % 3
    labels[:3] = (labels[:3] + 1) % 3
    train_in(folder / "run", *npz(folder, *CNN, per_class=60, test_labels=labels))
    return RunFolder(folder / "run")


def images(count: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(256, (count, 3, 32, 32), dtype=torch.uint8, generator=generator)


def test_a_cnn_trains_on_colour_images(colour):
    result = colour.read_result()
    assert result.data.image_shape == (3, 32, 32)
    assert result.test_accuracy > 0.9  # a bright bar in the first, second or third row
    assert result.parameters == 4 * 27 + 8 + 8 * 36 + 16 + 8 * 64 * 3 + 3
    assert 0 <= result.test_balanced_accuracy <= 1
    for name in ("confusion", "predictions", "mistakes", "explanations"):
        assert colour.figure(name).stat().st_size > 10_000
    assert {"train_balanced_accuracy", "val_balanced_accuracy"} <= colour.read_metrics()[0].keys()


def test_it_is_loaded_with_its_shape(colour):
    classifier = emnist.load_run(colour.path)
    assert classifier.image_shape == (3, 32, 32)
    assert classifier.predict(images(5)).shape == (5, 3)
    with pytest.raises(ValueError, match=r"give uint8 \[N, 3, 32, 32\]"):
        classifier.predict(torch.zeros(5, 28, 28, dtype=torch.uint8))
    maps = heat_maps(classifier, images(5))
    assert maps.shape == (5, 32, 32)
    assert faithfulness(classifier, images(20)).images == 20


@pytest.mark.parametrize("format", ["onnx", "torch"])
def test_it_is_exported(colour, format, tmp_path):
    classifier, result = emnist.load_run(colour.path), colour.read_result()
    program = deployed.trace(classifier)
    if format == "onnx":
        predict = load_onnx(with_metadata(to_onnx(program), deployed.metadata(classifier, result)))
    else:
        predict = deployed.load_pt2(deployed.to_pt2(program, {}))
    assert torch.allclose(predict(images(3)), classifier.predict(images(3)), atol=1e-5)
    assert deployed.largest_difference(predict, classifier, "copy") < 1e-5
    card = model_card(colour, result, classifier.classes, format, {"model": 1.0})
    assert "(1, 3, 32, 32)" in card
    assert "28" not in card.partition("## Data")[0]
    assert "character" not in card


def test_its_cost_is_that_of_its_images(colour):
    model = colour.read_result().config["model"]
    assert multiply_accumulates(model, 3, (3, 32, 32)) == 32 * 32 * 4 * 27 + 16 * 16 * 8 * 36 + 8 * 64 * 3
    assert measure_cost(colour.path).images_per_s > 0


def test_it_explains_its_mistakes(colour, tmp_path):
    explain(colour.path, [], 2, "auto", tmp_path)
    with np.load(tmp_path / "explanations.npz") as arrays:
        assert arrays["images"].shape == (2, 3, 32, 32)
        assert (arrays["labels"] != arrays["predicted"]).all()


def test_pictures_of_characters_are_refused(colour, tmp_path):
    message = "the network takes images of 3 × 32 × 32; only one of grey images of 28 × 28 reads pictures"
    classifier = emnist.load_run(colour.path)
    for call in (
        lambda: classifier.read([np.zeros((50, 50))]),
        lambda: load_readers([colour.path]),
        lambda: predict_files([str(colour.path), "a.png"], False, "auto", 5),
        lambda: explain(colour.path, ["a.png"], None, "auto", tmp_path),
    ):
        with pytest.raises(UserError, match=message):
            call()


def test_a_cnn_trains_on_a_folder_of_pictures(tmp_path):
    write_pictures(tmp_path / "mine", [0, 1, 2] * 40)
    result = train_in(tmp_path / "run", "data=folder", f"data.root={tmp_path / 'mine'}", *CNN, *CPU)
    assert result.data.description == "mine, 96 + 24 images, own images, 20% of them drawn for testing"
    assert (result.data.train, result.data.val, result.data.test) == (76, 20, 24)
    assert emnist.load_run(tmp_path / "run").classes == ("class 0", "class 1", "class 2")


def test_too_many_layers_for_the_images(command, tmp_path):
    code, _, err = command(*npz(tmp_path, "model=cnn", shape=(6, 6)))
    assert code == 1
    assert error_line(err) == "error: model.filters=[32, 64, 128]: choose 1 to 2 layers; each halves the 6 pixels"


def test_mlps_of_colour_images_are_trained_together_as_alone(tmp_path):
    """Also with balanced sampling."""
    runs = {"a": ["seed=1"], "b": ["seed=2", "augmentation=affine"]}
    common = npz(tmp_path, *MLP, "trainer.max_epochs=2", "data.sampling=balanced", shape=(9, 12, 3), per_class=30)
    paths = []
    for name, overrides in runs.items():
        paths.append(tmp_path / "together" / name)
        config = OmegaConf.to_container(configure(*common, *overrides), resolve=True)
        RunFolder(paths[-1]).write_config(config)
        train_in(tmp_path / "alone" / name, *common, *overrides)
    run_together(paths)
    for name in runs:
        rows = [RunFolder(tmp_path / kind / name).read_metrics() for kind in ("together", "alone")]
        for one, other in zip(*rows, strict=True):
            assert one == pytest.approx(other, rel=1e-3, abs=1e-4)


def test_balanced_sampling_sees_every_class_equally_often(tmp_path):
    labels = np.repeat([0, 1, 2], [80, 12, 8]).astype(np.uint8)
    rows = labels[:, None, None] == np.arange(8)[None, :, None]
    unbalanced = {"train_images": (rows * np.ones((1, 8, 8))).astype(np.uint8) * 200, "train_labels": labels}
    overrides = npz(tmp_path, *MLP, shape=(8, 8), **unbalanced)
    config = configure(*overrides).data
    for sampling, expected in (("natural", [67, 13, 10]), ("balanced", [30, 30, 30])):
        data = DataModule(**{**config, "sampling": sampling}, augmentation={"name": "none"}, seed=0)
        data.place(torch.device("cpu"))
        seen = torch.cat([labels for _, labels in data.train_batches(lambda: 3)])
        assert torch.bincount(seen).tolist() == pytest.approx(expected, abs=1)


def test_balanced_sampling_is_resumed_to_the_bit(tmp_path, monkeypatch):
    overrides = npz(tmp_path, *MLP, "trainer.max_epochs=2", "data.sampling=balanced", shape=(8, 8))
    train_in(tmp_path / "whole", *overrides)
    die_in(monkeypatch, Recorder, "on_train_epoch_start", 2)
    with pytest.raises(Killed):
        train_in(tmp_path / "killed", *overrides)
    monkeypatch.undo()
    train_in(tmp_path / "killed", *overrides, resume=True)
    same_runs(tmp_path / "whole", tmp_path / "killed")


def test_groups_in_folds(tmp_path, caplog):
    paths = write_pictures(tmp_path / "mine", [0, 1] * 30)
    rows = [
        {
            "path": path.relative_to(tmp_path / "mine"),
            "label": path.parent.name,
            "split": "test" if i >= 40 else "train",
            "writer": i // 4 if i < 40 else i // 4 - 2,
        }
        for i, path in enumerate(paths)
    ]
    write_csv(tmp_path / "mine" / "list.csv", rows)
    keys = ["data=folder", f"data.root={tmp_path / 'mine'}", "data.csv=list.csv", "data.groups=writer"]
    data = DataModule(**configure(*keys).data, augmentation={"name": "none"}, seed=0)
    groups = data.dataset.train_groups
    assert not torch.isin(groups[data.val_indices], groups[data.train_indices]).any()
    assert len(data.val_indices) == 8  # two of ten writers
    (line,) = data.warnings()
    assert line == (
        "data.groups: 2 groups have training and test images (8 of the test images), so the test accuracy is not that"
        " of new groups"
    )
    train_in(tmp_path / "run", *keys, *MLP, *CPU, "trainer.max_epochs=1")
    assert line in (tmp_path / "run" / "train.log").read_text()
    with pytest.raises(JobFailed, match="data.folds=11: choose from 2 to 10, the number of groups"):
        train_in(tmp_path / "other", *keys, *MLP, *CPU, "data.folds=11")


def test_a_run_of_an_earlier_version_is_resumed(small, tmp_path):
    """Its epochs have no balanced accuracy, its checkpoints no image shape and no checksums."""
    train_in(tmp_path, *small, "trainer.max_epochs=1")
    folder = RunFolder(tmp_path)
    folder.result.unlink()
    (folder.best.parent / "checksums.json").unlink()
    for path in (folder.best, folder.last):
        checkpoint = torch.load(path, weights_only=True)
        del checkpoint["about"]["image_shape"]
        for callback in checkpoint.get("callbacks", {}).values():
            for row in callback.get("rows", []):
                for part in ("train", "val", "test"):
                    del row[f"{part}_balanced_accuracy"]
        torch.save(checkpoint, path)
    result = train_in(tmp_path, *small, "trainer.max_epochs=2", resume=True)
    assert result.epochs == 2
    first, second = folder.read_metrics()
    assert "val_balanced_accuracy" not in first
    assert 0 <= second["val_balanced_accuracy"] <= 1


def test_a_run_starts_from_one_of_the_same_channels(colour, tmp_path):
    start = ["init=run", f"init.run={colour.path}", "trainer.max_epochs=1"]
    result = train_in(tmp_path / "larger", *npz(tmp_path, *CNN, *start, shape=(40, 40, 3)))
    assert result.init is not None
    assert emnist.load_run(tmp_path / "larger").image_shape == (3, 40, 40)
    with pytest.raises(UserError, match="its network takes images of another size or number of channels"):
        train_in(tmp_path / "grey", *npz(tmp_path, *CNN, *start, shape=(40, 40)))


@pytest.mark.parametrize("kind", ["affine", "random", "cutmix"])
def test_colour_images_are_augmented_in_training_and_in_use(kind, tmp_path):
    train_in(tmp_path / "run", *npz(tmp_path, *CNN, f"augmentation={kind}"))
    assert RunFolder(tmp_path / "run").figure("augmented").read_bytes().startswith(b"\x89PNG")
    classifier, batch = emnist.load_run(tmp_path / "run"), images(5)
    # The first two views are shifted by a pixel, one to each side.
    sides = [torch.nn.functional.pad(batch, (1, -1)), torch.nn.functional.pad(batch, (-1, 1))]
    mean = sum(classifier.logits(view).softmax(1) for view in (batch, *sides)) / 3
    torch.testing.assert_close(classifier.logits_of_views(batch, 2), mean.log())
