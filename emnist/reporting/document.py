"""A document in Markdown, and the same as one HTML page that needs no network."""

import base64
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise

from jinja2 import Environment, PackageLoader
from markdown_it import MarkdownIt
from markdown_it.token import Token

PAGE_WIDTH = 720  # CSS pixels, of figures that are drawn with more
VERDICT_COLUMNS = ("verdict", "agrees")  # whose cells are coloured, by their first word
VERDICT_CLASSES = {"better": "good", "yes": "good", "worse": "bad", "no": "bad", "equal": "same"}


@dataclass(frozen=True)
class Tag:
    """A line of HTML that is in both forms of the document. All other HTML is shown as text in the page."""

    html: str


@dataclass(frozen=True)
class Embedded:
    """HTML that is in the page alone, with its own style and scripts."""

    html: str


@dataclass
class Document:
    """Blocks of Markdown in order, and the pictures they show, as PNG files by path."""

    title: str
    blocks: list[str | Tag | Embedded] = field(default_factory=list)
    pictures: dict[str, bytes] = field(default_factory=dict)
    widths: dict[str, int] = field(default_factory=dict)  # in the page, in CSS pixels; others have their own

    def heading(self, text: str, level: int = 2) -> None:
        self.blocks.append(f"{'#' * level} {text}")

    def text(self, text: str) -> None:
        self.blocks.append(text)

    def points(self, points: Sequence[str]) -> None:
        self.blocks.append("\n".join(f"- {point}" for point in points))

    def table(self, columns: list[str], rows: list[list[str]]) -> None:
        """A column whose name ends in `>` is aligned right."""
        rules = ["---:" if name.endswith(">") else "---" for name in columns]
        lines = [[name.removesuffix(">") for name in columns], rules, *rows]
        cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines]
        self.blocks.append("\n".join(f"| {' | '.join(line)} |" for line in cells))

    def picture(self, path: str, png: bytes, about: str, width: int | None = None) -> None:
        """`width` in CSS pixels is that in the page, where it has room; None: as many as the picture has."""
        assert path not in self.pictures, f"two pictures in {path}"
        self.pictures[path] = png
        if width is not None:
            self.widths[path] = width
        self.blocks.append(f"![{about}]({path})")

    @contextmanager
    def fold(self, summary: str) -> Iterator[None]:
        """What is added inside is folded under this plain text. GitHub folds it, too."""
        self.blocks.append(Tag(f"<details>\n<summary>{escape(summary)}</summary>"))
        yield
        self.blocks.append(Tag("</details>"))

    def embed(self, html: str) -> None:
        """HTML for the page; Markdown goes without."""
        self.blocks.append(Embedded(html))

    def markdown(self) -> str:
        shown = [block for block in self.blocks if not isinstance(block, Embedded)]
        blocks = [block.html if isinstance(block, Tag) else block for block in shown]
        return "\n\n".join([f"# {self.title}", *blocks]) + "\n"

    def html(self) -> str:
        """The document as a page with its style and pictures inside."""
        parser = MarkdownIt("commonmark", {"html": False}).enable("table")
        tokens: list[Token] = []
        for block in self.blocks:
            if isinstance(block, Tag | Embedded):
                tokens.append(Token("html_block", "", 0, content=f"{block.html}\n"))
            else:
                tokens += parser.parse(block)
        headings = list(_anchors(tokens))
        _classes_of_cells(tokens)
        for token in tokens:
            for image in (child for child in token.children or () if child.type == "image"):
                path = str(image.attrGet("src"))
                png = self.pictures[path]
                if path in self.widths:
                    image.attrSet("width", f"{self.widths[path]}")
                image.attrSet("src", f"data:image/png;base64,{base64.b64encode(png).decode()}")
        body = parser.renderer.render(list(_with_boxes(tokens)), parser.options, {})
        environment = Environment(loader=PackageLoader("emnist.reporting", "."), autoescape=True)
        return environment.get_template("page.html").render(title=self.title, headings=headings, body=body)


def _anchors(tokens: list[Token]) -> Iterator[tuple[str, str]]:
    """Give each second-level heading an id; yields id and text."""
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open" and opening.tag == "h2":
            anchor = re.sub("[^a-z0-9]+", "-", inline.content.lower()).strip("-")
            opening.attrSet("id", anchor)
            yield anchor, inline.content


def _with_boxes(tokens: list[Token]) -> Iterator[Token]:
    """Each table in a box of its own, in which it scrolls where it is too wide."""
    for token in tokens:
        if token.type == "table_open":
            yield Token("html_block", "", 0, content='<div class="table">\n')
        yield token
        if token.type == "table_close":
            yield Token("html_block", "", 0, content="</div>\n")


def _classes_of_cells(tokens: list[Token]) -> None:
    """Mark the cells of verdict columns as good, bad, the same or none of these."""
    columns: list[str] = []
    column = 0
    for token, inline in pairwise(tokens):
        if token.type == "thead_open":
            columns = []
        elif token.type == "th_open":
            columns.append(inline.content)
        elif token.type == "tr_open":
            column = 0
        elif token.type == "td_open":
            if columns[column] in VERDICT_COLUMNS and inline.content:
                token.attrJoin("class", VERDICT_CLASSES.get(inline.content.split()[0], "quiet"))
            column += 1
