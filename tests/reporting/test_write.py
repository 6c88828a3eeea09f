"""The report on runs and studies whose metrics are made up, and through its command."""

import csv
import re
import shutil
import sys
from pathlib import Path

import pytest

from emnist.report import main
from emnist.reporting.write import write_report
from emnist.runs.folder import RunFolder
from emnist.runs.identity import run_name
from tests.fixtures.runs import configured, first, images, make_plan, make_run, make_study, value


@pytest.fixture(scope="module")
def made_up(tmp_path_factory) -> Path:
    return make_study(tmp_path_factory.mktemp("made_up") / "study")


@pytest.fixture
def study(made_up, tmp_path) -> Path:
    return Path(shutil.copytree(made_up, tmp_path / "study"))


def markdown_of(folder: Path) -> str:
    write_report([folder], folder.parent / "out")
    return (folder.parent / "out" / "report.md").read_text()


def test_the_files(study, tmp_path, capsys):
    markdown, out = markdown_of(study), tmp_path / "out"
    assert capsys.readouterr().out.splitlines()[0] == "14 runs and 1 plan of studies"
    line = next(line for line in markdown.splitlines() if "| worse | 77.50 |" in line)
    cells = [cell.strip() for cell in line.split("|")]
    assert cells[4:8] == ["80.00 [80.00, 80.00]", "83.95 [81.55, 86.09]", "-6.05 [-7.53, -4.57]", "<0.0001"]
    assert cells[8:12] == ["worse", "lower by 12.13", "yes", "2"]
    assert "| alike | 89.52 |" in markdown
    assert "lower by 0.11, within error" in markdown
    assert "1 of 2 pairs have this sign" in markdown
    assert "the factor broken failed: no | space" in markdown
    assert "**the factor better** is better here, +6.00" in markdown
    assert "- Measured on made-up characters, 2 runs per value, at most 20 epochs." in markdown
    assert "commit abc" in markdown
    assert "best of the MLP by validation: the factor alike" not in markdown  # 90.5 as the start, which comes first
    for name in re.findall(r"\]\((figures/.*?)\)", markdown):
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    html = (out / "report.html").read_text()
    assert html.count("<img") == len(re.findall(r"!\[", markdown)) >= 5
    assert re.search('<td class="bad">worse</td>', html)
    rows = list(csv.DictReader((out / "results.csv").open()))
    assert not any("duration" in column or "per_s" in column for column in rows[0])


def test_runs_outside_of_studies(tmp_path):
    for activation in ("relu", "elu"):
        for fold in (0, 1):
            folder = tmp_path / "runs" / f"{activation}{fold}"
            make_run(folder, first(50), 0.9, (f"model.activation={activation}", f"data.fold={fold}"))
    make_run(tmp_path / "runs" / "again", first(50), 0.9, ("model.activation=elu", "data.fold=1"))
    make_run(tmp_path / "runs" / "other", first(10), 0.99, data=images("easier ones", "e"))
    failed = RunFolder(tmp_path / "runs" / "two")
    failed.write_failure("seed=[1, 2]: no", {**configured(), "seed": [1, 2]})
    markdown = markdown_of(tmp_path / "runs")
    assert "## Runs outside of studies" in markdown
    assert "| MLP | model.activation=relu | 90.00 [90.00, 90.00] | 95.00 [" in markdown
    assert "2 finished, 1 repeated" in markdown
    assert re.search(r"1 failed.*; seed=\[1, 2\]: no", markdown)
    models = markdown.partition("## Runs outside")[0]
    assert "Measured on made-up characters.\n" in models
    assert "not comparable: 1 cell. Measured on easier ones.\n" in models
    assert "99.00" not in models


def test_a_study_without_validation(tmp_path):
    name, folder = run_name(None, 0), tmp_path / "study"
    for label in ("start", "other"):
        make_run(folder / "mlp" / label / name, first(100), None, ("data.fold=null",))
    make_plan(folder, [value("start", "mlp/start"), value("other", "mlp/other")], [name])
    markdown = markdown_of(folder)
    assert "### The reference of the MLP\n\nNo cell has a validation accuracy in all its runs" in markdown
    assert "figures/mlp_confusion.png" in markdown


def test_cells_of_studies_come_before_other_runs(study):
    make_run(study / "lucky", first(1), 0.999)
    models = markdown_of(study).partition("\n## MLP\n")[0]
    assert "99.90" not in models
    assert "of those with all their runs in a study" in models


def test_two_studies_with_one_name(study, tmp_path):
    other = tmp_path / "second"
    make_run(other / "mlp" / "start" / run_name(0, 0), first(3), 0.5)
    for name in ("mlp", "mlp_2"):
        make_plan(other, [value("start", "mlp/start")], [run_name(0, 0)], name)
    write_report([study, other], tmp_path / "report")
    markdown = (tmp_path / "report" / "report.md").read_text()
    pictures = re.findall(r"\((figures/.*?)\)", markdown)
    assert len(pictures) == len(set(pictures))
    assert {f"figures/{name}_curves.png" for name in ("mlp", "mlp_2", "mlp_3")} <= set(pictures)
    studies = {row["study"] for row in csv.DictReader((tmp_path / "report" / "results.csv").open())}
    assert studies == {"mlp", "mlp_2", "mlp_3"}


def test_no_mistakes(tmp_path):
    make_run(tmp_path / "runs" / "one", first(0), 1.0)
    assert "100.00 [99.62, 100.00]" in markdown_of(tmp_path / "runs")


def test_deleted_files(study):
    for name in ("checkpoints/best.ckpt", "predictions.npz"):
        for path in study.rglob(name):
            path.unlink()
    assert "| – | 2 | 1.5 | – | – |" in markdown_of(study)


def test_a_trained_run(trained_small, tmp_path):
    shutil.copytree(trained_small, tmp_path / "runs" / "one")
    markdown = markdown_of(tmp_path / "runs")
    assert "glyphs" in markdown
    assert "| MLP | – |" in markdown


def damage(folder: Path, name: str) -> None:
    for fold in (0, 1):
        make_run(folder / f"{fold}", first(10), 0.9, ("model.activation=relu",) if fold else ())
        (folder / f"{fold}" / name).write_bytes(b"half")


def block_output(folder: Path) -> None:
    make_run(folder, first(9), 0.9)
    (folder.parent / "out").write_text("")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "no such folder; give one with runs"),
        (lambda folder: RunFolder(folder).write_config({"a": 1}), "no runs in it"),
        (block_output, "can't be written"),
        (lambda folder: damage(folder, "result.json"), "result.json: damaged"),
        (lambda folder: damage(folder, "predictions.npz"), "predictions.npz: damaged"),
        (lambda folder: damage(folder, "checkpoints/best.ckpt"), "best.ckpt: not a checkpoint"),
    ],
)
def test_errors_of_the_command_are_one_line(tmp_path, monkeypatch, make, message):
    make(tmp_path / "runs")
    monkeypatch.setattr(sys, "argv", ["report", str(tmp_path / "runs"), f"--out={tmp_path / 'out'}"])
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
    with pytest.raises(SystemExit) as end:
        main()
    said = str(end.value.code)
    assert said.startswith("error: ")
    assert message in said
    assert "\n" not in said
    assert not (tmp_path / "out").is_dir()
