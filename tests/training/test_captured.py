"""Whole epochs by plain calls on a CPU, which are the steps that a GPU replays, beside Lightning's loop."""

import logging
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.strategies import SingleDeviceStrategy
from omegaconf import OmegaConf

from emnist.data.augmentation import build_augmentation
from emnist.models import build_model
from emnist.training import captured, fit
from emnist.training.averaging import build_average
from emnist.training.captured import Captured, capture_steps, train_whole_epochs, why_not_optimizer
from emnist.training.classifier import Classifier
from emnist.training.optimization import build_optimizer
from emnist.training.recorder import Recorder
from tests.data.test_batches import batches
from tests.fixtures.configuration import configure
from tests.fixtures.jobs import train_in
from tests.fixtures.resuming import Killed, die_in, same_runs

# Rates that are the same in 32-bit, in which a graph has them.
EXACT = ["optimizer.lr=0.0078125", "scheduler=step", "scheduler.step_size=1"]


@pytest.fixture
def whole_epochs(monkeypatch):
    """Says whether the next runs train whole epochs."""

    def switch(on: bool) -> None:
        use = (lambda _, *run: train_whole_epochs(*run)) if on else (lambda *_: None)
        monkeypatch.setattr(fit, "capture_steps", use)

    return switch


@pytest.mark.parametrize(
    "overrides",
    [
        ["optimizer=adam", "augmentation=affine"],
        ["optimizer=sgd", "optimizer.momentum=0.5", "data.batch_size=47"],  # all batches are whole
        ["optimizer=rmsprop", "trainer.precision=32-true", "data.batch_size=2000"],  # none is
    ],
)
def test_the_steps_of_lightning(small, tmp_path, whole_epochs, overrides):
    for on in (False, True):
        whole_epochs(on)
        train_in(tmp_path / str(on), *small, *EXACT, *overrides)
    same_runs(tmp_path / "False", tmp_path / "True")


@pytest.mark.parametrize("scheduler", ["cosine", "plateau"])
def test_learning_rates_of_each_epoch(small, tmp_path, whole_epochs, scheduler):
    """In 64-bit for the scheduler, the record and the checkpoint, and rounded to 32-bit for the steps."""
    overrides = [*small, "optimizer.lr=0.01", f"scheduler={scheduler}"]
    overrides += ["+scheduler.cooldown=0", "scheduler.patience=0"] if scheduler == "plateau" else []
    rows, groups = [], []
    for on in (False, True):
        whole_epochs(on)
        folder = tmp_path / str(on)
        train_in(folder, *overrides)
        last = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
        rows.append(last["callbacks"]["Recorder"]["rows"])
        groups.append(last["optimizer_states"][0]["param_groups"])
    assert groups[0] == groups[1]
    for eager, whole in zip(*rows, strict=True):
        assert eager["lr"] == whole["lr"]
        assert eager == pytest.approx(whole, abs=0.01)


@pytest.mark.parametrize("first", [False, True])
def test_either_way_resumes_what_the_other_has_begun(small, tmp_path, monkeypatch, whole_epochs, first):
    whole_epochs(False)
    train_in(tmp_path / "at once", *small, *EXACT)
    whole_epochs(first)
    with monkeypatch.context() as patch:
        die_in(patch, Recorder, "on_train_epoch_start", 3)
        with pytest.raises(Killed):
            train_in(tmp_path / "resumed", *small, *EXACT)
    whole_epochs(not first)
    train_in(tmp_path / "resumed", *small, *EXACT, resume=True)
    same_runs(tmp_path / "at once", tmp_path / "resumed")


def test_stops_early_and_when_it_diverges(small, tmp_path, whole_epochs):
    whole_epochs(True)
    result = train_in(tmp_path / "early", *small, "optimizer.lr=0", "patience=1", "trainer.max_epochs=9")
    assert (result.stopped, result.epochs) == ("early_stopping", 2)
    result = train_in(tmp_path / "diverged", *small, "optimizer=sgd", "optimizer.lr=1e30")
    assert (result.stopped, result.epochs) == ("diverged", 0)


def classifier(optimizer: dict, penalty: str = "none") -> Classifier:
    torch.manual_seed(0)
    network = build_model("mlp", 100, hidden_layers=1, neurons=8, dropout=0.5)
    regularization = {"name": penalty, "strength": 0.01}
    return Classifier(network, 100, optimizer, {"name": None}, regularization, evaluated=[], seed=0, about={})


def test_an_epoch_has_the_logits_and_losses_of_all_images():
    loader = batches(shuffle=True)  # of 32, 32, 32 and 4
    model = classifier({"name": "SGD", "lr": 0.0, "fused": True}, penalty="l2")
    torch.nn.init.normal_(model.network.layers[-1].weight)
    logits, labels, loss_sum = Captured(model, bf16=False).run_epoch(loader)
    assert labels.tolist() == loader.order().tolist()
    assert logits.shape == (100, 100)
    parts = zip(logits.split(32), labels.split(32), strict=True)
    losses = [model.training_loss(part, own, part) for part, own in parts]
    assert loss_sum.item() == pytest.approx(sum(loss.item() for loss in losses))


def test_the_optimizer_is_as_it_was_after_an_error(monkeypatch):
    model = classifier({"name": "Adam", "lr": 0.01, "fused": True})
    monkeypatch.setattr(Captured, "_step", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        Captured(model, bf16=False).run_epoch(batches(shuffle=True))
    assert repr(model.optimizer.param_groups[0]["lr"]) == "0.01"  # a number, no tensor


@pytest.mark.parametrize(
    "optimizer",
    [
        {"name": "Adam", "fused": True},
        {"name": "SGD", "fused": True, "momentum": 0.9, "nesterov": True},
        {"name": "RMSprop", "momentum": 0.5, "centered": True},
    ],
)
def test_steps_undone_leave_no_trace(optimizer):
    models = [classifier({**optimizer, "lr": 0.01}) for _ in range(2)]
    steps = [Captured(model, bf16=False) for model in models]
    loader = batches(shuffle=True)
    steps[0]._place(loader)
    with steps[0].undone():
        steps[0]._step(torch.arange(32))
    for part in steps:
        torch.manual_seed(1)
        part.run_epoch(loader)
    for own, other in zip(*(part._changing() for part in steps), strict=True):
        assert torch.equal(own, other)


@pytest.fixture
def cuda(monkeypatch):
    """As much of torch.cuda as a capture calls, on the CPU; says in which order it was called."""
    calls: list[str] = []
    stream = SimpleNamespace(wait_stream=lambda _: None)
    generator = SimpleNamespace(get_state=lambda: "seed")
    generator.clone_state = lambda: generator
    generator.graphsafe_set_state = lambda state: calls.append("renew the generator")
    generator.set_state = lambda state: calls.append(f"back to its {state}")

    @contextmanager
    def graph(recorded, stream):
        calls.append("capture")
        yield
        calls.append("captured")

    fakes = {
        "default_generators": {None: generator},
        "current_stream": lambda: stream,
        "Stream": lambda: stream,
        "stream": lambda _: nullcontext(),
        "set_stream": lambda _: None,
        "CUDAGraph": lambda: SimpleNamespace(replay="replayed"),
        "graph": graph,
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    return calls


@pytest.mark.parametrize("fails", [False, True])
def test_a_capture_and_one_that_fails_leave_no_trace(cuda, monkeypatch, caplog, fails):
    """On a CPU with stand-ins for torch.cuda: what a capture does around its steps, not the capture itself."""
    arguments, loader = {"name": "Adam", "lr": 0.01, "fused": True}, batches(shuffle=True)
    expected, model = classifier(arguments), classifier(arguments)
    steps, step = Captured(model, bf16=False), Captured._step
    steps._place(loader)

    def failing(self, index):
        logits = step(self, index)
        if cuda[-1:] == ["capture"]:
            raise RuntimeError("operation not permitted when stream is capturing")
        return logits

    if fails:
        monkeypatch.setattr(Captured, "_step", failing)
    with caplog.at_level(logging.INFO, "emnist.training.captured"):
        steps._capture()
    assert len(caplog.records) == fails
    assert cuda == ["capture", *(["renew the generator"] if fails else ["captured"]), "back to its seed"]
    assert steps.replay == (steps._next if fails else "replayed")
    steps.replay = steps._next
    for part in (steps, Captured(expected, bf16=False)):
        torch.manual_seed(1)
        part.run_epoch(loader)
    for own, other in zip(steps._changing(), Captured(expected, bf16=False)._changing(), strict=True):
        assert torch.equal(own, other)


def reason(
    *overrides: str, device: str = "cuda", precision: str = "bf16-mixed", unfreeze: int | None = None, **trainer
):
    """Why a run with these overrides on this device would not be captured; None if it would."""
    config = OmegaConf.to_container(configure(*overrides), resolve=True)
    strategy = object.__new__(SingleDeviceStrategy)
    strategy._root_device = torch.device(device)
    model = classifier(config["optimizer"])
    model.average = build_average(model.network, **config["averaging"])
    if unfreeze is not None:
        model.tuning = SimpleNamespace(unfreeze_epoch=unfreeze)
    data = SimpleNamespace(augmentation=build_augmentation(47, **config["augmentation"]))
    return captured.why_not(config, SimpleNamespace(strategy=strategy, precision=precision), model, data)


def test_what_has_no_graph():
    assert reason() is None
    assert reason("augmentation=elastic", "optimizer=rmsprop", precision="32-true") is None
    assert reason(device="mps") == "trainer.accelerator=mps has none"
    assert reason("+trainer.gradient_clip_val=1", "+trainer.accumulate_grad_batches=2") == (
        "trainer.accumulate_grad_batches is set"
    )
    assert reason("+trainer.deterministic=true") == "trainer.deterministic is set"
    assert reason(precision="16-mixed") == "trainer.precision=16-mixed is none of 32-true, bf16-mixed"
    assert reason("augmentation=mixup") == "augmentation.name=mixup"
    assert reason("augmentation=random") == "augmentation.name=random"
    assert reason(unfreeze=2) == "init.unfreeze_epoch trains other weights later"
    assert reason("scheduler.interval=step") == "scheduler.interval=step"
    assert reason("averaging=ema") == "averaging.name=ema"
    assert reason("optimizer=sgd", "optimizer.fused=false") == "optimizer.name=SGD takes fused=true and dampening=0"


@pytest.mark.parametrize(
    ("name", "arguments", "captured"),
    [
        ("Adam", {}, True),
        ("AdamW", {"fused": True}, True),
        ("Adam", {"foreach": False}, False),
        ("RMSprop", {"momentum": 0.9}, True),
        ("RMSprop", {"foreach": False}, False),
        ("SGD", {"fused": True, "momentum": 0.9, "nesterov": True}, True),
        ("SGD", {"fused": True, "momentum": 0.9, "dampening": 0.1}, False),
        ("SGD", {}, False),
        ("NAdam", {}, False),
    ],
)
def test_optimizers_with_and_without_a_graph(name, arguments, captured):
    optimizer = build_optimizer([torch.nn.Parameter(torch.zeros(1))], name, lr=0.1, **arguments)
    assert (why_not_optimizer(optimizer) is None) == captured


@pytest.mark.parametrize(("override", "device", "lines"), [("auto", "cpu", 0), ("off", "mps", 0), ("auto", "mps", 1)])
def test_one_line_says_why_unless_nobody_expects_a_graph(caplog, override, device, lines):
    config = OmegaConf.to_container(configure(f"trainer.compile={override}"), resolve=True)
    trainer = SimpleNamespace(strategy=SimpleNamespace(root_device=torch.device(device)))
    with caplog.at_level(logging.INFO, "emnist.training.captured"):
        capture_steps(config, trainer, classifier(config["optimizer"]), SimpleNamespace())
    assert [record.getMessage() for record in caplog.records] == [
        "the steps are not captured in a CUDA graph: trainer.accelerator=mps has none"
    ] * lines


def test_values_of_the_key(glyphs, command):
    code, _, err = command(*glyphs, "trainer.compile=yes", "trainer.max_epochs=1")
    assert code != 0
    assert "trainer.compile=yes" in err
    assert "'auto' or 'off'" in err
