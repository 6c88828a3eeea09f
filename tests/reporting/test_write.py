"""The report on runs and studies whose metrics are made up, and through its command."""

import csv
import re
import shutil
import sys
from collections import Counter
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from emnist.report import main
from emnist.reporting.write import write_report
from emnist.runs.folder import RunFolder
from emnist.runs.identity import run_name
from tests.fixtures.configuration import configure
from tests.fixtures.runs import change_result, configured, first, images, make_plan, make_run, make_study, value


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
    worse = cells_of(markdown, "worse")
    assert worse[2:4] == ["77.50", "80.00 [80.00, 80.00]"]
    assert worse[4].startswith("84.00 [81.")
    assert worse[5].startswith("-6.00 [-")
    assert worse[6:] == ["<0.0001", "worse", "lower by 12.13", "yes", "2 against 2"]
    assert "the factor broken failed: no | space" in markdown
    assert "commit abc" in markdown
    assert "The best by validation: the factor alike" not in markdown  # 90.5 as the start, which comes first
    for name in re.findall(r"\]\((figures/.*?)\)", markdown):
        assert (out / name).read_bytes().startswith(b"\x89PNG")
    html = (out / "report.html").read_text()
    assert html.count("<img") == len(re.findall(r"!\[", markdown)) >= 5
    assert html.count("<details>") == markdown.count("<details>") >= 7
    assert re.search('<td class="bad">worse</td>', html)
    assert re.search('<td class="same">equal within 0.5</td>', html)
    rows = list(csv.DictReader((out / "results.csv").open()))
    assert not any("duration" in column or "per_s" in column for column in rows[0])


def cells_of(markdown: str, label: str) -> list[str]:
    """The cells of a value's line in the table of a study."""
    line = next(line for line in markdown.splitlines() if re.match(rf"\|[^|]*\| {label} \|", line))
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def test_verdicts_in_words(study):
    markdown = markdown_of(study)
    assert cells_of(markdown, "alike")[7:] == ["equal within 0.5", "lower by 0.11, within error", "yes", "2 against 2"]
    assert cells_of(markdown, "better")[7:] == ["better", "not higher", "no", "2 against 2"]
    assert cells_of(markdown, "split")[7:10] == ["undecided: more runs and more test images", "lower", "undecided"]
    assert cells_of(markdown, "half")[7:] == ["incomplete", "", "", "of 2 runs: 1 missing"]
    assert cells_of(markdown, "broken")[5:] == ["", "", "", "", "", "of 2 runs: 1 failed, 1 missing"]
    assert cells_of(markdown, "later")[7] == "missing"


def test_it_opens_with_the_headline_the_picture_and_the_contradictions(study):
    blocks = markdown_of(study).split("\n\n")
    assert blocks[1:3] == [
        "## MLP",
        "**2 of 8 values differ from the reference (1 better, 1 worse), 1 is equal within 0.5 points, 1 is undecided, "
        "4 are incomplete, 1 not trained; 1 contradicts the reference report.**",
    ]
    assert blocks[3] == "Measured on made-up characters, 2 runs per value, at most 20 epochs."
    assert blocks[4] == "![Differences with their intervals](figures/mlp_differences.png)"
    (better,) = blocks[5].splitlines()
    assert better.startswith("- **the factor better** is better here, +6.00 [")
    assert blocks[6].startswith("<details>")


def test_the_order_of_the_sections(study):
    make_run(study / "lonely", first(5), 0.9)
    headings = re.findall("^## (.*)", markdown_of(study), re.MULTILINE)
    assert headings == [
        "MLP",
        "The models compared",
        "Try them out",
        "What choosing the epoch on the test set is worth",
        "Runs outside of studies",
        "How to read this",
        "Provenance",
    ]


def test_one_run_per_value(tmp_path):
    for label, wrong in (("start", 100), ("other", 60)):
        make_run(tmp_path / "study" / "mlp" / label / run_name(0, 0), first(wrong), 0.9)
    values = [value("start", "mlp/start"), value("other", "mlp/other", claim="worse")]
    make_plan(tmp_path / "study", values, [run_name(0, 0)])
    markdown = markdown_of(tmp_path / "study")
    assert "**One run per value shows nothing about another training, so there are no verdicts" in markdown
    assert cells_of(markdown, "other")[5] == "+4.00 [+2.78, +5.22]"
    assert cells_of(markdown, "other")[7:] == ["one run: only these two networks", "lower", "undecided", "1"]


def make_decided(folder: Path) -> Path:
    """A study that gave one value two runs and the other four, and the reference twice as many."""
    runs = [run_name(i % 5, i) for i in range(8)]
    for label, number, wrong in (("start", 8, 100), ("soon", 2, 60), ("late", 4, 98)):
        for i, name in enumerate(runs[:number]):
            make_run(folder / "mlp" / label / name, first(wrong + i % 2), 0.9, (f"data.fold={i % 5}", f"seed={i}"))
    values = [
        value("start", "mlp/start"),
        value("soon", "mlp/soon", runs=runs[:2], against=runs[:4]),
        value("late", "mlp/late", runs=runs[:4], against=runs),
    ]
    make_plan(folder, values, runs[:2], reference_runs=runs, looks=[2, 4], comparisons=2)
    return folder


def test_a_study_that_decides(tmp_path):
    markdown = markdown_of(make_decided(tmp_path / "study"))
    assert "2 to 4 runs per value, as many as its verdict needed" in markdown
    assert "It looked at each difference after 2 and 4 runs" in markdown
    assert "The intervals hold for all looks together" in markdown
    assert cells_of(markdown, r"start \\\*")[-1] == "8"
    assert (cells_of(markdown, "soon")[7], cells_of(markdown, "soon")[-1]) == ("better", "2 against 4")
    assert cells_of(markdown, "late")[-1] == "4 against 8"
    rows = list(csv.DictReader((tmp_path / "out" / "results.csv").open()))
    assert Counter(row["cell"] for row in rows) == {"mlp/start": 8, "mlp/soon": 2, "mlp/late": 4}
    assert {row["state"] for row in rows} == {"finished"}


def test_models_with_other_budgets(tmp_path):
    for model, epochs, wrong in (("mlp", 5, 200), ("cnn", 2, 100)):
        for fold in (0, 1):
            small = ("model.filters=[4]", "model.kernel_sizes=[3]") if model == "cnn" else ("model.neurons=8",)
            overrides = (f"model={model}", *small, f"data.fold={fold}", f"trainer.max_epochs={epochs}")
            folder = tmp_path / "runs" / f"{model}{fold}"
            config = OmegaConf.to_container(configure(*overrides), resolve=True)
            make_run(folder, first(wrong + fold), 0.9, config=config)
            reached = [(0.5 + epoch / 10, 0.4 + epoch / 10) for epoch in range(epochs)]
            RunFolder(folder).write_metrics([{"val_accuracy": val, "test_accuracy": test} for val, test in reached])
    markdown = markdown_of(tmp_path / "runs")
    assert "**On the test images: MLP 79.95%, CNN 89.95%.**" in markdown
    assert re.search(r"\| CNN against MLP \| \+10.00 \[.*\] \| <0.0001 \| 2 against 2 \| better \|", markdown)
    assert "### After the same number of epochs (2)" in markdown
    assert "| MLP | – | 60.00 | 50.00 | 5 | 2 |\n| CNN | – | 60.00 | 50.00 | 2 | 2 |" in markdown


def test_choosing_the_epoch_on_the_test_set(tmp_path):
    make_run(tmp_path / "runs" / "one", first(10), 0.9)
    rows = [
        {"epoch": 1, "val_accuracy": 0.9, "test_accuracy": 0.80},
        {"epoch": 2, "val_accuracy": 0.8, "test_accuracy": 0.83},
    ]
    RunFolder(tmp_path / "runs" / "one").write_metrics(rows)
    markdown = markdown_of(tmp_path / "runs")
    assert "**Choosing the epoch by test accuracy adds 3.00 points on average, 3.00 at most.**" in markdown
    assert "| MLP | 1 | +3.00 | – | 3.00 to 3.00 | made-up characters |" in markdown


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
    assert "<summary>The reference</summary>\n\nNo cell has a validation accuracy in all its runs" in markdown
    assert "figures/mlp_confusion.png" in markdown


def test_cells_of_studies_come_before_other_runs(study):
    make_run(study / "lucky", first(1), 0.999)
    models = markdown_of(study).partition("\n## Runs outside")[0]
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


def test_trained_runs_are_explained(trained, trained_small, tmp_path):
    write_report([trained.path, trained_small], tmp_path)
    markdown = (tmp_path / "report.md").read_text()
    calibration = markdown.split("## Calibration")[1].split("##")[0]
    result = trained.read_result()
    expected = f"{result.temperature:.2f} | {100 * result.test_ece:.2f} | {100 * result.test_calibrated_ece:.2f} |"
    assert expected in calibration
    assert "| MLP |" in calibration
    looks = markdown.split("## What the networks look at")[1].split("##")[0]
    assert [line.split(" | ")[0] for line in looks.splitlines() if line.startswith("| ")] == [
        "| model",
        "| ---",
        "| MLP",
        "| CNN",
    ]
    for name in ("mistakes_explained", "typical_mistake_explained"):
        assert f"figures/{name}.png" in looks
        assert (tmp_path / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_images_that_are_gone_are_not_explained(finished, tmp_path):
    change_result(finished / "result.json", '"glyph_seed": 0', '"glyph_seed": 1')
    write_report([finished], tmp_path / "out")
    assert "What the networks look at" not in (tmp_path / "out" / "report.md").read_text()


def test_the_pad_is_in_the_page_alone(trained, trained_small, tmp_path):
    write_report([trained.path, trained_small], tmp_path)
    html, markdown = (tmp_path / "report.html").read_text(), (tmp_path / "report.md").read_text()
    assert "## Try them out" in markdown
    assert "<script" not in markdown
    assert "<canvas" in html
    assert "readImage(" in html
    assert 'href="#try-them-out"' in html
