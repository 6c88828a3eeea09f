"""Benchmarks that are made for other hardware than the tests run on."""

import runpy
import sys
from pathlib import Path

import pytest
import torch

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def gpu(monkeypatch, capsys):
    """`python benchmarks/gpu.py …`, in this process; returns what it prints."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["gpu.py", *arguments])
        runpy.run_path(str(BENCHMARKS / "gpu.py"), run_name="__main__")
        return capsys.readouterr().out

    return run


def test_gpu_without_a_gpu(gpu, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit, match="^no CUDA device: [^\\n]*$"):
        gpu()


def test_gpu_tiny(gpu):
    shown = gpu("--tiny", "--rounds", "1", "--processes", "--models", "cnn_best")
    for contender in ("plain, 32-bit", "bare loop, bf16", "compile=off", "compile=auto"):
        assert shown.count(contender) == 1
