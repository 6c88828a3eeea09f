import gzip
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from emnist import train
from emnist.data.sources.emnist import PARTS
from emnist.training.fit import fit


@pytest.fixture(scope="session")
def glyphs(tmp_path_factory) -> list[str]:
    """Overrides for a small set of drawn characters: 47 × 40 training and 47 × 10 test images."""
    root = tmp_path_factory.mktemp("glyphs")
    return ["data=glyphs", f"data.root={root}", "data.train_per_class=40", "data.test_per_class=10"]


@pytest.fixture
def small(glyphs) -> list[str]:
    """Overrides for a run of seconds: three epochs of a narrow MLP on the small glyphs, with some of everything."""
    mlp = ["model=mlp", "model.hidden_layers=1", "model.neurons=32", "model.dropout=0.2"]
    return [*glyphs, *mlp, "regularization=l1", "trainer.max_epochs=3", "trainer.accelerator=cpu"]


def configure(*overrides: str):
    """The configuration that these overrides give on the command line."""
    with initialize_config_dir(str(train.CONF), version_base="1.3"):
        return compose("train", list(overrides))


def train_in(folder: Path, *overrides: str, resume: bool = False) -> dict:
    """Train in this process, with the configuration that these overrides give; returns the result."""
    folder.mkdir(parents=True, exist_ok=True)
    return fit(configure(*overrides), folder, resume)


@pytest.fixture
def command(monkeypatch, tmp_path, capsys):
    """`python -m emnist.train …` in this process: returns exit code, stdout and stderr."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", ["emnist.train", *arguments])
        code = 0
        try:
            train.main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        out, err = capsys.readouterr()
        return code, out, err

    return run


def write_idx(path: Path, array: np.ndarray) -> None:
    """A uint8 array as an idx file, compressed if the name says so."""
    header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
    content = header + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_emnist(root: Path, split: str = "balanced", classes: int = 47, first: int = 0, suffix: str = ".gz") -> Path:
    """A tiny EMNIST of noise under `root`: per class 6 training and 2 test images. Returns the folder of the files."""
    folder = root / "EMNIST" / "raw"
    folder.mkdir(parents=True)
    random = np.random.RandomState(0)
    for part in PARTS:
        per_class = 6 if "train" in part else 2
        labels = np.repeat(np.arange(classes), per_class).astype(np.uint8) + first
        images = random.randint(0, 256, (len(labels), 28, 28)).astype(np.uint8)
        write_idx(folder / f"emnist-{split}-{part}-ubyte{suffix}", images if "images" in part else labels)
    return folder


def heed_ctrl_c() -> None:
    """For a child about to start: what runs in a shell's background passes deafness to Ctrl-C on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


real_data = pytest.mark.skipif(
    "EMNIST_ROOT" not in os.environ, reason="needs real handwriting: set EMNIST_ROOT to a folder that holds EMNIST/raw/"
)
