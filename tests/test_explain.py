import numpy as np
import pytest
from PIL import Image

import emnist
from emnist import explain
from emnist.runs.folder import RunFolder
from tests.fixtures.commands import run_command
from tests.fixtures.runs import change_result


@pytest.fixture
def run(tmp_path):
    """Run the command in a folder of its own; returns exit code, stdout and stderr, each in lines."""

    def command(*arguments: object):
        code, out, err = run_command(tmp_path, *arguments, main=explain.main)
        return code, out.splitlines(), err.splitlines()

    return command


def test_the_most_confident_mistakes(run, trained, characters, tmp_path):
    code, out, err = run(trained.path, "--mistakes", 5, "--out", "maps")
    assert (code, out, err) == (0, ["maps/explanations.png", "maps/explanations.npz"], [])
    arrays = np.load(tmp_path / "maps" / "explanations.npz")
    assert arrays["images"].shape == arrays["maps"].shape == (5, 28, 28)
    assert (arrays["labels"] != arrays["predicted"]).all()
    confidence = arrays["probabilities"].max(1)
    assert (np.diff(confidence) <= 0).all()
    chosen = arrays["names"].astype(int)
    assert np.array_equal(characters.test_images.numpy()[chosen], arrays["images"])
    label, predicted, probabilities = RunFolder(trained.path).read_predictions("label", "predicted", "probabilities")
    wrong = probabilities[label != predicted].max(1)
    assert confidence == pytest.approx(np.sort(wrong)[::-1][:5], abs=1e-6)
    assert Image.open(tmp_path / "maps" / "explanations.png").width > 500


def test_pictures(run, trained, characters, tmp_path):
    for i in range(2):
        Image.fromarray(255 - characters.test_images[i].numpy()).resize((84, 84)).save(tmp_path / f"{i}.png")
    (tmp_path / "text.png").write_text("hello")
    code, out, err = run(trained.path, "0.png", "text.png", "1.png", "--out", "maps")
    assert code == 1
    assert err == ["error: text.png: not an image"]
    assert len(out) == 2
    arrays = np.load(tmp_path / "maps" / "explanations.npz")
    assert arrays["names"].tolist() == ["0.png", "1.png"]
    read = emnist.load_run(trained.path).read([tmp_path / "0.png", tmp_path / "1.png"])
    assert np.allclose(arrays["probabilities"], read, atol=1e-6)
    assert "labels" not in arrays


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (
            ["nowhere"],
            "nowhere: not the folder of a run with a finished epoch (nowhere/checkpoints/best.ckpt is missing)",
        ),
        (["RUN", "a.png", "--mistakes", "3"], "--mistakes and pictures: give one of them"),
        (["RUN", "RUN"], "RUN: a run among the pictures; give one run, then pictures"),
        (["RUN", "--mistakes", "0"], "--mistakes=0: must be at least 1"),
    ],
)
def test_wrong_arguments(run, trained, arguments, error):
    code, out, err = run(*(trained.path if one == "RUN" else one for one in arguments))
    assert (code, out, err) == (1, [], [f"error: {error}".replace("RUN", str(trained.path))])


def test_a_run_without_a_result(run, finished):
    (finished / "result.json").unlink()
    code, _, err = run(finished)
    assert code == 1
    assert err == [f"error: {finished}: unfinished, so it has no mistakes on the test set; resume it, or name pictures"]


def test_other_images_than_the_run_was_tested_on(run, finished):
    change_result(finished / "result.json", '"glyph_seed": 0', '"glyph_seed": 1')
    code, _, err = run(finished)
    assert code == 1
    assert "are not the images of the run" in err[0]
