"""Studies through the command line, on a few drawn characters: what is trained, what is chosen, what survives."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from emnist import train
from emnist.errors import UserError
from emnist.study.progress import Monitor
from emnist.reporting.write import write_report
from emnist.runs.folder import RunFolder
from emnist.study.spec import read_study
from emnist.study.sweeper import StudySweeper, merge, quoted
from tests.conftest import configure, heed_ctrl_c
from tests.test_train import only_line

TINY = ["trainer.accelerator=cpu", "trainer.precision=32-true", "trainer.max_epochs=2"]


@pytest.fixture
def study(tmp_path, glyphs):
    """Writes a study of a narrow MLP and returns the arguments that run it."""

    def write(factors: dict, mode: str = "around", **rest) -> list[str]:
        reference = ["model=mlp", "model.hidden_layers=1", "model.neurons=16", "model.dropout=0", "threads=1"]
        config = {
            "defaults": [{"override /hydra/sweeper": "study"}],
            "study": {
                "mode": mode,
                "reference": reference,
                "folds": [0, 1],
                "only": None,
                "factors": factors,
                **rest,
            },
            "hydra": {"sweep": {"dir": "study"}},
        }
        folder = tmp_path / "conf" / "study"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tiny.yaml").write_text("# @package _global_\n" + OmegaConf.to_yaml(OmegaConf.create(config)))
        return ["--config-dir", str(tmp_path / "conf"), "-m", "study=tiny", *glyphs, *TINY]

    return write


NEURONS = {"16": {"set": "model.neurons=16"}, "8": {"set": "model.neurons=8"}}
ACTIVATION = {"ELU": {"set": "model.activation=elu"}, "ReLU": {"set": "model.activation=relu", "published": 80}}


def plan_of(folder: Path) -> dict:
    return json.loads((folder / "study" / "tiny.json").read_text())


def cells_of(folder: Path) -> dict[str, str]:
    """Cell of each value, by its label."""
    return {value["label"]: value["cell"] for factor in plan_of(folder)["factors"] for value in factor["values"]}


def results_of(folder: Path) -> dict[str, dict]:
    """Results by the run's folder."""
    paths = sorted((folder / "study").rglob("result.json"))
    return {str(path.parent.relative_to(folder / "study")): json.loads(path.read_text()) for path in paths}


def figures_of(folder: Path) -> dict[str, tuple]:
    """What has to be the same however a study came about."""
    keys = ("test_accuracy", "test_loss", "val_accuracy", "best_epoch", "epochs", "stopped")
    return {name: tuple(result[key] for key in keys) for name, result in results_of(folder).items()}


def environment() -> dict[str, str]:
    """Of a new shell: what these tests have set within this process is not in it."""
    inherited = {key: value for key, value in os.environ.items() if key != "HYDRA_FULL_ERROR"}
    return {**inherited, "PYTHONPATH": str(Path(train.__file__).parents[1])}


def run_in(folder: Path, arguments: list[str]) -> subprocess.Popen:
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "emnist.train", *arguments]
    options = {"stderr": subprocess.PIPE, "text": True, "preexec_fn": heed_ctrl_c}
    return subprocess.Popen(command, cwd=folder, env=environment(), **options)


def finish(process: subprocess.Popen) -> str:
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return err


def test_around_trains_each_cell_once(command, study, tmp_path):
    arguments = study({"neurons": NEURONS, "activation": ACTIVATION})
    code, out, err = command(*arguments)
    assert code == 0, err
    cells = cells_of(tmp_path)
    assert cells["16"] == cells["ELU"] == plan_of(tmp_path)["reference"]
    assert len(set(cells.values())) == 3
    assert set(results_of(tmp_path)) == {f"{cell}/fold{fold}_seed0" for cell in set(cells.values()) for fold in (0, 1)}
    narrow = results_of(tmp_path)[f"{cells['8']}/fold1_seed0"]["config"]
    assert (narrow["model"]["neurons"], narrow["model"]["activation"], narrow["data"]["fold"]) == (8, "elu", 1)
    assert "activation" in out
    assert "2/2" in out
    lines = [line for line in err.splitlines() if line.startswith("tiny: ")]
    assert lines[0].startswith("tiny: 0 of 6 runs done")
    assert any(re.search("[1-5] of 6 runs done, .* left", line) for line in lines)
    assert lines[-1] == "tiny: 6 of 6 runs done, 0 running, 0 failed"
    assert "epoch" not in err  # that is for train.log

    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "study").rglob("*.ckpt")}
    code, _, err = command(*arguments)
    assert code == 0
    assert "6 of 6 runs done" in err
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "study").rglob("*.ckpt")}


def test_a_second_study_finds_the_cells_of_the_first(command, study, tmp_path):
    assert command(*study({"neurons": NEURONS}))[0] == 0
    first = results_of(tmp_path)
    code, _, err = command(*study({"width": {"wide": {"set": "model.neurons=16"}, "32": {"set": "model.neurons=32"}}}))
    assert code == 0
    assert "tiny: 2 of 4 runs done" in err  # the reference was there
    assert len(results_of(tmp_path)) == len(first) + 2


def test_identity_is_configuration_and_data(command, study, tmp_path, glyphs):
    arguments = study({"neurons": NEURONS}, folds=[0])
    assert command(*arguments)[0] == 0
    assert command(*arguments, "data.root=elsewhere")[0] == 0  # the same images in another place
    assert command(*arguments, "model.dropout=0.0")[0] == 0
    assert len(results_of(tmp_path)) == 2
    assert command(*arguments, "data.glyph_seed=1")[0] == 0
    assert len(results_of(tmp_path)) == 4
    assert command(*arguments, "optimizer.lr=0.01")[0] == 0
    assert len(results_of(tmp_path)) == 6


def test_greedy_starts_each_factor_from_the_best_by_validation(command, study, tmp_path):
    arguments = study({"neurons": NEURONS, "activation": ACTIVATION}, mode="greedy", folds=[0])
    code, out, err = command(*arguments)
    assert code == 0, err
    plan, results = plan_of(tmp_path), results_of(tmp_path)
    neurons, activation = plan["factors"]
    val = {value["label"]: results[f"{value['cell']}/fold0_seed0"]["val_accuracy"] for value in neurons["values"]}
    assert neurons["chosen"] == max(val, key=val.__getitem__)
    assert activation["reference"] == {v["label"]: v["cell"] for v in neurons["values"]}[neurons["chosen"]]
    assert "←" in out

    # What the test set says doesn't matter: exchange who is better, on validation alone.
    cells = {v["label"]: v["cell"] for v in neurons["values"]}
    loser = next(label for label in cells if label != neurons["chosen"])
    path = tmp_path / "study" / cells[loser] / "fold0_seed0" / "result.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "val_accuracy": 1.0, "test_accuracy": 0.0}))
    assert command(*arguments)[0] == 0
    neurons, activation = plan_of(tmp_path)["factors"]
    assert neurons["chosen"] == loser
    assert activation["reference"] == cells[loser]
    chosen_config = results_of(tmp_path)[f"{activation['values'][1]['cell']}/fold0_seed0"]["config"]["model"]
    assert (chosen_config["neurons"], chosen_config["activation"]) == (int(loser), "relu")

    # A part of the study goes on from what has been trained of the rest.
    before, count = plan_of(tmp_path), len(results_of(tmp_path))
    assert command(*arguments, "study.only=[activation]")[0] == 0
    assert plan_of(tmp_path) == before
    assert len(results_of(tmp_path)) == count

    # On other folds it may choose otherwise, so its figures are of those alone.
    assert command(*arguments, "study.folds=[1]")[0] == 0
    assert plan_of(tmp_path)["runs"] == ["fold1_seed0"]


def test_only_some_factors(command, study, tmp_path):
    arguments = study({"neurons": NEURONS, "activation": ACTIVATION}, folds=[0])
    assert command(*arguments, "study.only=[activation/ReLU]")[0] == 0
    cells = cells_of(tmp_path)
    assert set(results_of(tmp_path)) == {f"{cells[label]}/fold0_seed0" for label in ("ELU", "ReLU")}
    assert not (tmp_path / "study" / cells["8"]).exists()


def test_folds_trained_one_after_another_are_one_study(command, study, tmp_path):
    arguments = study({"neurons": NEURONS})
    assert command(*arguments, "study.folds=[1]")[0] == 0
    assert command(*arguments, "study.folds=[0]")[0] == 0
    assert plan_of(tmp_path)["runs"] == ["fold0_seed0", "fold1_seed0"]
    assert len(results_of(tmp_path)) == 4
    (tmp_path / "study" / cells_of(tmp_path)["8"] / "fold1_seed0" / "result.json").unlink()
    assert command(*arguments, "study.folds=[0]")[0] == 0
    assert plan_of(tmp_path)["runs"] == ["fold0_seed0"]  # a fold that some cell lacks isn't asked for any more
    for other in ("optimizer.lr=0.1", "data.glyph_seed=1"):  # another configuration, other images: another study
        assert command(*arguments, "study.folds=[1]", other)[0] == 0
        assert plan_of(tmp_path)["runs"] == ["fold1_seed0"]


def test_seeds(command, study, tmp_path):
    assert command(*study({"neurons": NEURONS}, folds=[0]), "study.seeds=[0,3]")[0] == 0
    seeds = {name: result["config"]["seed"] for name, result in results_of(tmp_path).items()}
    assert {name.rpartition("/")[2]: seed for name, seed in seeds.items()} == {"fold0_seed0": 0, "fold0_seed3": 3}
    assert len(seeds) == 4


def test_a_run_that_another_process_is_at_is_left_to_it(command, study, tmp_path):
    arguments = study({"neurons": {"16": NEURONS["16"]}}, folds=[0])
    assert command(*arguments)[0] == 0
    (result,) = tmp_path.rglob("result.json")
    content = result.read_text()
    result.unlink()
    with FileLock(result.parent / ".lock"):
        process = run_in(tmp_path, arguments)
        waiting = next(line for line in process.stderr if "another process" in line)
        assert str(result.parent.relative_to(tmp_path)) in waiting
        result.write_text(content)  # the other one has ended it
    finish(process)
    assert (result.parent / "train.log").read_text().count("parameters in") == 1  # trained once
    assert result.read_text() == content


def test_a_failing_cell_fails_alone_and_gets_another_chance(command, study, tmp_path):
    factors = {"dropout": {"too much": {"set": "model.dropout=2"}, "some": {"set": "model.dropout=0.1"}}}
    arguments = study(factors, folds=[0])
    code, out, err = command(*arguments)
    assert code == 1
    (failed,) = [line for line in err.splitlines() if line.startswith("failed: ")]
    assert "model.dropout=2: choose a number from 0 to less than 1" in failed
    assert "Traceback" not in err
    cells = cells_of(tmp_path)
    failure = json.loads((tmp_path / "study" / cells["too much"] / "fold0_seed0" / "failure.json").read_text())
    assert "model.dropout=2" in failure["error"]
    assert f"{cells['some']}/fold0_seed0" in results_of(tmp_path)
    assert "0/1" in out
    assert command(*arguments)[0] == 1  # tried again


def test_a_diverging_cell_is_a_result(command, study, tmp_path):
    arguments = study({"rate": {"wild": {"set": ["optimizer=sgd", "optimizer.lr=1e30"]}}}, mode="greedy", folds=[0])
    code, _, err = command(*arguments)
    assert code == 0, err
    assert results_of(tmp_path)[f"{cells_of(tmp_path)['wild']}/fold0_seed0"]["stopped"] == "diverged"
    factor = plan_of(tmp_path)["factors"][0]
    assert factor["chosen"] == "as before"  # the configuration so far stays, and has its line
    assert [value["label"] for value in factor["values"]] == ["as before", "wild"]
    assert factor["values"][0]["cell"] == factor["reference"]


@pytest.fixture
def uninterrupted(study, tmp_path):
    """A study trained in one go: its arguments, and its figures."""
    factors = {"neurons": NEURONS, "activation": ACTIVATION}
    arguments = [*study(factors, mode="greedy"), "trainer.max_epochs=6", "model.dropout=0.2"]
    finish(run_in(tmp_path / "whole", arguments))
    return arguments, figures_of(tmp_path / "whole")


def test_killed_or_shared_out_it_ends_the_same(uninterrupted, tmp_path):
    arguments, expected = uninterrupted
    killed = run_in(tmp_path / "killed", arguments)
    deadline = time.time() + 120
    while not any((tmp_path / "killed").rglob("result.json")) and time.time() < deadline:
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert 0 < len(results_of(tmp_path / "killed")) < len(expected)
    finish(run_in(tmp_path / "killed", arguments))
    assert figures_of(tmp_path / "killed") == expected

    shared = [*arguments, "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    finish(run_in(tmp_path / "shared", shared))
    assert figures_of(tmp_path / "shared") == expected
    for folder in ("whole", "killed", "shared"):
        write_report([tmp_path / folder / "study"], tmp_path / folder / "report")
    tables = {(tmp_path / folder / "report" / "results.csv").read_text() for folder in ("whole", "killed", "shared")}
    assert len(tables) == 1


def test_a_killed_worker_is_made_good(study, tmp_path):
    factors = {"neurons": NEURONS, "activation": ACTIVATION}
    arguments = [*study(factors), "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "trainer.max_epochs=30"]
    process = run_in(tmp_path / "here", [*arguments, "patience=null"])
    deadline = time.time() + 120
    while not any((tmp_path / "here").rglob("last.ckpt")) and time.time() < deadline:
        time.sleep(0.05)
    workers = subprocess.run(["pgrep", "-P", str(process.pid), "-f", "loky"], capture_output=True, text=True)
    for pid in map(int, workers.stdout.split()):  # one is loky's own tracker of resources, which does no training
        if b"resource_tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
            break
    err = finish(process)
    assert "6 of 6 runs done, 0 running, 0 failed" in err
    assert any("resumed after" in log.read_text() for log in (tmp_path / "here").rglob("train.log"))


class MortalLauncher:
    """A launcher of runs that end in a moment, but for those that take their process and all others with them."""

    def __init__(self, deadly: str):
        self.deadly = deadly
        self.batches: list[int] = []

    def launch(self, job_overrides, initial_job_idx):
        self.batches.append(len(job_overrides))
        for overrides in job_overrides:
            path = Path(overrides[0])
            path.mkdir(parents=True, exist_ok=True)
            RunFolder(path).write_text("config.yaml", OmegaConf.to_yaml(configure("model=mlp")))
            with (path / "train.log").open("a") as log:
                log.write("begun")
            if path.name.startswith(self.deadly):
                raise RuntimeError("The worker died. Details follow.")
            RunFolder(path).write_json("result.json", {})
        return [None] * len(job_overrides)


def test_a_run_that_kills_its_process_fails_alone(tmp_path, capsys):
    sweeper = StudySweeper()
    sweeper.launcher, sweeper.launched, sweeper.where = MortalLauncher("deadly"), 0, "study=tiny"
    sweeper.monitor = Monitor("tiny")
    names = ["a", "b", "deadly1", "c", "deadly2", "d"]
    runs = {tmp_path / name: [str(tmp_path / name)] for name in names}
    with sweeper.monitor.watch(list(runs), later=0):
        sweeper.launch(runs)
    assert {path.name for path in runs if (path / "result.json").exists()} == set("abcd")
    reasons = {path.name: reason for path, reason in sweeper.monitor.failures.items()}
    assert reasons == dict.fromkeys(("deadly1", "deadly2"), "its process ended (RuntimeError: The worker died)")
    assert capsys.readouterr().err.splitlines()[-1] == "tiny: 4 of 6 runs done, 0 running, 2 failed"
    assert sweeper.launcher.batches == [6, 1, 3, 1, 1]


def test_a_launcher_that_cannot_begin_is_told(tmp_path):
    class Unable:
        def launch(self, job_overrides, initial_job_idx):
            raise RuntimeError("no such cluster")

    sweeper = StudySweeper()
    sweeper.launcher, sweeper.launched, sweeper.where = Unable(), 0, "study=tiny"
    with pytest.raises(UserError, match="study=tiny: RuntimeError: no such cluster; the same command goes on"):
        sweeper.launch({tmp_path / "a": [], tmp_path / "b": []})


def test_interrupted_by_the_keyboard(study, tmp_path):
    process = run_in(tmp_path / "here", [*study({"neurons": NEURONS}), "trainer.max_epochs=500", "patience=null"])
    deadline = time.time() + 120
    while not any((tmp_path / "here").rglob("last.ckpt")) and time.time() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    try:
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 1
    assert err.splitlines()[-1] == "study=tiny: interrupted; the same command goes on from here"
    assert "Traceback" not in err


@pytest.mark.parametrize("path", ["out", "with blanks", "a=b", "it's", "back\\slash", "back\\\\'both\\"])
def test_any_folder_can_be_named(path):
    override = OverridesParser.create().parse_override(f"hydra.sweep.dir={quoted(Path(path))}")
    assert override.value() == path


def test_submitit_carries_it(study, tmp_path):
    arguments = [*study({"neurons": NEURONS}, folds=[0]), "hydra/launcher=submitit_local"]
    finish(run_in(tmp_path / "cluster", arguments))
    assert len(results_of(tmp_path / "cluster")) == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["study.only=[neuron]"], "study.only=neuron: unknown; choose one of neurons"),
        (["study.only=[neurons/9]"], "study.only=neurons/9: unknown; choose one of neurons/16, neurons/8"),
        (["study.mode=random"], "study.mode=random: unknown; choose one of around, greedy"),
        (["study.folds=[0,7]"], "study.folds=7: choose a whole number from 0 to 4"),
        (["study.only=[]"], "study.only=[]: nothing to train"),
        (["study.folds=[]"], "study.folds"),
        (["data.folds=many"], "data.folds=many: choose a whole number from 2 on"),
        (["data.folds=1000"], "the reference can't be trained: data.folds"),
        (["study.seeds=[0,4294967296]"], "the reference can't be trained: seed=4294967296"),
        (["trainer.max_epochs=0"], "the reference can't be trained: trainer.max_epochs=0"),
        (["threads=0"], "the reference can't be trained: threads=0"),
        (["study.folds=[null]", "study.mode=greedy"], "study.folds: a greedy study chooses by validation accuracy"),
        (["+study.fold=3"], "fold: no such key"),
        (["model=cnn"], "neurons/16: model.hidden_layers: no such key here"),
        (["seed=1,2"], "study.seeds"),
        (["data.fold=1"], "study.folds"),
        (["model.neurons=8,16"], "a study varies its factors alone"),
        (["model.neuron=8"], "model.neuron"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_trained(command, study, tmp_path, arguments, said):
    code, _, err = command(*study({"neurons": NEURONS}), *arguments)
    assert code == 1
    assert said in only_line(err)
    assert not results_of(tmp_path)


@pytest.mark.parametrize(
    ("factors", "said"),
    [
        ({}, "study.factors={}: give factor → value → what sets it"),
        ({"a": {}}, "study.factors.a has no values"),
        ({"a": {"b": 3}}, "a/b: give {set: overrides"),
        ({"a": {"b": {"set": "model.neuron=3"}}}, "a/b: model.neuron: no such key"),
        ({"a": {"b": {"set": "optimizer=adamant"}}}, "a/b: optimizer=adamant: unknown; choose one of adam"),
        ({"a": {"b": {"set": "neurons"}}}, "a/b: set: neurons is no override"),
        ({"a": {"b": {"set": "model.neurons=[1"}}}, "a/b: model.neurons=[1: can't be read"),
        ({"a": {"b": {"set": "seed=1"}}}, "a/b: set: seed=1 is not for a value; a study has study.folds"),
        ({"a": {"b": {"set": "hydra.sweep.dir=x"}}}, "a/b: set: hydra.sweep.dir=x is not for a value"),
        ({"a": {"b": {"put": "neurons"}}}, "a/b: put: no such key"),
        ({"a": {"b": {"published": 3}}}, "a/b: set is missing"),
        ({"a": {"b": {"set": "model.neurons=1", "published": "much"}}}, "a/b: published: much is no accuracy in %"),
        ({"a": {"b": {"set": "model.neurons=1", "rank": 0}}}, "a/b: rank=0: choose a whole number from 1"),
        (
            {"a": {"b": {"set": "model.neurons=1", "claim": "great"}}},
            "a/b: claim=great: unknown; choose one of better, worse",
        ),
    ],
)
def test_factors_that_cannot_be(command, study, tmp_path, factors, said):
    code, _, err = command(*study(factors))
    assert code == 1
    assert said in only_line(err)
    assert not results_of(tmp_path)


def test_a_greedy_study_without_a_validation_accuracy(command, study, tmp_path):
    arguments = study({"rate": {"wild": {"set": "optimizer.lr=1e31"}}}, mode="greedy", folds=[0])
    code, _, err = command(*arguments, "optimizer=sgd", "optimizer.lr=1e30")
    assert code == 1
    (error,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert "rate: no value has a validation accuracy in every run" in error


def test_a_reference_that_cannot_be_built(command, glyphs, tmp_path):
    code, _, err = command("-m", "study=mlp", *glyphs, "model=cnn")
    assert code == 1
    assert only_line(err).startswith("error: study=mlp: the reference can't be trained: model=cnn: ")
    assert not list((tmp_path / "outputs").rglob("failure.json"))


def test_one_study_at_a_time(command):
    code, _, err = command("-m", "study=mlp,cnn", "data=glyphs")
    assert code == 1
    assert "error: study=mlp: name one study" in err
    assert "Traceback" not in err


def test_a_study_needs_a_multirun(command):
    code, _, err = command("study=mlp")
    assert code == 1
    assert only_line(err) == "error: study=mlp: a study is many runs; add -m"


def test_the_sweeper_needs_a_study(command):
    code, _, err = command("-m", "hydra/sweeper=study", "data=glyphs")
    assert code == 1
    assert only_line(err).startswith("error: hydra/sweeper=study: no study chosen")


@pytest.mark.parametrize(
    ("name", "override"),
    [("mlp", "model.hidden_layers=2"), ("mlp", "optimizer.lr=0.05"), ("resnet", "model.blocks=[1,1,1]")],
)
def test_the_command_line_is_read_against_the_reference(name, override):
    """Else the key would be none of the default model's. What a value is called after, it keeps."""
    config = configure(f"study={name}", override)
    for values in config.study.factors.values():
        for label, value in values.items():
            own = [value.set] if isinstance(value.set, str) else value.set
            made = configure(*merge(merge(config.study.reference, [override]), own))
            if rate := re.fullmatch(r"(\w+) (0\.\d+)", label):
                assert (made.optimizer.name.lower(), made.optimizer.lr) == (rate[1].lower(), float(rate[2]))


@pytest.mark.parametrize("name", ["mlp", "cnn", "resnet"])
def test_the_reports_studies(name):
    config = OmegaConf.load(train.CONF / "study" / f"{name}.yaml")
    study = read_study(name, OmegaConf.to_container(config.study), 5)
    published = {f"{f.name}/{v.label}": v.published for f in study.factors for v in f.values}
    best = {"mlp": 86.14, "cnn": 89.70, "resnet": 90.84}
    assert max(figure for figure in published.values() if figure is not None) == best[name]
    assert study.folds == (0, 1, 2, 3, 4)
    assert study.reference[0] == f"experiment={config.defaults[0]['override /experiment']}"
    factors = [factor.name for factor in study.factors]
    if name == "cnn":
        assert study.mode == "greedy"
        assert factors == [
            "layers",
            "kernel_sizes",
            "activation",
            "optimizer",
            "scheduler",
            "batch_norm",
            "dropout",
            "regularization",
        ]
        assert published["optimizer/SGD 0.001"] == 77.50
    else:
        assert study.mode == "around"
        assert {"batch_norm", "regularization", "dropout", "augmentation", "optimizer", "scheduler"} < set(factors)
