"""What a report says of a study with sources."""

from emnist.reporting.write import write_report
from tests.analysis.test_transfer import make_transfer


def test_the_section(tmp_path):
    write_report([make_transfer(tmp_path / "runs")], tmp_path / "report")
    text = (tmp_path / "report" / "report.md").read_text()
    section = text.partition("## Settings: what a trained network to start from is worth")[2]
    assert "**Starting from a trained network is better than from scratch in " in section
    assert " of 6 comparisons" in section  # not the one without a label
    assert "No validation image was used" in section
    assert "Fresh 59.90% [" in section
    assert "- **tuned**: 5 labelled images a class are worth 50 [" in section
    assert "- **no label**: 55.00% [51.91, 58.09] without a labelled image, as with fewer than 5 a class" in section
    assert "| tuned | 500 |" in section
    assert "more than 500" in section
    assert "| source | made-up characters | 4,000 | 99.00 [" in section
    assert (tmp_path / "report" / "figures" / "settings_labelled_images.png").exists()
    assert "## settings\n" not in text  # a column a setting would be too wide
    assert "Runs outside of studies" not in text
