from functools import partial

import pytest

from emnist import claims
from tests.fixtures.commands import run_command


@pytest.fixture
def run(tmp_path):
    """Run the command in a folder of its own; returns exit code, stdout and stderr."""
    return partial(run_command, tmp_path, main=claims.main)


def test_the_cnn_of_the_reference_report(run):
    code, out, _ = run("cnn", "--images", "18800")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 120
    assert "2 of 8 steps exceed the sampling error of 18,800 test images" in out
    rows = [line.split() for line in out.splitlines()]
    assert ["SGD", "77.50", "-12.13", "<0.0001", "beyond", "sampling", "error", "238", "2"] in rows
    assert ["ELU", "–", "not", "published"] in rows
    assert ["LeakyReLU", "89.63", "no", "reference", "accuracy"] in rows
    assert "More runs without their predictions can't show the 6 within sampling error" in " ".join(out.split())


@pytest.mark.parametrize(("name", "first"), [("mlp", "No step can be tested"), ("resnet", "3 of 10 steps exceed")])
def test_the_other_examples(run, name, first):
    code, out, _ = run(name, "--images", "18800")
    assert code == 0
    assert first in out


def test_given_disagreement(run):
    _, out, _ = run("-", "--images=18800", "--disagreement=3", stdin=b"ReLU,90.60\nELU,90.20\nSiLU,90.60\n")
    assert out.startswith("standard input: test accuracy in %")
    assert "0 of 2 steps exceed the sampling error" in out
    assert "right on 3% of the images, a paired test shows 1 of 2 steps." in " ".join(out.split())
    assert next(line.split()[-2:] for line in out.splitlines() if "SiLU" in line) == ["1.0000", "–"]


def test_write_a_study(run, tmp_path):
    (tmp_path / "my table.csv").write_text("activation;accuracy\n[b]GELU[/b];90.1\nReLU;90.6\n", encoding="utf-8-sig")
    code, out, _ = run("my table.csv", "--images=18800", "--out=my studies/rates.yaml", "--model=mlp")
    assert code == 0
    assert "[b]GELU[/b]" in out
    *_, missing, command = out.splitlines()
    assert missing == "my studies/study/rates.yaml: write the overrides of activation/[b]GELU[/b], then"
    assert command == "python -m emnist.train --config-dir 'my studies' -m study=rates"
    assert (tmp_path / "my studies" / "study" / "rates.yaml").exists()
    code, out, err = run("my table.csv", "--images=18800", "--out=my studies/rates.yaml")
    assert (code, out) == (1, "")
    assert err == (
        "error: --out=my studies/rates.yaml: my studies/study/rates.yaml exists; delete it or choose another name\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cnn2", "--images=9"], "cnn2: no such file; the examples are cnn, mlp, resnet"),
        (["folder", "--images=9"], "folder: can't be read (Is a directory)"),
        (["latin.csv", "--images=9"], "latin.csv: not UTF-8; save the table as CSV UTF-8"),
        (
            ["bad.csv", "--images=9"],
            "bad.csv, row 2, column accuracy: ?: not a number; write an accuracy in %, or nothing",
        ),
        (["-", "--images=9"], "standard input: empty; give a header and rows such as: ReLU,90.60"),
        (
            ["cnn", "--images=9", "--factor-column=step"],
            "cnn, column=step: unknown; choose one of factor, value, accuracy, reference",
        ),
        (["cnn", "--images=0"], "--images=0: must be at least 1"),
        (["cnn", "--images=9", "--seeds=0"], "--seeds=0: must be at least 1"),
        (["cnn", "--images=9", "--run-sd=0"], "--run-sd=0.0: must be between 0 and 100 points"),
        (["cnn", "--images=9", "--disagreement=nan"], "--disagreement=nan: must be above 0 and at most 100%"),
        (
            ["cnn", "--images=9", "--out=a.txt"],
            "--out=a.txt: give a name of letters, digits, - and _ that ends in .yaml",
        ),
    ],
)
def test_errors_are_one_line(run, tmp_path, arguments, message):
    (tmp_path / "folder").mkdir()
    (tmp_path / "latin.csv").write_bytes(b"value,accuracy\nm\xe9thode,90\n")
    (tmp_path / "bad.csv").write_text("value,accuracy\nReLU,?\n")
    assert run(*arguments) == (1, "", f"error: {message}\n")
