"""Starting from a trained network: what is copied, what is trained when and how fast, and what a run says of it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

import emnist
from emnist.errors import UserError
from emnist.inference.deployed import run_id
from emnist.models import build_model
from emnist.runs.folder import RunFolder
from emnist.runs.identity import cell_id
from emnist.study.together import is_stackable
from emnist.train import spell_out
from emnist.training.init import FineTuning, find_source, fine_tuning
from emnist.training.job import JobFailed
from emnist.training.optimization import build_scheduler
from emnist.training.recorder import Recorder
from emnist.training.regularization import build_penalty
from tests.fixtures.commands import error_line
from tests.fixtures.configuration import configure
from tests.fixtures.idx_files import write_emnist
from tests.fixtures.jobs import train_in
from tests.fixtures.networks import MODELS
from tests.fixtures.resuming import Killed, die_in, same_runs
from tests.fixtures.studies import ACTIVATION, REFERENCE, cells_of, plan_of, results_of, write_study

MLP = {"name": "mlp", "hidden_layers": 2, "neurons": 8, "activation": "relu", "batch_norm": True, "dropout": 0.2}


def save(path: Path, model: dict[str, Any], classes: str = "0123", seed: int = 0) -> Path:
    """A checkpoint of a network with random weights in all layers and statistics."""
    torch.manual_seed(seed)
    network = build_model(num_classes=len(classes), **model)
    for tensor in network.state_dict().values():
        if tensor.is_floating_point():
            tensor.uniform_(0.1, 1)
    about = {"model": model, "classes": list(classes), "mean": 0.2, "std": 0.3}
    state = {f"network.{key}": value for key, value in network.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"about": about, "state_dict": state, "epoch": 4}, path)
    return path


def tuned(path: Path, model: dict[str, Any], classes: str = "0123", **init: Any) -> tuple[torch.nn.Module, FineTuning]:
    """A network started from the checkpoint `path`."""
    network = build_model(num_classes=len(classes), **model)
    given = {"run": str(path), **init}
    source = find_source(given)
    return network, fine_tuning(network, model, tuple(classes), source, given)


def state(folder: Path, name: str = "last") -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True)["state_dict"]


def changed(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> set[str]:
    return {key for key in a if a[key].shape != b[key].shape or not torch.equal(a[key], b[key])}


@pytest.fixture
def digits(tmp_path) -> list[str]:
    """Overrides for the ten digits of a tiny EMNIST of noise, whose names the glyphs' classes have, too."""
    write_emnist(tmp_path / "data", "digits", classes=10)
    return [f"data.root={tmp_path / 'data'}", "data.split=digits", "data.folds=2", "trainer.accelerator=cpu"]


ONE_CYCLE = ["+scheduler.max_lr=0.1", "+scheduler.total_steps=9"]
SMALL_CNN = ["model.filters=[8,16]", "model.kernel_sizes=[3,3]", "model.dropout=0.1"]  # of the fixture `trained`


def test_the_same_classes_keep_all_weights(trained, glyphs, tmp_path):
    """At rate 0 and frozen, the network and what it is fed stay as they were."""
    start = ["init=run", f"init.run={trained.path}", "init.freeze=features", "optimizer.lr=0", "trainer.max_epochs=1"]
    result = train_in(tmp_path / "again", *glyphs, *SMALL_CNN, *start, "trainer.accelerator=cpu", "data.fold=1")
    best = trained.read_result()
    assert not changed(state(trained.path, "best"), state(tmp_path / "again"))
    assert result.test_accuracy == best.test_accuracy
    assert result.init.run == str(trained.path)
    assert result.init.epoch == best.best_epoch
    assert len(result.init.sha256) == 64
    again, first = emnist.load_run(tmp_path / "again"), emnist.load_run(trained.path)
    assert (again.mean, again.std, again.classes) == (first.mean, first.std, first.classes)


def test_classes_of_the_same_name_keep_their_row(trained, digits, tmp_path):
    start = ["init=run", f"init.run={trained.path}", "init.freeze=features", "optimizer.lr=0", "trainer.max_epochs=1"]
    train_in(tmp_path / "digits", *digits, *SMALL_CNN, *start)
    source, own = state(trained.path, "best"), state(tmp_path / "digits")
    assert changed(source, own) == {"network.head.2.weight", "network.head.2.bias"}
    assert torch.equal(own["network.head.2.weight"], source["network.head.2.weight"][:10])
    assert torch.equal(own["network.head.2.bias"], source["network.head.2.bias"][:10])
    assert "the head knows 10 of 10 classes" in (tmp_path / "digits" / "train.log").read_text()


def test_rows_are_found_by_name_and_the_others_are_new(tmp_path):
    path = save(tmp_path / "a.ckpt", MLP, "0123")
    network, tuning = tuned(path, MLP, "3x0")
    old, new = torch.load(path)["state_dict"], network.state_dict()
    name = list(new)[-2]
    assert tuning.known == ["3", "0"]
    assert torch.equal(new[name], torch.stack([old[f"network.{name}"][3], torch.zeros(8), old[f"network.{name}"][0]]))
    network, tuning = tuned(path, MLP, "3x0", head="new")
    assert tuning.known == []
    assert not network.state_dict()[name].any()


@pytest.mark.parametrize("model", MODELS)
def test_features_are_copied_in_every_model(model, tmp_path):
    path = save(tmp_path / "a.ckpt", MODELS[model])
    network, tuning = tuned(path, MODELS[model], "xy")
    old = {key.removeprefix("network."): value for key, value in torch.load(path)["state_dict"].items()}
    head = {key for key in old if old[key].shape != network.state_dict()[key].shape}
    assert changed(old, network.state_dict()) == head
    assert len(head) == 2
    assert sum(len(list(block.parameters())) for block in [*tuning.features, tuning.head]) == len(
        list(network.parameters())
    )


def test_dropout_may_differ_though_it_moves_the_layers_of_an_mlp(tmp_path):
    path = save(tmp_path / "a.ckpt", MLP)
    network, _ = tuned(path, {**MLP, "dropout": 0})
    same, _ = tuned(path, MLP)
    assert list(network.state_dict()) != list(same.state_dict())
    for a, b in zip(network.state_dict().values(), same.state_dict().values(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("model", ["mlp", "cnn", "resnet", "compact", "vgg5_spinal", "wavemix_lite"])
def test_frozen_features_stay_as_they_are(model, glyphs, tmp_path):
    small = {**MODELS, "mlp": MODELS["mlp, elu"], "cnn": MODELS["cnn, leaky"]}[model]
    switch = {"batch_norm": True} if small["name"] in ("mlp", "cnn", "resnet") else {}
    save(tmp_path / "source" / "checkpoints" / "best.ckpt", {**small, **switch}, "0123")
    keys = [f"model.{key}={str(value).replace(' ', '')}" for key, value in small.items() if key != "name"]
    start = ["init=run", f"init.run={tmp_path / 'source'}", "init.freeze=features", "trainer.max_epochs=1"]
    options = ["optimizer.lr=0.1", "regularization=l1", "trainer.accelerator=cpu", "+trainer.limit_train_batches=3"]
    train_in(tmp_path / "run", *glyphs, f"model={model}", *keys, *start, *options)
    before, after = state(tmp_path / "source", "best"), state(tmp_path / "run")
    assert changed(before, after) == set(list(before)[-2:])  # weights and bias of the head
    assert after[list(after)[-2]].any()


def test_blocks_open_from_the_head_downwards(tmp_path, small):
    path = save(tmp_path / "a.ckpt", {**MLP, "dropout": 0})
    mlp = ["model.hidden_layers=2", "model.neurons=8", "model.activation=relu", "model.dropout=0", "scheduler=none"]
    start = ["init=run", f"init.run={path}", "init.freeze=features", "init.unfreeze_epoch=1"]
    for epochs, layers in [(1, set()), (2, {4, 5}), (3, {1, 2, 4, 5})]:  # linear and batch norm of each block
        train_in(tmp_path / f"{epochs}", *small, *mlp, *start, f"trainer.max_epochs={epochs}")
        names = changed(torch.load(path)["state_dict"], state(tmp_path / f"{epochs}"))
        assert {int(name.split(".")[2]) for name in names} - {7} == layers


@pytest.mark.parametrize(
    ("init", "expected"),
    [
        ({}, [3, 3, 3, 3, 3, 3]),
        ({"freeze": "features"}, [0, 0, 0, 0, 0, 0]),
        ({"freeze": "features", "unfreeze_epoch": 1}, [0, 1, 2, 3, 3, 3]),
        ({"freeze": "features", "unfreeze_epoch": 0, "unfreeze_every": 2}, [1, 1, 2, 2, 3, 3]),
        ({"freeze": "features", "unfreeze_epoch": 2, "unfreeze_every": 0}, [0, 0, 3, 3, 3, 3]),
    ],
)
def test_when_blocks_open(tmp_path, init, expected):
    model = {**MLP, "hidden_layers": 3}
    network, tuning = tuned(save(tmp_path / "a.ckpt", model), model, **init)
    network.train()
    for epoch, count in enumerate(expected):
        tuning.begin_epoch(epoch)
        assert tuning.trained_blocks(epoch) == count
        states = [all(p.requires_grad for p in block.parameters()) and block.training for block in tuning.features]
        assert states == [False] * (3 - count) + [True] * count
        assert all(p.requires_grad for p in tuning.head.parameters())


@pytest.mark.parametrize("name", ["step", "cosine", "plateau", "none"])
@pytest.mark.parametrize(("factor", "expected"), [(0.1, [0.1, 0.1]), ([0.01, 0.5], [0.01, 0.5])])
def test_each_part_has_its_rate_under_every_scheduler(tmp_path, name, factor, expected):
    _, tuning = tuned(save(tmp_path / "a.ckpt", MLP), MLP, lr_factor=factor)
    optimizer = tuning.build_optimizer(name="SGD", lr=0.5)
    scheduler = build_scheduler(optimizer, **configure(f"scheduler={name}", "trainer.max_epochs=20").scheduler)
    seen = set()
    for _ in range(15):
        head, *features = [group["lr"] for group in optimizer.param_groups]
        assert features == pytest.approx([head * factor for factor in expected])
        seen.add(head)
        optimizer.step()
        if scheduler is not None:
            scheduler.step(*[1.0] if name == "plateau" else [])
    assert (len(seen) > 1) == (name != "none")
    assert max(seen) == 0.5


def test_frozen_weights_have_no_penalty(tmp_path):
    network, tuning = tuned(save(tmp_path / "a.ckpt", MLP), MLP, freeze="features")
    penalty = build_penalty(network, "l2", 1.0)
    everything = penalty().item()
    tuning.begin_epoch(0)
    head = list(network.parameters())[-2]
    assert penalty().item() == pytest.approx(head.square().sum().item())
    assert penalty().item() < everything


def test_metrics_have_the_rate_of_the_head(trained, glyphs, tmp_path):
    start = ["init=run", f"init.run={trained.path}", "init.lr_factor=0.1", "trainer.max_epochs=1"]
    train_in(tmp_path, *glyphs, *SMALL_CNN, *start, "optimizer.lr=0.002", "trainer.accelerator=cpu")
    assert RunFolder(tmp_path).read_metrics()[0]["lr"] == 0.002


def test_a_resumed_run_needs_its_source_no_more(tmp_path, small, monkeypatch):
    model = {**MLP, "dropout": 0.2}
    source = save(tmp_path / "source" / "checkpoints" / "best.ckpt", model, "0123456789").parents[1]
    keys = ["model.hidden_layers=2", "model.neurons=8", "model.activation=relu", "scheduler=plateau"]
    start = ["init=run", f"init.run={source}", "init.freeze=features", "init.unfreeze_epoch=1", "init.lr_factor=0.3"]
    overrides = [*small, *keys, *start, "trainer.max_epochs=4", "scheduler.patience=0"]
    expected = train_in(tmp_path / "whole", *overrides)
    with monkeypatch.context() as patch:
        die_in(patch, Recorder, "on_validation_start", 3)
        with pytest.raises(Killed):
            train_in(tmp_path / "run", *overrides)
    shutil.rmtree(source)
    config = RunFolder(tmp_path / "run").read_config()
    result = train_in(tmp_path / "run", *overrides, f"init.sha256={config.init.sha256}", resume=True)
    same_runs(tmp_path / "whole", tmp_path / "run")
    assert result.init == expected.init
    assert result.test_loss == expected.test_loss


def test_before_its_first_epoch_a_run_starts_from_the_same_network_or_none(trained, glyphs, tmp_path, monkeypatch):
    source = tmp_path / "source.ckpt"
    shutil.copy(trained.best, source)
    overrides = [*glyphs, *SMALL_CNN, "init=run", f"init.run={source}", "trainer.max_epochs=1"]
    with monkeypatch.context() as patch:
        die_in(patch, Recorder, "on_train_start", 1)
        with pytest.raises(Killed):
            train_in(tmp_path / "run", *overrides)
    sha256 = RunFolder(tmp_path / "run").read_config().init.sha256
    save(source, torch.load(source)["about"]["model"], "01")
    with pytest.raises(JobFailed, match=f"init.run={source}: not the network with init.sha256={sha256}"):
        train_in(tmp_path / "run", *overrides, f"init.sha256={sha256}", resume=True)
    shutil.copy(trained.best, source)
    assert train_in(tmp_path / "run", *overrides, f"init.sha256={sha256}", resume=True).init.sha256 == sha256


def test_a_cell_depends_on_the_weights_and_not_on_their_place(tmp_path):
    paths = [save(tmp_path / name, MLP, seed=seed) for name, seed in (("a.ckpt", 0), ("b.ckpt", 0), ("c.ckpt", 1))]
    cells = []
    for path in paths:
        config: Any = OmegaConf.to_container(configure("model=mlp", "init=run", f"init.run={path}"), resolve=True)
        find_source(config["init"])
        cells.append(cell_id(config))
    fresh: Any = OmegaConf.to_container(configure("model=mlp"), resolve=True)
    assert cells[0] == cells[1]
    assert len({*cells, cell_id(fresh)}) == 3
    assert fresh["init"] == {}
    before = {key: value for key, value in fresh.items() if key != "init"}  # as versions before 0.6 wrote it
    before["data"] = {key: value for key, value in fresh["data"].items() if key != "per_class"}
    assert cell_id(before) == cell_id(fresh)


def test_a_run_of_before_keeps_its_configuration(finished):
    """Without `init` in config.yaml, as versions before 0.6 wrote it, a run resumes."""
    path = finished / "config.yaml"
    config = OmegaConf.load(path)
    del config["init"], config["data"]["per_class"]
    OmegaConf.save(config, path)
    (finished / "result.json").unlink()
    folder = RunFolder(finished)
    from emnist.training.job import run_job

    result = run_job(folder.read_config(), finished, resume=True, quiet=True)
    assert result.init is None
    assert folder.read_result().epochs == 3


def test_a_study_compares_starts(command, tmp_path, glyphs):
    model = {**MLP, "hidden_layers": 1, "neurons": 16, "activation": "elu", "dropout": 0}
    source = save(tmp_path / "source" / "checkpoints" / "best.ckpt", model, "0123").parents[1]
    start = ["init=run", f"init.run={source}"]
    values = {"fresh": {"set": "init=none"}, "frozen": {"set": [*start, "init.freeze=features"]}, "all": {"set": start}}
    arguments = [*write_study(tmp_path, {"start": values}, folds=[0]), *glyphs]
    code, _, err = command(*arguments)
    assert code == 0, err
    cells, results = cells_of(plan_of(tmp_path)), results_of(tmp_path)
    assert len(set(cells.values())) == 3
    assert {f"{cell}/fold0_seed0" for cell in cells.values()} == set(results)
    assert all(run_id(result) == path for path, result in results.items())
    assert [results[f"{cells[name]}/fold0_seed0"].init is None for name in values] == [True, False, False]
    source.rename(tmp_path / "moved")
    moved = [argument.replace("/source", "/moved") for argument in start]
    values |= {"frozen": {"set": [*moved, "init.freeze=features"]}, "all": {"set": moved}}
    write_study(tmp_path, {"start": values}, folds=[0])
    code, _, err = command(*arguments)
    assert code == 0, err
    assert "3 of 3 runs done" in err.splitlines()[0]  # found again


def test_what_starts_from_a_network_is_trained_alone():
    config: Any = OmegaConf.to_container(configure("model=mlp"), resolve=True)
    assert is_stackable(config)
    assert not is_stackable({**config, "init": {"run": "a"}})


def test_of_a_run_by_its_folder_on_the_command_line(command, trained, digits, tmp_path):
    start = [f"init={trained.path}", "init.freeze=features"]
    code, _, err = command(*digits, *SMALL_CNN, *start, "trainer.max_epochs=1", "hydra.run.dir=here")
    assert code == 0, err
    assert f"init: {trained.path}, epoch" in err
    assert "eval mode" not in err
    written = json.loads((tmp_path / "here" / "result.json").read_text())
    assert written["init"]["sha256"] == written["config"]["init"]["sha256"]
    assert len(emnist.load_run(tmp_path / "here").classes) == 10


@pytest.mark.parametrize(
    ("argument", "run"),
    [
        ("init=outputs/lr=0.1", "'outputs/lr=0.1'"),
        ("init=my run (2)/[best]", "'my run (2)/[best]'"),
        ("init='a, b'", "'a, b'"),
        ("init=a,b=1", "'a','b=1'"),
    ],
)
def test_a_path_is_quoted_for_hydra(argument, run):
    """Several are the jobs of a multirun."""
    assert spell_out(argument) == ["init=run", f"init.run={run}"]
    parsed = OverridesParser.create().parse_override(f"init.run={run}")
    values = list(parsed.sweep_string_iterator()) if parsed.is_sweep_override() else [parsed.value()]
    assert values == (["'a'", "'b=1'"] if "b=1" in argument else [run.strip("'")])


@pytest.mark.parametrize("argument", ["init=none", "init=run", "init.run=a", "model=cnn", "-m"])
def test_other_arguments_stay_as_they_are(argument):
    assert spell_out(argument) == [argument]


def test_layers_that_sync_batchnorm_has_exchanged_are_frozen(tmp_path):
    network, tuning = tuned(save(tmp_path / "a.ckpt", MLP), MLP, freeze="features")
    network = torch.nn.SyncBatchNorm.convert_sync_batchnorm(network).train()
    tuning.begin_epoch(0)
    norms = [layer for layer in network.modules() if isinstance(layer, torch.nn.SyncBatchNorm)]
    assert [layer.training for layer in norms] == [False, False]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["init=nowhere"], "init.run=nowhere: no such folder or file; give a trained run"),
        (["init=run"], "init.run is missing: give the folder of a trained run"),
        (["init="], "init.run is missing: give the folder of a trained run"),
        (["init=."], "init.run=.: not the folder of a run with a finished epoch"),
        (["init=text.ckpt"], "text.ckpt: not a checkpoint of this project, or damaged"),
        (["init=RUN", "model.filters=[8,8]"], "its network has model.filters=[8,16], not model.filters=[8,8]"),
        (["init=RUN", "model=mlp"], "its network has model=cnn, not model=mlp"),
        (
            ["init=RUN", "model.batch_norm=false", "model.activation=elu"],
            "has model.activation=leaky model.batch_norm=true",
        ),
        (["init=RUN", "init.freeze=all"], "init.freeze=all: must be 'none' or 'features'"),
        (["init=RUN", "init.head=old"], "init.head=old: must be 'auto' or 'new'"),
        (["init=RUN", "init.lr_factor=-1"], "init.lr_factor=-1: must be greater than or equal to 0"),
        (["init=RUN", "init.lr_factor=[1]"], "init.lr_factor=[1.0]: 1 values for 2 blocks below the head"),
        (["init=RUN", "init.unfreeze_epoch=2"], "init.unfreeze_epoch=2: nothing is frozen; add init.freeze=features"),
        (["init=RUN", "init.freeze=features", "init.unfreeze_every=-1"], "init.unfreeze_every=-1: must be greater"),
        (
            ["init=RUN", "init.freeze=features", "init.unfreeze_every=2"],
            "init.unfreeze_every=2: nothing is unfrozen; add",
        ),
        (["init=none,RUN"], "give runs alone, and start with init=none in a command of its own"),
        (["init=RUN", "init.sha256=abc"], "not the network with init.sha256=abc, but that with"),
        (["init=RUN", "+init.speed=1"], "init.speed: no such key; the keys are run, sha256, head, freeze"),
        (["init.freeze=features"], "init.freeze: no such key here"),
        (
            ["init=RUN", "init.lr_factor=0.1", "scheduler=none", "scheduler.name=OneCycleLR", *ONE_CYCLE],
            "init.lr_factor=0.1: scheduler.name=OneCycleLR has one learning rate for all parts",
        ),
        (
            ["init=RUN", "init.freeze=features", "init.unfreeze_epoch=0", "trainer.devices=2", "trainer.strategy=ddp"],
            "trainer.devices=2: init.unfreeze_epoch takes one device",
        ),
    ],
)
def test_wrong_starts_get_one_line(command, trained, glyphs, tmp_path, arguments, message):
    (tmp_path / "text.ckpt").write_text("text")
    given = [argument.replace("=RUN", f"={trained.path}") for argument in arguments]
    model = [] if "model=mlp" in arguments else SMALL_CNN
    code, _, err = command(*glyphs, "trainer.accelerator=cpu", "trainer.max_epochs=1", *model, *given)
    assert code != 0
    assert message in error_line(err)


@pytest.mark.parametrize(("fold", "warned"), [("0", False), ("1", True), ("null", False)])
def test_a_start_that_has_seen_the_fold_held_out_is_named(command, trained, glyphs, tmp_path, fold, warned):
    given = ["trainer.accelerator=cpu", "trainer.max_epochs=1", *SMALL_CNN, f"init={trained.path}", f"data.fold={fold}"]
    code, _, err = command(*glyphs, *given, f"hydra.run.dir={tmp_path / 'run'}")
    assert code == 0, err
    line = f"init.run={trained.path}: trained on images of the fold held out here"
    assert (line in (tmp_path / "run" / "train.log").read_text()) == warned


@pytest.mark.parametrize(("epoch", "warned"), [(0, False), (1, True)])
def test_an_epoch_of_unfreezing_that_never_comes_is_named(trained, glyphs, tmp_path, epoch, warned):
    thaw = ["init=run", f"init.run={trained.path}", "init.freeze=features", f"init.unfreeze_epoch={epoch}"]
    train_in(tmp_path, *glyphs, *SMALL_CNN, *thaw, "trainer.max_epochs=1", "trainer.accelerator=cpu")
    line = "init.unfreeze_epoch=1: training ends before, after trainer.max_epochs=1"
    assert (line in (tmp_path / "train.log").read_text()) == warned


def test_a_wrong_start_ends_a_study_before_it_trains(command, tmp_path, glyphs):
    source = save(tmp_path / "a.ckpt", MLP)
    values = {"fresh": {"set": "init=none"}, "moved": {"set": ["init=run", "init.run=nowhere"]}}
    code, _, err = command(*write_study(tmp_path, {"start": values}, folds=[0]), *glyphs)
    assert code != 0
    assert "start/moved: init.run=nowhere: no such folder or file" in error_line(err)
    reference = [*REFERENCE, "init=run", f"init.run={source}"]
    arguments = write_study(tmp_path, {"activation": ACTIVATION}, folds=[0], reference=reference)
    code, _, err = command(*arguments, *glyphs)
    assert code != 0
    assert "study=tiny: invalid reference: init.run=" in error_line(err)
    assert "its network has model.activation=relu model.hidden_layers=2 model.neurons=8, not" in err
    assert not (tmp_path / "study").exists()


def test_images_of_another_size_keep_the_features_of_a_cnn_and_get_a_new_head(tmp_path):
    path = save(tmp_path / "a.ckpt", MODELS["cnn, leaky"])
    network = build_model(num_classes=4, **MODELS["cnn, leaky"])
    network.head[2] = torch.nn.Linear(8, 4)
    given = {"run": str(path)}
    tuning = fine_tuning(network, MODELS["cnn, leaky"], tuple("0123"), find_source(given), given)
    assert tuning.known == []
    network = build_model(num_classes=4, **MLP)
    network.layers[1] = torch.nn.Linear(3 * 784, 8, bias=False)
    given = {"run": str(save(tmp_path / "b.ckpt", MLP))}
    with pytest.raises(UserError, match="init.run=.*: its network takes images of another size"):
        fine_tuning(network, MLP, tuple("0123"), find_source(given), given)
