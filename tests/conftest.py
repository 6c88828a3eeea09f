import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch: the tests run side by side, a process a core

import shutil
from functools import partial
from pathlib import Path

import pytest

from emnist.data.dataset import Dataset
from emnist.data.sources.emnist import load_emnist
from emnist.data.sources.glyphs import load_glyphs
from emnist.runs.folder import RunFolder
from tests.fixtures.commands import run_command
from tests.fixtures.jobs import train_in


@pytest.fixture(scope="session")
def glyphs(tmp_path_factory) -> list[str]:
    """Overrides for a small set of drawn characters: 47 × 40 training and 47 × 10 test images."""
    root = tmp_path_factory.mktemp("glyphs")
    return ["data=glyphs", f"data.root={root}", "data.train_per_class=40", "data.test_per_class=10"]


@pytest.fixture(scope="session")
def small(glyphs) -> list[str]:
    """Overrides for a run of seconds: three epochs of a narrow MLP on the small glyphs, with some of everything."""
    mlp = ["model=mlp", "model.hidden_layers=1", "model.neurons=32", "model.dropout=0.2"]
    return [*glyphs, *mlp, "regularization=l1", "trainer.max_epochs=3", "trainer.accelerator=cpu"]


@pytest.fixture(scope="session")
def characters(glyphs) -> Dataset:
    """The small glyphs themselves."""
    return load_glyphs(glyphs[1].removeprefix("data.root="), 0, 40, 10)


@pytest.fixture(scope="session")
def trained(tmp_path_factory, glyphs) -> RunFolder:
    """The folder of a finished run of a small CNN, three epochs. Read it, don't change it."""
    folder = tmp_path_factory.mktemp("trained")
    cnn = ["model=cnn", "model.filters=[8,16]", "model.kernel_sizes=[3,3]", "model.dropout=0.1"]
    train_in(folder, *glyphs, *cnn, "trainer.max_epochs=3", "trainer.accelerator=cpu")
    return RunFolder(folder)


@pytest.fixture
def finished(tmp_path, trained_small) -> Path:
    """A folder of one's own with the finished run of the overrides `small`."""
    return Path(shutil.copytree(trained_small, tmp_path / "finished"))


@pytest.fixture(scope="session")
def trained_small(tmp_path_factory, small) -> Path:
    """The folder of the finished run of the overrides `small`. Read it, don't change it."""
    folder = tmp_path_factory.mktemp("small")
    train_in(folder, *small)
    return folder


@pytest.fixture
def command(tmp_path):
    """`python -m emnist.train …` in `tmp_path`, in this process: returns exit code, stdout and stderr."""
    return partial(run_command, tmp_path)


@pytest.fixture(scope="session")
def real_test_set():
    """The test images of $EMNIST_ROOT, uint8 [N, 28, 28], and their labels, int64 [N]."""
    data = load_emnist(os.environ["EMNIST_ROOT"], "balanced")
    return data.test_images.numpy(), data.test_labels.numpy()
