"""The report on a made-up study of augmentation; see tests/fixtures/augmented.py."""

import re
from pathlib import Path

import pytest

from emnist.reporting.write import write_report
from tests.fixtures.augmented import make_augmentation_study
from tests.fixtures.runs import make_study


def report_on(folder: Path) -> str:
    write_report([folder], folder.parent / "out")
    return (folder.parent / "out" / "report.md").read_text()


@pytest.fixture(scope="module")
def markdown(tmp_path_factory) -> str:
    return report_on(make_augmentation_study(tmp_path_factory.mktemp("report") / "study"))


def test_values_and_settings_are_one_table(markdown):
    lines = markdown.splitlines()
    assert "| factor | value | short | long |" in lines
    (reference,) = [line for line in lines if line.startswith("| **reference**")]
    assert re.search(r"\| 69\.95 \[.*\] \| 79\.95 \[", reference)
    (line,) = [line for line in lines if "| 40° | -10.00" in line]
    assert re.fullmatch(r"\|  \| 40° \| -10\.00 ± [\d.]+ worse \| \+4\.00 ± [\d.]+ better \|", line)
    assert "at most 2 to 6 epochs" in markdown
    assert "the reference of their setting" in markdown


def test_conclusions_are_counted(markdown):
    for sentence in (
        "In 1 of 2 settings the mean gain is above zero. It is highest in long (+2.50), lowest in short (-0.50).",
        "The mean gain is larger with longer training in 1 of 1 pair of settings: short -0.50, long +2.50.",
        "2 settings are too few to say whether gains go with the gap of training and validation.",
        "3 of 6 values pass the best validation accuracy without augmentation within their training: "
        "0 of 3 in the short trainings, 3 of 3 in the long ones.",
        "Of the values that move images farther than the nearest of their class is, 1 of 2 gain; of the others 2 of 4.",
    ):
        assert sentence in markdown


def test_classes_that_become_each_other(markdown):
    assert "1 of 2 kinds has a pair that grew beyond chance" in markdown
    assert re.search(r"\| rotation \| 40° \| \*\*6, 9\*\* \| 0 \| 80 \| <?0\.000\d \| 4 \|", markdown)
    assert "| rotation | 40° | P, q |" in markdown


def test_epochs_needed(markdown):
    assert "| **without** |  | 2 of 2 | 6 of 6 |" in markdown
    assert "| rotation | 10° | never | 4 |" in markdown


def test_one_run_a_value_is_about_networks(tmp_path):
    markdown = report_on(make_augmentation_study(tmp_path / "study", folds=(0,), movement=False))
    assert "With one run a value, gains are those of two networks" in markdown
    assert re.search(r"-10\.00 ± [\d.]+ one run", markdown)
    assert "How far images move is not known" in markdown


def test_other_studies_have_no_such_section(tmp_path):
    assert "when it helps" not in report_on(make_study(tmp_path / "study"))
