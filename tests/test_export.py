import json
import sys
from functools import partial

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import yaml

import emnist
from emnist import export
from emnist.inference import deployed
from emnist.runs.folder import RunFolder
from tests.fixtures.commands import run_command


@pytest.fixture
def run(tmp_path):
    """Run the command in a folder of its own; returns exit code, stdout and stderr."""
    return partial(run_command, tmp_path, main=export.main)


def run_snippet(folder, monkeypatch, capsys) -> str:
    """What the code in the model card prints, in its folder."""
    monkeypatch.chdir(folder)
    snippet = (folder / "README.md").read_text().split("```python\n")[1].split("```")[0]
    exec(snippet, {})
    return capsys.readouterr().out


def test_onnx_in_32_and_8_bits(run, trained, characters, tmp_path, monkeypatch, capsys):
    code, out, err = run(trained.path, "--int8", f"--out={tmp_path}")
    assert (code, err) == (0, "")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["README.md", "model.int8.onnx", "model.onnx"]
    assert "of the run's at batches of 1, 7 and 512" in out
    assert "model.int8.onnx: " in out
    assert "calibrated on 1,024 training images" in out
    result, classifier = trained.read_result(), emnist.load_run(trained.path)
    rows = {line.split()[0]: line.split()[1:] for line in out.splitlines() if line.startswith(" model.")}
    assert rows["model.onnx"][0] == f"{result.test_accuracy:.2%}"
    assert abs(float(rows["model.int8.onnx"][0].rstrip("%")) - 100 * result.test_accuracy) < 5
    assert all(float(speed.replace(",", "")) > 0 for row in rows.values() for speed in row[1:])

    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    about = session.get_modelmeta().custom_metadata_map
    assert tuple(json.loads(about["classes"])) == classifier.classes
    assert about["test_accuracy"] == f"{result.test_accuracy:.4f}"
    assert float(about["temperature"]) == classifier.temperature == result.temperature
    for batch in (1, 7, 512):
        images = characters.train_images[:batch]
        (probabilities,) = session.run(None, {"images": images.numpy()})
        assert np.allclose(probabilities, classifier.predict(images).numpy(), atol=1e-5)
    small = {entry.key: entry.value for entry in onnx.load(tmp_path / "model.int8.onnx").metadata_props}
    assert small == {**about, "layers": "int8", "test_accuracy": small["test_accuracy"]}
    assert f"{float(small['test_accuracy']):.1%}"[:3] == rows["model.int8.onnx"][0][:3]

    card = (tmp_path / "README.md").read_text()
    metrics = yaml.safe_load(card.split("---\n")[1])["model-index"][0]["results"][0]["metrics"]
    assert metrics[0]["value"] == round(result.test_accuracy, 4)
    assert f"| `model.int8.onnx` | {rows['model.int8.onnx'][0]} |" in card
    assert run_snippet(tmp_path, monkeypatch, capsys).startswith("['")


def test_torch(run, finished, characters, monkeypatch, capsys):
    code, out, err = run(finished, "--format=torch")
    assert (code, err) == (0, "")
    folder = finished / "export"
    assert sorted(path.name for path in folder.iterdir()) == ["README.md", "model.pt2"]
    assert f"{folder / 'model.pt2'}: " in out
    extra = {"metadata.json": ""}
    program = torch.export.load(folder / "model.pt2", extra_files=extra).module()
    classifier = emnist.load_run(finished)
    for batch in (1, 7, 512):
        images = characters.train_images[:batch]
        assert torch.allclose(program(images), classifier.predict(images), atol=1e-6)
    assert tuple(json.loads(json.loads(extra["metadata.json"])["classes"])) == classifier.classes
    assert run_snippet(folder, monkeypatch, capsys).startswith("['")


def test_a_model_that_differs_is_not_written(run, trained_small, tmp_path, monkeypatch):
    monkeypatch.setattr(deployed, "TOLERANCE", -1)
    code, out, err = run(trained_small, f"--out={tmp_path / 'out'}")
    assert (code, out) == (1, "")
    assert err.startswith(f"error: {tmp_path / 'out' / 'model.onnx'}: not written, since its probabilities differ")
    assert not (tmp_path / "out").exists()


def test_errors_are_one_line(run, finished, tmp_path, monkeypatch):
    _, _, err = run(tmp_path)
    assert err.startswith(f"error: {tmp_path}: not the folder of a run with a finished epoch")
    code, _, err = run(finished, "--format=keras")
    assert code == 2
    assert "invalid choice: 'keras'" in err
    _, _, err = run(finished, "--format=torch", "--int8")
    assert err == "error: --int8 with --format=torch: only ONNX models are quantised; leave one of them out\n"

    folder = RunFolder(finished)
    result = folder.read_result()
    result.data.fingerprint = "another"
    folder.write_result(result)
    _, out, err = run(finished, "--int8")
    assert err.startswith("error: data.root=")
    assert "are not the images of the run" in err
    assert (out, err.count("\n")) == ("", 1)

    folder.result.unlink()
    _, _, err = run(finished)
    assert err == f"error: {finished}: the run is unfinished; finish it with python -m emnist.train resume={finished}\n"

    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "onnxruntime", None)
        _, _, err = run(finished)
    assert err == 'error: export to ONNX needs onnx, onnxscript and onnxruntime: pip install "emnist[onnx]"\n'
    assert not (finished / "export").exists()
