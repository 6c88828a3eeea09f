"""An interrupted run resumes after its last finished epoch and ends as if it had never stopped."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from emnist.training.recorder import Recorder
from tests.fixtures.commands import enable_ctrl_c, environment
from tests.fixtures.jobs import train_in
from tests.fixtures.resuming import Killed, die_in, same_runs

EVERYTHING = [  # all that a run carries from one epoch to the next
    "augmentation=affine",
    "scheduler=plateau",
    "scheduler.patience=0",
    "optimizer.lr=0.003",
    "trainer.max_epochs=6",
    "patience=4",
]


@pytest.fixture(scope="module")
def uninterrupted(glyphs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    cnn = ["model=cnn", "model.filters=[4,8]", "model.kernel_sizes=[3,3]", "model.dropout=0.2"]
    overrides = [*glyphs, *cnn, "regularization=l2", "trainer.accelerator=cpu", *EVERYTHING]
    return folder, overrides, train_in(folder, *overrides)


@pytest.mark.parametrize(
    ("where", "times"),
    [
        ("on_train_start", 1),  # before the first epoch
        ("on_train_epoch_start", 4),  # between two epochs
        ("on_validation_start", 3),  # in the middle of one
        ("on_train_epoch_end", 1),  # at the end of the first, nothing written yet
        ("on_train_epoch_end", 6),
        ("finish", 1),  # trained, but the result not written
    ],
)
def test_resumed_run_ends_as_an_uninterrupted_one(uninterrupted, tmp_path, monkeypatch, where, times):
    folder, overrides, expected = uninterrupted
    with monkeypatch.context() as patch:
        die_in(patch, Recorder, where, times)
        with pytest.raises(Killed):
            train_in(tmp_path, *overrides)
    assert not (tmp_path / "result.json").exists()
    result = train_in(tmp_path, *overrides, resume=True)
    same_runs(folder, tmp_path)
    for key in ("test_accuracy", "test_loss", "val_accuracy", "best_epoch", "epochs", "stopped"):
        assert getattr(result, key) == getattr(expected, key)


@pytest.mark.parametrize(
    "overrides",
    [["scheduler=onecycle", "averaging=ema", "averaging.decay=0.9"], ["optimizer=muon", "scheduler=onecycle"]],
    ids=["adam with an average", "muon"],
)
def test_what_changes_with_every_step_is_resumed(small, tmp_path, monkeypatch, overrides):
    overrides = [*small, "model.hidden_layers=2", *overrides]
    train_in(tmp_path / "whole", *overrides)
    with monkeypatch.context() as patch:
        die_in(patch, Recorder, "on_validation_start", 3)
        with pytest.raises(Killed):
            train_in(tmp_path / "resumed", *overrides)
    train_in(tmp_path / "resumed", *overrides, resume=True)
    same_runs(tmp_path / "whole", tmp_path / "resumed")


@pytest.mark.parametrize("checkpoint", ["best", "last"])
def test_killed_between_and_in_the_middle_of_writing_checkpoints(uninterrupted, tmp_path, monkeypatch, checkpoint):
    from emnist import atomic

    folder, overrides, _ = uninterrupted
    replace, calls = Path.replace, []

    def dying(self, target):
        if Path(target).name == f"{checkpoint}.ckpt":
            calls.append(1)
            if len(calls) == 2:
                raise Killed
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", dying)
        patch.setattr(atomic.Path, "unlink", lambda *_, **__: None)  # a killed process cleans up nothing
        with pytest.raises(Killed):
            train_in(tmp_path, *overrides)
    assert list(tmp_path.rglob("*.tmp"))
    train_in(tmp_path, *overrides, resume=True)
    same_runs(folder, tmp_path)
    assert not list(tmp_path.rglob("*.tmp"))


def test_stopped_early_and_killed_before_the_result(glyphs, tmp_path):
    overrides = [*glyphs, "model=mlp", "model.neurons=8", "optimizer.lr=0", "patience=1", "trainer.max_epochs=9"]
    first = train_in(tmp_path, *overrides)
    assert first.stopped == "early_stopping"
    (tmp_path / "result.json").unlink()
    again = train_in(tmp_path, *overrides, resume=True)
    assert (again.stopped, again.epochs) == ("early_stopping", first.epochs)


@pytest.mark.parametrize("kill", [signal.SIGKILL, signal.SIGINT])
def test_killed_process_and_resume_on_the_command_line(uninterrupted, command, tmp_path, kill):
    folder, overrides, _ = uninterrupted
    run = tmp_path / "run"
    with (tmp_path / "log").open("w") as log:
        arguments = [sys.executable, "-m", "emnist.train", *overrides, f"hydra.run.dir={run}"]
        process = subprocess.Popen(arguments, stdout=log, stderr=log, preexec_fn=enable_ctrl_c, env=environment())
        deadline = time.monotonic() + 60
        while not (run / "checkpoints" / "last.ckpt").exists():
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(kill)
        assert process.wait(30) != 0
    assert not (run / "result.json").exists()
    code, out, err = command(f"resume={run}")
    assert code == 0, err
    assert str(run) in out
    same_runs(folder, run)
