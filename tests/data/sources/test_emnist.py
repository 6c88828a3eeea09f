import hashlib
import http.server
import os
import string
import threading
import zipfile
from functools import partial

import numpy as np
import pytest
import torch
import torchvision

from emnist.data.sources import emnist
from emnist.data.sources.emnist import CLASSES, load_emnist
from emnist.data.sources.idx import read_idx
from emnist.errors import UserError
from tests.fixtures.idx_files import write_emnist, write_idx
from tests.fixtures.real_data import real_data


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_images_are_upright_and_labels_match(tmp_path, suffix):
    folder = write_emnist(tmp_path, suffix=suffix)
    data = load_emnist(str(tmp_path), "balanced")
    stored = read_idx(folder / f"emnist-balanced-train-images-idx3-ubyte{suffix}", 3)
    assert data.train_images.dtype == torch.uint8
    assert data.train_labels.dtype == torch.int64
    assert np.array_equal(data.train_images.numpy(), stored.transpose(0, 2, 1))
    assert data.test_labels.tolist() == sorted(list(range(47)) * 2)


@pytest.mark.parametrize("split", CLASSES)
def test_every_split_has_the_classes_torchvision_gives_it(tmp_path, split):
    first = 1 if split == "letters" else 0
    write_emnist(tmp_path, split, len(CLASSES[split]), first)
    data = load_emnist(str(tmp_path), split)
    reference = torchvision.datasets.EMNIST.classes_split_dict[split]
    assert list(data.classes) == [name for name in reference if name != "N/A"]
    assert data.train_labels.unique().tolist() == list(range(len(data.classes)))


def test_looks_like_torchvisions(tmp_path):
    write_emnist(tmp_path, suffix="")
    theirs = torchvision.datasets.EMNIST(str(tmp_path), "balanced", train=True)
    ours = load_emnist(str(tmp_path), "balanced")
    assert torch.equal(ours.train_images, theirs.data.transpose(1, 2))  # theirs are transposed as the files have them
    assert torch.equal(ours.train_labels, theirs.targets)


def test_is_called_what_it_is(tmp_path, monkeypatch):
    folder = write_emnist(tmp_path)
    data = load_emnist(str(tmp_path), "balanced")
    assert data.official is False
    assert data.describe() == "EMNIST balanced, 282 + 94 images, not the official split"

    labels = [read_idx(folder / f"emnist-balanced-{part}-labels-idx1-ubyte.gz", 1) for part in ("train", "test")]
    digests = tuple(hashlib.sha256(part.tobytes()).hexdigest() for part in labels)
    for sums, official in (({"balanced": digests}, True), ({"balanced": digests[::-1]}, False), ({}, None)):
        monkeypatch.setattr(emnist, "OFFICIAL_SIZES", {"balanced": (282, 94)})
        monkeypatch.setattr(emnist, "OFFICIAL_LABELS_SHA256", sums)
        emnist._read.cache_clear()
        assert load_emnist(str(tmp_path), "balanced").official is official
    emnist._read.cache_clear()


def test_fingerprint_changes_with_a_single_pixel(tmp_path):
    folder = write_emnist(tmp_path)
    before = load_emnist(str(tmp_path), "balanced").fingerprint
    path = folder / "emnist-balanced-test-images-idx3-ubyte.gz"
    images = read_idx(path, 3).copy()
    images[5, 6, 7] ^= 1
    write_idx(path, images)
    after = load_emnist(str(tmp_path), "balanced").fingerprint
    assert before != after
    assert len(after) == 64


def test_moments_are_those_of_the_chosen_images(tmp_path):
    write_emnist(tmp_path)
    data = load_emnist(str(tmp_path), "balanced")
    chosen = torch.tensor([3, 50, 281])
    pixels = data.train_images[chosen].double() / 255
    mean, std = data.mean_and_std(chosen)
    assert mean == pytest.approx(pixels.mean().item(), abs=1e-6)
    assert std == pytest.approx(pixels.std(correction=0).item(), abs=1e-6)


def replace(folder, part, array):
    write_idx(folder / f"emnist-balanced-{part}-ubyte.gz", array)


@pytest.mark.parametrize(
    ("part", "array", "message"),
    [
        ("train-labels-idx1", np.zeros(281), "train-labels.*281 labels.*282 images"),
        ("test-labels-idx1", np.full(94, 47), "test-labels.*labels from 47 to 47.*0 to 46"),
        ("train-images-idx3", np.zeros((282, 28, 27)), "train-images.*28 × 27, not 28 × 28"),
    ],
)
def test_files_that_do_not_fit_are_named(tmp_path, part, array, message):
    replace(write_emnist(tmp_path), part, array.astype(np.uint8))
    with pytest.raises(UserError, match=message):
        load_emnist(str(tmp_path), "balanced")


def test_letters_start_at_one(tmp_path):
    write_emnist(tmp_path, "letters", 26, first=0)
    with pytest.raises(UserError, match="labels from 0 to 25.*1 to 26"):
        load_emnist(str(tmp_path), "letters")


def test_unknown_split(tmp_path):
    with pytest.raises(UserError, match="data.split=cursive: unknown; choose one of balanced, bymerge"):
        load_emnist(str(tmp_path), "cursive")


def test_empty_root():
    with pytest.raises(UserError, match="data.root is empty"):
        load_emnist("", "balanced")


def test_root_that_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="data.root=.*file: not a folder"):
        load_emnist(str(tmp_path / "file"), "balanced")


def test_root_that_may_not_be_read(tmp_path, monkeypatch):
    """Simulated, since to the superuser everything is readable."""

    def refuse(path, *_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.exists", refuse)
    with pytest.raises(UserError, match=f"data.root={tmp_path}: can't be read .Permission denied"):
        load_emnist(str(tmp_path), "balanced")


def test_missing_files_are_downloaded(tmp_path, monkeypatch):
    write_emnist(tmp_path / "server")
    archive = tmp_path / "gzip.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in (tmp_path / "server").rglob("*.gz"):
            file.write(path, f"gzip/{path.name}")
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setattr(torchvision.datasets.EMNIST, "url", f"http://127.0.0.1:{server.server_port}/gzip.zip")
        monkeypatch.setattr(torchvision.datasets.EMNIST, "md5", hashlib.md5(archive.read_bytes()).hexdigest())
        data = load_emnist(str(tmp_path / "data"), "balanced")
        (tmp_path / "data/EMNIST/raw/emnist-balanced-test-labels-idx1-ubyte").unlink()  # as if half were missing
        again = load_emnist(str(tmp_path / "data"), "balanced")
        server.shutdown()
    there = load_emnist(str(tmp_path / "server"), "balanced")
    assert data.fingerprint == again.fingerprint == there.fingerprint
    assert [path.name for path in (tmp_path / "data/EMNIST").iterdir()] == ["raw"]
    images = tmp_path / "data/EMNIST/raw/emnist-balanced-train-images-idx3-ubyte"
    content = bytearray(images.read_bytes())
    content[1000] ^= 1
    images.write_bytes(content)
    with pytest.raises(UserError, match=f"{images}: damaged .*; delete it, and all are downloaded again"):
        load_emnist(str(tmp_path / "data"), "balanced")


def test_failed_download_says_in_three_lines_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(torchvision.datasets.EMNIST, "url", (tmp_path / "gone.zip").as_uri())
    with pytest.raises(UserError) as error:
        load_emnist(str(tmp_path), "balanced")
    where, variable, glyphs = str(error.value).splitlines()
    assert str(tmp_path / "EMNIST" / "raw") in where
    assert "EMNIST_ROOT" in variable
    assert "data=glyphs" in glyphs


@real_data
def test_real_handwriting():
    data = load_emnist(os.environ["EMNIST_ROOT"], "balanced")
    assert "".join(data.classes) == string.digits + string.ascii_uppercase + "abdefghnqrt"
    assert data.train_labels.bincount().unique().numel() == 1
    assert data.test_labels.bincount().unique().numel() == 1
    # Upright: the bar of a T is at its top, that of an L at its bottom.
    for letter, part in (("T", slice(0, 14)), ("L", slice(14, 28))):
        images = data.train_images[data.train_labels == data.classes.index(letter)].float()
        assert images[:, part].mean() > images.flip(1)[:, part].mean() * 1.2
