"""The command line: what it does with valid arguments, and what it says about invalid ones."""

import contextlib
import json
import os
import pty
import resource
import subprocess
import sys

import numpy as np
import pytest
from omegaconf import OmegaConf

from tests.fixtures.commands import environment, error_line
from tests.fixtures.idx_files import write_emnist, write_idx

ALONE = "alone"  # these arguments without those of the small run


def test_a_run_ends_with_a_table_and_its_folder(command, small, tmp_path):
    code, out, err = command(*small, "hydra.run.dir=here")
    assert code == 0, err
    result = json.loads((tmp_path / "here" / "result.json").read_text())
    assert f"{result['test_accuracy']:.2%}" in out
    assert out.splitlines()[-1].endswith("here")
    assert "epoch 3/3" in err
    assert "epoch 3/3" in (tmp_path / "here" / "train.log").read_text()
    assert OmegaConf.load(tmp_path / "here" / "config.yaml") == result["config"]
    assert (tmp_path / "here" / ".hydra" / "overrides.yaml").exists()


def test_a_terminal_gets_a_progress_bar(small, tmp_path):
    controller, terminal = pty.openpty()
    command = [sys.executable, "-m", "emnist.train", *small]
    variables = environment(TERM="xterm-256color", COLUMNS="100")
    process = subprocess.Popen(command, stdout=terminal, stderr=terminal, cwd=tmp_path, env=variables)
    os.close(terminal)
    shown = b""
    with contextlib.suppress(OSError):  # how a terminal says that its other end is closed
        while part := os.read(controller, 4096):
            shown += part
    assert process.wait() == 0
    assert "━" in shown.decode()
    assert b"100%" in shown
    assert b"epoch 3/3  train loss" in shown  # the lines of the log stay above the bar


def test_default_folder_is_below_outputs(command, small, tmp_path):
    code, out, _ = command(*small, "trainer.max_epochs=1")
    assert code == 0
    (result,) = (tmp_path / "outputs").rglob("result.json")
    assert str(result.parent) in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["model=vit"], "model=vit: unknown; choose one of cnn, compact, mlp, resnet, vgg5_spinal, wavemix_lite"),
        (["optimizer=lion"], "optimizer=lion: unknown; choose one of adam, adamw, muon, nesterov, rmsprop, sgd"),
        (
            ["augmentation=[affine,blur]"],
            "augmentation=[affine,blur]: unknown; choose one of affine, blur",
        ),
        (
            ["optimizer=[adam,sgd]"],
            "optimizer=[adam,sgd]: unknown; choose one of adam, adamw",
        ),
        (["experiment=best"], "experiment=best: unknown; choose one of cnn_baseline"),
        (["model.activation=gelu"], "model.activation=gelu: unknown; choose one of relu, elu, leaky"),
        ([ALONE, "data.split=cursive"], "data.split=cursive: unknown; choose one of balanced, bymerge"),
        (
            [ALONE, "data=glyphs", "data.root=.", "model.filters=[8,16]", "model.kernel_sizes=[3]"],
            "model.kernel_sizes=[3] and filters=[8, 16] differ in length",
        ),
        (
            [ALONE, "data=glyphs", "data.root=.", "model=cnn", "model.kernel_sizes=[4,5,3]"],
            "model.kernel_sizes[0]=4: must be odd",
        ),
        (["model.dropout=1"], "model.dropout=1: must be less than 1"),
        (["model.dropout=[0.1]", "model.hidden_layers=3"], "model.dropout=[0.1]: 1 values for hidden_layers=3"),
        (["data.fold=5"], "data.fold=5: must be less than data.folds=5"),
        (["data.folds=1000"], "data.folds=1000: choose from 2 to 40"),
        (["data.batch_size=0"], "data.batch_size=0: must be greater than or equal to 1"),
        (["optimizer.lr=fast"], "optimizer.lr=fast: must be a valid number"),
        (["optimizer.speed=1"], "optimizer.speed: no such key here"),
        (["trainer.precision=3"], "trainer: "),
        (["+trainer.speed=3"], "trainer: "),
        (["trainer.max_epochs=0"], "trainer.max_epochs=0: must be greater than or equal to 1"),
        (["threads=0"], "threads=0: must be greater than or equal to 1"),
        (["patience=-1"], "patience=-1: must be greater than or equal to 1"),
        (["seed=-1"], "seed=-1: must be greater than or equal to 0"),
        ([ALONE, "data.root="], "data.root is empty"),
        (["model.batch_norm=off"], "model.batch_norm=off: must be a valid boolean"),
        (["model.activation=[relu]"], "model.activation=['relu']: must be a valid string"),
        (["model.dropout=abc"], "model.dropout=abc: must be a valid number"),
        (["data.folds=many"], "data.folds=many: must be a valid integer"),
        (["data.fold=true"], "data.fold=True: must be a valid integer"),
        (["data.root=7"], "data.root is 7: give the path of a folder"),
        (["regularization.strength=null"], "regularization.strength=None: must be a valid number"),
        (["augmentation=affine", "augmentation.shift=x"], "augmentation.shift=x: must be a valid number"),
        (["optimizer.betas=[0.9]"], "optimizer.betas=[0.9]"),
        (["scheduler=step", "scheduler.step_size=0"], "scheduler.step_size=0"),
        (["+data.color=red"], "data.color: no such key; the keys are root, glyph_seed"),
        (["+trainer.logger=true"], "trainer.logger: set by this project"),
        (["trainer.strategy=ddp_spawn", "trainer.devices=2"], "trainer.strategy=ddp_spawn"),
        (["model"], "model: invalid syntax; write key=value"),
        (["model.activation=relu,elu"], "several values make a multirun; add -m"),
        (["+sed=1"], "sed: no such key"),
        (["optimzer.lr=1"], "optimzer.lr: no such key here"),
    ],
)
def test_invalid_arguments_get_one_line(command, small, arguments, message):
    code, _, err = command(*(arguments[1:] if arguments[0] == ALONE else [*small, *arguments]))
    assert code != 0
    assert message in error_line(err)


@pytest.mark.parametrize(
    ("part", "spoil", "message"),
    [
        ("train-images-idx3", lambda path: path.write_bytes(path.read_bytes()[:-50]), "truncated or corrupt gzip"),
        ("train-labels-idx1", lambda path: path.write_bytes(b"no gzip"), "truncated or corrupt gzip"),
        ("test-images-idx3", lambda path: write_idx(path, np.zeros(3, np.uint8)), "magic number"),
        ("test-labels-idx1", lambda path: write_idx(path, np.zeros(3, np.uint8)), "3 labels"),
        ("test-labels-idx1", lambda path: write_idx(path, np.full(94, 99, np.uint8)), "labels from 99 to 99"),
    ],
)
def test_damaged_data_get_one_line_that_names_the_file(command, tmp_path, part, spoil, message):
    path = write_emnist(tmp_path) / f"emnist-balanced-{part}-ubyte.gz"
    spoil(path)
    code, _, err = command("model=mlp", f"data.root={tmp_path}")
    assert code != 0
    assert message in error_line(err)
    assert str(path) in err


def test_resume_of_no_run(command, tmp_path):
    code, _, err = command(f"resume={tmp_path}")
    assert code != 0
    assert f"{tmp_path}: not the folder of a run" in error_line(err)


def test_resume_of_something_else(command, tmp_path):
    for content in ("a: 1", "- 1", "a: [", ""):
        (tmp_path / "config.yaml").write_text(content)
        code, _, err = command(f"resume={tmp_path}")
        assert code != 0
        assert f"{tmp_path}" in error_line(err)


@pytest.mark.parametrize("length", [0, 100, 5000, -100])
def test_resume_with_a_damaged_checkpoint(command, small, tmp_path, length):
    assert command(*small, "hydra.run.dir=run")[0] == 0
    (tmp_path / "run" / "result.json").unlink()
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:length])
    code, _, err = command("resume=run")
    assert code != 0
    assert "last.ckpt: damaged (its SHA-256 is not the one that was written); delete it, then" in error_line(err)
    last.unlink()
    code, _, err = command("resume=run")
    assert code == 0, err


def test_a_relative_root_is_stored_as_an_absolute_one(command, small, tmp_path):
    write_emnist(tmp_path / "mine")
    command("model=mlp", "data.root=mine", "data.folds=2", "trainer.max_epochs=1", "hydra.run.dir=run")
    assert OmegaConf.load(tmp_path / "run" / "config.yaml").data.root == str(tmp_path / "mine")


def test_a_traceback_for_those_who_ask(small, tmp_path):
    command = [sys.executable, "-m", "emnist.train", *small, "model.activation=gelu", "hydra.run.dir=here"]
    options = {"capture_output": True, "text": True, "cwd": tmp_path}
    done = subprocess.run(command, **options, env=environment(HYDRA_FULL_ERROR="1"))
    assert done.returncode != 0
    assert "Traceback" in done.stderr
    done = subprocess.run(command, **options, env=environment())
    assert done.returncode != 0
    assert "model.activation=gelu" in error_line(done.stderr)  # and nothing at the end of the process either


def test_resume_takes_nothing_else(command, tmp_path):
    code, _, err = command(f"resume={tmp_path}", "seed=1")
    assert code != 0
    assert "takes no other arguments" in error_line(err)


@pytest.mark.parametrize("argument", ["resume=", "resume=nowhere", "+resume=nowhere"])
def test_resume_of_nothing(command, argument):
    code, _, err = command(argument)
    assert code != 0
    assert "no such folder" in error_line(err)


def test_no_space_for_a_checkpoint(command, small, tmp_path):
    """A limit on the size of a file fails as a full disk does, with another errno."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        code, _, err = command(*small, "model.neurons=64", "hydra.run.dir=full")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert code != 0
    assert ".ckpt: can't be written (File too large)" in error_line(err)
    assert [path.name for path in (tmp_path / "full" / "checkpoints").iterdir()] == ["checksums.json"]


def test_unexpected_errors_keep_their_traceback_in_the_log(command, small, tmp_path, monkeypatch):
    from emnist.figures import run as figures

    monkeypatch.setattr(figures, "curves", lambda *_: 1 / 0)
    code, _, err = command(*small, "hydra.run.dir=here")
    assert code != 0
    assert "ZeroDivisionError: division by zero" in error_line(err)
    assert "Traceback" in (tmp_path / "here" / "train.log").read_text()


def test_a_multirun_reports_a_failure_at_once_and_runs_the_other_jobs(command, small, tmp_path):
    code, _, err = command(
        "-m", *small, "trainer.max_epochs=1", "model.activation=relu,gelu,elu", "hydra.sweep.dir=sweep"
    )
    assert code != 0
    assert "Traceback" not in err
    assert [(tmp_path / "sweep" / job / "result.json").exists() for job in "012"] == [True, False, True]
    failure = err.index("error: model.activation=gelu")
    assert err.index("epoch 1/1") < failure < err.rindex("epoch 1/1")


def test_three_runs_of_a_multirun(command, small, tmp_path):
    code, _, err = command(
        "-m", *small, "trainer.max_epochs=1", "model.activation=relu,elu,leaky", "hydra.sweep.dir=sweep"
    )
    assert code == 0, err
    used = [json.loads((tmp_path / "sweep" / job / "result.json").read_text())["config"] for job in "012"]
    assert [config["model"]["activation"] for config in used] == ["relu", "elu", "leaky"]


@pytest.mark.parametrize("arguments", [["--cfg", "job"], ["--help"]])
def test_answers_without_torch(arguments):
    script = (
        "import sys, runpy; sys.argv[0] = 'emnist.train'\n"
        "try: runpy.run_module('emnist.train', run_name='__main__')\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'lightning', 'matplotlib'} & set(sys.modules), 'imported'"
    )
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "max_epochs: 20" in done.stdout
