import dataclasses
import hashlib
import http.server
import threading
from functools import partial

import numpy as np
import pytest
import torch
import torchvision

from emnist.data.sources import load_dataset, torchvision_sets
from emnist.data.sources.torchvision_sets import SETS, load_torchvision
from emnist.errors import UserError
from tests.fixtures.configuration import configure
from tests.fixtures.sets import made_up, write_set


@pytest.mark.parametrize("suffix", [".gz", ""])
@pytest.mark.parametrize("split", ["mnist", "kmnist", "fashion", "qmnist"])
def test_reads_what_torchvision_reads(tmp_path, split, suffix):
    write_set(tmp_path, split, suffix="")
    theirs = getattr(torchvision.datasets, SETS[split].name)(str(tmp_path), train=False)
    if suffix:
        write_set(tmp_path / "compressed", split)
    ours = load_torchvision(str(tmp_path / "compressed" if suffix else tmp_path), split)
    assert torch.equal(ours.test_images, theirs.data)
    targets = theirs.targets[:, 0] if theirs.targets.ndim == 2 else theirs.targets
    assert torch.equal(ours.test_labels, targets)
    assert ours.image_shape == (1, 28, 28)
    assert not torch.equal(ours.train_images, ours.test_images)
    if split != "qmnist":
        names = [name.partition(" - ")[0] for name in theirs.classes]
        assert list(ours.classes) == names


def test_reads_usps_as_torchvision_does(tmp_path):
    folder = write_set(tmp_path, "usps")
    theirs = torchvision.datasets.USPS(str(folder), train=True)
    ours = load_torchvision(str(tmp_path), "usps")
    assert np.array_equal(ours.train_images.numpy(), theirs.data)
    assert ours.train_labels.tolist() == theirs.targets
    assert ours.image_shape == (1, 16, 16)
    assert abs(ours.train_images.numpy().astype(int) - made_up(np.arange(20) % 10, (16, 16), 0)).max() <= 1


def test_every_set_has_its_configuration(tmp_path):
    for split in SETS:
        data = configure(f"data={split}").data
        assert (data.name, data.split) == ("torchvision", split)
        assert len(torchvision_sets.checksums(split)) == len(SETS[split].files)


def test_is_called_what_it_is(tmp_path, monkeypatch):
    folder = write_set(tmp_path, "mnist")
    assert load_torchvision(str(tmp_path), "mnist").official is False
    monkeypatch.setitem(SETS, "mnist", dataclasses.replace(SETS["mnist"], sizes=(20, 20)))
    sums = [hashlib.md5((folder / name).read_bytes()).hexdigest() for name in SETS["mnist"].files]
    for known, official in ((sums, True), (sums[::-1], False)):
        monkeypatch.setattr(torchvision_sets, "checksums", lambda split, known=known: known)
        torchvision_sets._read.cache_clear()
        data = load_torchvision(str(tmp_path), "mnist")
        assert data.official is official
    write_set(tmp_path / "plain", "mnist", suffix="")
    data = load_torchvision(str(tmp_path / "plain"), "mnist")
    assert data.official is None
    assert data.describe() == "MNIST, 20 + 20 images, the official sizes, contents not verified"
    torchvision_sets._read.cache_clear()


@pytest.mark.parametrize("split", ["mnist", "qmnist", "usps"])
def test_missing_files_are_downloaded(tmp_path, monkeypatch, split):
    folder, kind = write_set(tmp_path / "server", split), SETS[split]
    sums = {name: hashlib.md5((folder / name).read_bytes()).hexdigest() for name in kind.files}
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/"
        own = getattr(torchvision.datasets, kind.name)
        there = [(f"{address}{name}", md5) for name, md5 in sums.items()]
        if split == "mnist":
            monkeypatch.setattr(own, "mirrors", [address])
            monkeypatch.setattr(own, "resources", list(sums.items()))
        elif split == "qmnist":
            monkeypatch.setattr(own, "resources", {"train": there[:2], "test": there[2:]})
        else:
            train, test = ([url, name, md5] for name, (url, md5) in zip(kind.files, there, strict=True))
            monkeypatch.setattr(own, "split_list", {"train": train, "test": test})
        data = load_torchvision(str(tmp_path / "data"), split)
        server.shutdown()
    assert data.fingerprint == load_torchvision(str(tmp_path / "server"), split).fingerprint
    assert {path.name for path in (tmp_path / "data" / kind.name).rglob("*")} == {"raw", *kind.files}


def test_failed_download_says_in_three_lines_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setattr(torchvision.datasets.KMNIST, "mirrors", [(tmp_path / "gone").as_uri() + "/"])
    with pytest.raises(UserError) as error:
        load_torchvision(str(tmp_path), "kmnist")
    where, files, glyphs = str(error.value).splitlines()
    assert str(tmp_path / "KMNIST" / "raw") in where
    assert "t10k-labels-idx1-ubyte.gz" in files
    assert "data=glyphs" in glyphs
    assert not (tmp_path / "KMNIST" / ".download").exists()


@pytest.mark.parametrize(
    ("split", "name", "content", "message"),
    [
        ("usps", "usps.bz2", b"no bz2", "usps.bz2: damaged, or not the file of USPS"),
        ("mnist", "t10k-labels-idx1-ubyte.gz", b"no gzip", "t10k-labels.*truncated or corrupt gzip"),
    ],
)
def test_damaged_files_are_named(tmp_path, split, name, content, message):
    (write_set(tmp_path, split) / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        load_torchvision(str(tmp_path), split)


def test_unknown_set(tmp_path):
    with pytest.raises(UserError, match="data.split=svhn: unknown; choose one of mnist, kmnist, fashion, qmnist, usps"):
        load_dataset("torchvision", root=str(tmp_path), split="svhn")
