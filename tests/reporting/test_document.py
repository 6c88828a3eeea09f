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
        [
            ["no", "+1.00", "better", "yes"],
            ["yes", "-1.00", "worse", "no"],
            ["a | b", "", "incomplete", ""],
            ["equal", "0.00", "equal within 0.3", "undecided"],
            ["better", "0.20", "undecided: about 6 more runs", "undecided"],
        ],
    )
    document.picture("figures/one.png", b"\x89PNG one", "A figure", 720)
    with document.fold("More of <it>"):
        document.text("**folded**, <b>not</b> bold")
        document.table(["value"], [["inside"]])
    return document


def test_markdown(document):
    markdown = document.markdown()
    assert markdown.startswith("# A <title>\n\n## In short\n\n- first\n- second\n\n")
    assert (
        "| value | points | verdict | agrees |\n| --- | ---: | --- | --- |\n| no | +1.00 | better | yes |" in markdown
    )
    assert "| a \\| b |" in markdown
    assert "![A figure](figures/one.png)" in markdown


def test_folds_are_in_the_markdown_and_in_the_page(document):
    folded = "<details>\n<summary>More of &lt;it&gt;</summary>\n\n**folded**, <b>not</b> bold\n\n| value |"
    assert folded in document.markdown()
    assert document.markdown().endswith("| inside |\n\n</details>\n")
    html = document.html()
    assert "<details>\n<summary>More of &lt;it&gt;</summary>\n<p><strong>folded</strong>" in html
    assert html.count("<details>") == html.count("</details>") == 1
    assert html.index("</details>") > html.index("inside")


def test_other_html_is_shown_as_text(document):
    assert "&lt;b&gt;not&lt;/b&gt; bold" in document.html()


def test_a_table_scrolls_in_a_box_of_its_own(document):
    html = document.html()
    assert len(re.findall(r'<div class="table">\s*<table>', html)) == html.count("<table>") == 2
    assert len(re.findall(r"</table>\s*</div>", html)) == 2


def test_the_page_needs_nothing_else(document):
    html = document.html()
    assert "<title>A &lt;title&gt;</title>" in html
    assert '<nav><a href="#in-short">In short</a></nav>' in html
    assert '<h2 id="in-short">In short</h2>' in html
    ((picture, width),) = re.findall(r'src="data:image/png;base64,(.*?)".*? width="(.*?)"', html)
    assert width == "720"
    assert base64.b64decode(picture) == b"\x89PNG one"
    assert not re.search(r'(src|href)="(?!data:image/png;base64,|#)', html)
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    assert "beforeprint" in script  # which opens what is folded
    assert "http" not in html


def test_only_verdicts_are_coloured(document):
    """A value that happens to be called no is not a verdict."""
    cells = re.findall(r"<td(.*?)>(.*?)</td>", document.html())
    classes = [(re.findall('class="(.*?)"', attributes), text) for attributes, text in cells]
    assert classes[0] == ([], "no")
    assert classes[2:4] == [(["good"], "better"), (["good"], "yes")]
    assert classes[4] == ([], "yes")
    assert classes[6:8] == [(["bad"], "worse"), (["bad"], "no")]
    assert classes[10:12] == [(["quiet"], "incomplete"), ([], "")]
    assert classes[14:16] == [(["same"], "equal within 0.3"), (["quiet"], "undecided")]
    assert classes[16] == ([], "better")
    assert classes[18] == (["quiet"], "undecided: about 6 more runs")
