"""The section on searches, in a report on made-up ones."""

import csv
import json
import re
import sys
from collections import Counter
from pathlib import Path

import pytest

from emnist.reporting.write import write_report
from emnist.runs.folder import RunFolder
from emnist.runs.search import PRUNED, RUNNING
from tests.fixtures.runs import first, make_run
from tests.fixtures.searches import FRESH, RUNS, make_search, make_searched, reference, trial


def markdown_of(folder: Path) -> str:
    write_report([folder], folder.parent / "out")
    return (folder.parent / "out" / "report.md").read_text()


def cells_of(markdown: str, label: str) -> list[str]:
    """The cells of the first line of a table that starts with this label."""
    line = next(line for line in markdown.splitlines() if line.startswith(f"| {label} |"))
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


@pytest.fixture(scope="module")
def out(tmp_path_factory) -> Path:
    """The folder of a report on a search with a final."""
    folder = make_searched(tmp_path_factory.mktemp("searched") / "sweep")
    markdown_of(folder)
    return folder.parent / "out"


@pytest.fixture(scope="module")
def markdown(out) -> str:
    return (out / "report.md").read_text()


def test_it_opens_with_the_verdict_and_the_inflation(markdown):
    blocks = markdown.split("\n\n")
    assert blocks[1] == "## Search: MLP"
    assert blocks[2].startswith("**The search beats the hand-tuned configuration: +4.00 [+2.")
    assert blocks[2].endswith("points of test accuracy in 3 against 3 fresh trainings.**")
    assert blocks[3].startswith(
        "The winner's validation accuracy was 90.00% in the search. Trained again in the same way on other folds "
        "(3 runs), it is 89.00%. The hand-tuned configuration, which was not chosen by it, goes from 88.00% to "
        "88.00%. So the part of the winner's value that was luck is +1.00 points [-0.64, +2.64] (95%"
    )


def test_the_table_of_searches(markdown):
    line = cells_of(markdown, "mlp_random_0")
    how, trials = "random, seed 0, not pruned", "3 complete, 1 pruned, 1 failed"
    assert line[1:7] == [how, trials, "6.00", "90.00", "+1.00", "89.00"]
    assert line[7].startswith("93.90 [")
    assert line[8] == "better"
    hand = cells_of(markdown, "hand-tuned")
    assert hand[3:7] == ["1.00", "88.00", "", "88.00"]
    assert hand[7].startswith("89.90 [")


def test_the_best_trials_with_their_parameters(markdown):
    best = markdown.partition("<summary>The best 3 trials</summary>")[2]
    assert cells_of(best, "search")[3:] == ["optimizer", "optimizer.lr", "optimizer.momentum", "model.neurons"]
    assert cells_of(best, "mlp_random_0")[1:] == ["2", "90.00", "adam", "0.01", "", "16"]
    assert cells_of(best, "hand-tuned")[2:] == ["88.00", "sgd", "0.1", "", "8"]


def test_failures_by_reason(markdown):
    assert cells_of(markdown, "failed")[1:] == ["no \\| memory", "1", "mlp_random_0 3"]
    assert cells_of(markdown, "pruned")[1:] == ["worse than the median at epoch 2", "1", "mlp_random_0 1"]


def test_figures_are_files(out, markdown):
    names = re.findall(r"\((figures/search_.*?)\)", markdown)
    assert names == [f"figures/search_mlp_{kind}.png" for kind in ("best", "slices", "parallel", "cost")]
    for name in names:
        assert (out / name).read_bytes().startswith(b"\x89PNG")


def test_a_final_is_no_study_and_its_runs_are_not_outside_of_studies(markdown):
    headings = re.findall("^## (.*)", markdown, re.MULTILINE)
    assert headings[:2] == ["Search: MLP", "The models compared"]
    assert "Runs outside of studies" not in headings
    assert "How to read this" in headings


def test_a_run_that_is_no_trial_is_outside(tmp_path):
    folder = make_searched(tmp_path / "sweep")
    make_run(folder / "mlp" / "other" / RUNS[0], first(5), 0.99)
    markdown = markdown_of(folder)
    outside = markdown.partition("## Runs outside of studies")[2]
    assert "`mlp/other/fold0_seed0`" in outside
    assert "trial" not in outside.partition("\n## ")[0]


def test_the_winner_is_compared_with_other_models_by_its_final(markdown):
    models = markdown.partition("## The models compared")[2]
    assert "**On the test images: MLP 93.90%.**" in models
    assert "| MLP | searched | 89.00 [" in models


def test_results_csv_has_the_runs_of_trials(out):
    rows = list(csv.DictReader((out / "results.csv").open()))
    counts = Counter((row["study"], row["settings"]) for row in rows)
    trials = {("mlp_random_0", name): 1 for name in ("hand-tuned", "trial 0", "trial 1", "trial 2", "trial 4")}
    assert counts == {("final", "reference"): 3, ("final", "the factor searched"): 3, **trials}


def test_without_a_final(tmp_path):
    folder = tmp_path / "sweep"
    make_run(folder / "mlp" / "trial0" / RUNS[0], first(5), 0.9)
    make_search(folder, "one", [trial(0, 0.9), trial(1, None, RUNNING)], reference=reference(0.88), final="later")
    markdown = markdown_of(folder)
    headline = (
        "**The best trial has 90.00% in the search itself, the hand-tuned configuration 88.00%; there is no final on "
        "fresh trainings yet.**"
    )
    assert headline in markdown
    assert cells_of(markdown, "one")[-5:] == ["90.00", "–", "–", "–", ""]
    assert "Importances need 20 trials; there are 1." in markdown


def test_before_a_trial_is_complete(tmp_path):
    folder = tmp_path / "sweep"
    make_run(folder / "mlp" / "trial0" / RUNS[0], None, None, stopped="diverged", epochs=0, best_epoch=None)
    make_search(folder, "one", [trial(0, 0.5, PRUNED, reason="too slow"), trial(1, None, RUNNING)])
    markdown = markdown_of(folder)
    assert "**No trial is complete yet.**" in markdown
    assert "figures/search" not in markdown
    assert cells_of(markdown, "pruned")[1] == "too slow"


def test_a_final_with_missing_runs_is_open(tmp_path):
    folder = make_searched(tmp_path / "sweep")
    (folder / "mlp" / "trial2" / FRESH[2] / "result.json").unlink()
    markdown = markdown_of(folder)
    assert "**Whether the search beats the hand-tuned configuration is open (runs are missing): +4.0" in markdown
    assert "that was luck is +1.25 points [" in markdown  # from the two runs that both have


def test_a_loss_is_no_percentage(tmp_path):
    folder = make_searched(tmp_path / "sweep")
    path = folder / "search" / "mlp_random_0" / "search.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, "metric": "val_loss", "direction": "minimize"}))
    for name in FRESH:
        for cell in ("trial2", "hand"):
            RunFolder(folder / "mlp" / cell / name).write_metrics([{"epoch": 2, "val_loss": 1.0}])
    markdown = markdown_of(folder)
    assert "The winner's validation loss was 0.9000 in the search. Trained again" in markdown
    assert "that was luck is -0.0200 [-0.0200, -0.0200]" in markdown


def test_without_optuna(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    markdown = markdown_of(make_searched(tmp_path / "sweep"))
    assert 'Importances need Optuna: `pip install "emnist[search]"`.' in markdown
    assert "figures/search_mlp_slices.png" in markdown
