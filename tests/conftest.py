import sys

import pytest

from emnist import train


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
