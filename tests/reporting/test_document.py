import base64
import re

import pytest

from emnist.reporting.document import Document


@pytest.fixture
def document() -> Document:
    document = Document("A <title>")
    document.heading("In short")
    document.points(["first", "second"])
    document.table(
        ["value", "points>", "verdict", "agrees"],
        [["no", "+1.00", "better", "yes"], ["yes", "-1.00", "worse", "no"], ["a | b", "", "incomplete", ""]],
    )
    document.picture("figures/one.png", b"\x89PNG one", "A figure")
    return document


def test_markdown(document):
    markdown = document.markdown()
    assert markdown.startswith("# A <title>\n\n## In short\n\n- first\n- second\n\n")
    assert (
        "| value | points | verdict | agrees |\n| --- | ---: | --- | --- |\n| no | +1.00 | better | yes |" in markdown
    )
    assert "| a \\| b |" in markdown
    assert "![A figure](figures/one.png)" in markdown


def test_the_page_needs_nothing_else(document):
    html = document.html()
    assert "<title>A &lt;title&gt;</title>" in html
    assert '<nav><a href="#in-short">In short</a></nav>' in html
    assert '<h2 id="in-short">In short</h2>' in html
    (picture,) = re.findall(r'src="data:image/png;base64,(.*?)"', html)
    assert base64.b64decode(picture) == b"\x89PNG one"
    assert not re.search(r'(src|href)="(?!data:image/png;base64,|#)', html)
    assert "<script" not in html


def test_only_verdicts_are_coloured(document):
    """A value that happens to be called no is not a verdict."""
    cells = re.findall(r"<td(.*?)>(.*?)</td>", document.html())
    classes = [(re.findall('class="(.*?)"', attributes), text) for attributes, text in cells]
    assert classes[0] == ([], "no")
    assert classes[2:4] == [(["good"], "better"), (["good"], "yes")]
    assert classes[4] == ([], "yes")
    assert classes[6:8] == [(["bad"], "worse"), (["bad"], "no")]
    assert classes[10:12] == [(["quiet"], "incomplete"), ([], "")]
