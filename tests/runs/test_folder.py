"""File formats of a run folder: written, read back, damaged, of another version, of another program."""

import json
import subprocess
import sys

import numpy as np
import pytest
from omegaconf import OmegaConf

from emnist.errors import UserError
from emnist.runs.folder import RunFolder
from emnist.runs.plan import Plan, PlannedFactor, PlannedValue
from emnist.runs.stored import DamagedFile
from tests.fixtures.commands import environment


def test_a_result_is_what_was_written(trained, tmp_path):
    result, copy = trained.read_result(), RunFolder(tmp_path)
    copy.write_result(result)
    assert copy.read_result() == result
    assert json.loads(copy.result.read_text())["format"] == "emnist.result/1"
    assert copy.has_run
    assert copy.has_ended


def test_files_of_version_0_1_have_no_format(trained, tmp_path):
    content = json.loads(trained.result.read_text())
    del content["format"]
    folder = RunFolder(tmp_path)
    folder.result.write_text(json.dumps(content))
    assert folder.read_result() == trained.read_result()
    folder.failure.write_text(json.dumps({"error": "no space", "config": content["config"]}))
    assert folder.read_failure().error == "no space"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"format": "emnist.result/2"}', "format emnist.result/2, but this version of emnist reads emnist.result/1"),
        ('{"format": "emnist.result/1"}', r"damaged \(test_loss: Field required\); delete it, then resume"),
        ('{"test_loss": 0.', r"damaged \(.*\); delete it, then resume"),
    ],
)
def test_a_result_that_cannot_be_read_is_named(tmp_path, content, message):
    folder = RunFolder(tmp_path)
    folder.result.write_text(content)
    with pytest.raises(UserError, match=f"result.json: {message}"):
        folder.read_result()


@pytest.mark.parametrize("content", ["[1]", "{}", '{"config": {"data": 1}}', '{"format": "other"}', '{"format": 3}'])
def test_a_result_of_another_program_is_none(tmp_path, content):
    folder = RunFolder(tmp_path)
    folder.result.write_text(content)
    assert folder.read_result() is None


def test_metrics_and_predictions(tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.read_metrics() == []
    assert folder.read_predictions("label") is None
    rows = [{"epoch": 1, "val_loss": 0.1 + 0.2}, {"epoch": 2, "val_loss": 1e-9}]
    folder.write_metrics(rows)
    assert folder.read_metrics() == rows
    label, probabilities = np.arange(3), np.eye(3, dtype=np.float32)
    folder.write_predictions(label=label, predicted=label[::-1], probabilities=probabilities)
    predicted, shown = folder.read_predictions("predicted", "probabilities")
    assert predicted.tolist() == [2, 1, 0]
    assert np.array_equal(shown, probabilities)
    folder.predictions.write_bytes(b"half")
    with pytest.raises(UserError, match=r"predictions.npz: damaged \(.*\); delete result.json beside it"):
        folder.read_predictions("label")


def test_the_configuration_is_ours_or_an_error(trained, tmp_path):
    folder = RunFolder(tmp_path)
    with pytest.raises(UserError, match="not the folder of a run .*config.yaml is missing"):
        folder.read_config()
    config = OmegaConf.to_container(trained.read_config())
    folder.hydra_config.parent.mkdir()
    folder.hydra_config.write_text(OmegaConf.to_yaml(config))  # of a run killed before it wrote its own
    assert OmegaConf.to_container(folder.read_config()) == config
    folder.write_config({"a": 1})
    with pytest.raises(UserError, match="config.yaml is not the configuration of one"):
        folder.read_config()
    folder.config.write_text("a: [")
    with pytest.raises(UserError, match="config.yaml: damaged"):
        folder.read_config()


def test_a_plan_is_what_was_written(tmp_path):
    value = PlannedValue(label="on", overrides=["a=1"], published=80.5, rank=1, claim=None, cell="mlp/0")
    factor = PlannedFactor(name="norm", reference="mlp/0", chosen=None, values=[value])
    runs = ["fold0_seed0"]
    plan = Plan(study="mlp", mode="around", runs=runs, reference="mlp/0", overrides=["b=ü"], factors=[factor])
    plan.write(tmp_path / "mlp.json")
    assert Plan.read(tmp_path / "mlp.json") == plan
    content = json.loads((tmp_path / "mlp.json").read_text())
    del content["format"]
    (tmp_path / "mlp.json").write_text(json.dumps(content))
    assert Plan.read(tmp_path / "mlp.json") == plan
    (tmp_path / "mlp.json").write_text('{"format": "emnist.plan/9"}')
    with pytest.raises(UserError, match="format emnist.plan/9, but this version of emnist reads emnist.plan/1"):
        Plan.read(tmp_path / "mlp.json")
    (tmp_path / "mlp.json").write_text("{")
    with pytest.raises(DamagedFile):
        Plan.read(tmp_path / "mlp.json")


def test_reading_runs_needs_no_torch():
    code = "import sys, emnist.runs.folder, emnist.runs.plan, emnist.runs.identity; assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment())
    assert done.returncode == 0, done.stderr
