import re
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from emnist.data import __main__ as data_command
from emnist.data.sources import load_dataset
from emnist.data.sources.emnist import FILES, MERGED
from emnist.data.sources.glyphs import draw
from tests.fixtures.commands import run_command
from tests.fixtures.idx_files import write_emnist, write_idx
from tests.fixtures.sets import write_pictures


@pytest.fixture
def run(tmp_path):
    """Run the command in a folder of its own; returns exit code, stdout and stderr, each in lines."""

    def command(*arguments: object):
        code, out, err = run_command(tmp_path, *arguments, main=data_command.main)
        return code, out.splitlines(), err.splitlines()

    return command


def test_the_card(run, glyphs, characters, tmp_path):
    code, out, err = run(*glyphs, "--out=card")
    assert (code, err) == (0, [])
    assert out[0] == "glyphs"
    assert out[-1] == "card/card.md"
    text = (tmp_path / "card" / "card.md").read_text()
    for fact in ("1,880 for training, 470 for testing", "47 of 40 training images each", "28 × 28 pixels, 1 channel"):
        assert fact in text
        assert any(fact in line for line in out)
    assert characters.fingerprint in text
    pictures = re.findall(r"\]\((figures/.*?)\)", text)
    assert len(pictures) >= 2
    assert all(Image.open(tmp_path / "card" / picture).width > 500 for picture in pictures)
    assert "wrong" not in text


def test_the_card_of_own_pictures_names_their_files(run, tmp_path):
    paths = write_pictures(tmp_path / "mine", [0, 1, 2] * 10, (20, 30, 3))
    shutil.copy(paths[0], paths[3])
    code, out, err = run("data=folder", f"data.root={tmp_path / 'mine'}", "data.channels=3", "--out=card")
    assert (code, err) == (0, [])
    assert any("28 × 28 pixels, 3 channels" in line for line in out)
    table = pd.read_csv(tmp_path / "card" / "duplicates.csv")
    (equal,) = table[table["kind"] == "equal"].itertuples()
    assert {equal.file, equal.other_file} == {str(paths[0]), str(paths[3])}
    for number, part, file in (
        (equal.image, equal.set, equal.file),
        (equal.other_image, equal.other_set, equal.other_file),
    ):
        data = load_dataset("folder", root=str(tmp_path / "mine"), channels=3)
        assert {"training": data.train_files, "test": data.test_files}[part][number] == file


def test_planted_duplicates_in_unbalanced_data(run, tmp_path):
    """Two equal training images with different labels, one in the test set, and a test image shifted by a pixel."""
    folder = write_emnist(tmp_path)
    images = draw(8, seed=0).numpy()  # [8, 47, 28, 28]
    train, test = images[:6].reshape(-1, 28, 28), images[6:].reshape(-1, 28, 28)
    labels, test_labels = (np.tile(np.arange(47, dtype=np.uint8), n) for n in (6, 2))
    train[1], test[5], test[7] = train[0], train[2], np.roll(train[10], 1, axis=1)
    test_labels[5], test_labels[7] = labels[2], labels[10]
    train, labels = train[:-40], labels[:-40]
    for part, array in zip(FILES, (train, labels, test, test_labels), strict=True):
        array = array.transpose(0, 2, 1) if array.ndim == 3 else array  # as the files hold them
        write_idx(folder / f"emnist-balanced-{part}-ubyte.gz", array)
    code, out, err = run(f"data.root={tmp_path}")
    assert (code, err) == (0, [])
    assert any("47, from 5 training images (7) to 6 (0), imbalance ratio 1.2" in line for line in out)
    table = pd.read_csv(tmp_path / "outputs" / "data" / "duplicates.csv", dtype=str)
    found = [tuple(row) for row in table.drop(columns="distance").itertuples(index=False)]
    assert found[:2] == [
        ("equal", "training", "1", "1", "training", "0", "0"),
        ("equal", "test", "5", MERGED[2], "training", "2", MERGED[2]),
    ]
    assert ("nearly equal", "test", "7", MERGED[10], "training", "10", MERGED[10]) in found
    assert "| training images equal to another training image | 1 | 1 |" in (
        tmp_path / "outputs" / "data" / "card.md"
    ).read_text(encoding="utf-8")


def test_without_the_search_for_near_duplicates(run, glyphs, tmp_path):
    code, out, _ = run(*glyphs, "--no-near")
    assert code == 0
    assert not any("nearly" in line for line in out)
    assert not (tmp_path / "outputs" / "data" / "figures" / "duplicates.png").exists()


def test_labels_that_look_wrong(run, glyphs, trained, characters, tmp_path):
    code, out, err = run(*glyphs, "--no-near", "--runs", trained.path)
    assert (code, err) == (0, [])
    assert any(line.strip() == "runs of 1 of 5 folds: the other training images were not looked at" for line in out)
    table = pd.read_csv(tmp_path / "outputs" / "data" / "labels.csv", dtype={"label": str, "suggested": str})
    assert len(table)
    given = [characters.classes[characters.train_labels[i]] for i in table["image"]]
    assert table["label"].tolist() == given
    assert (table["label"] != table["suggested"]).all()
    assert (table["probability_suggested"] > table["probability_label"]).all()
    text = (tmp_path / "outputs" / "data" / "card.md").read_text()
    assert "figures/labels.png" in text
    assert "figures/label_pairs.png" in text


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["letters"], "letters: give keys of data with their values, such as data=emnist data.split=letters"),
        (["model=mlp"], "model=mlp: not a key of data; give keys such as data=emnist data.split=letters"),
        (["data=letters"], "data=letters: unknown; choose one of "),
        (["data.split=letter"], "data.split=letter: unknown; choose one of balanced, "),
        (["data.colour=3"], "data.colour: no such key here; "),
        (["data.split=letters,digits"], "data.split=letters,digits: several values; a card is of one data set"),
        (["GLYPHS", "--runs", "nowhere"], "nowhere: no such folder; give one with runs, such as outputs"),
        (["GLYPHS", "data.glyph_seed=1", "--runs", "RUN"], "RUN: trained on glyphs, "),
        (["GLYPHS", "--runs", "RUN", "OTHER"], "RUN, OTHER: runs of 2 configurations; give those of one, "),
    ],
)
def test_wrong_input(run, glyphs, trained, trained_small, arguments, error, tmp_path):
    given = [part for one in arguments for part in (glyphs if one == "GLYPHS" else [one])]
    folders = {"RUN": str(trained.path), "OTHER": str(trained_small)}
    code, out, err = run(*(folders.get(part, part) for part in given), "--no-near")
    for name, folder in folders.items():
        error = error.replace(name, folder)
    assert (code, out, len(err)) == (1, [], 1)
    assert err[0].startswith(f"error: {error}")
    assert not (tmp_path / "outputs").exists()


def test_runs_that_have_not_finished(run, glyphs, finished):
    (finished / "result.json").unlink()
    code, _, err = run(*glyphs, "--runs", finished)
    assert code == 1
    assert err == [f"error: {finished}: no finished run in it; finish one with python -m emnist.train resume=FOLDER"]


def test_a_run_whose_checkpoint_is_gone(run, glyphs, finished):
    shutil.rmtree(finished / "checkpoints")
    code, _, err = run(*glyphs, "--no-near", "--runs", finished)
    assert code == 1
    assert err[0].startswith(f"error: {finished}: not the folder of a run with a finished epoch")
