"""A document in Markdown, and the same as one HTML page that needs no network."""

import base64
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from jinja2 import Environment, PackageLoader
from markdown_it import MarkdownIt
from markdown_it.token import Token

VERDICT_COLUMNS = ("verdict", "agrees")  # whose cells are coloured
VERDICT_CLASSES = {"better": "good", "yes": "good", "worse": "bad", "no": "bad"}


@dataclass
class Document:
    """Blocks of Markdown in order, and the pictures they show, as PNG files by path."""

    title: str
    blocks: list[str] = field(default_factory=list)
    pictures: dict[str, bytes] = field(default_factory=dict)

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

    def picture(self, path: str, png: bytes, about: str) -> None:
        assert path not in self.pictures, f"two pictures in {path}"
        self.pictures[path] = png
        self.blocks.append(f"![{about}]({path})")

    def markdown(self) -> str:
        return "\n\n".join([f"# {self.title}", *self.blocks]) + "\n"

    def html(self) -> str:
        """The document as a page with its style and pictures inside."""
        parser = MarkdownIt("commonmark", {"html": False}).enable("table")
        tokens = parser.parse("\n\n".join(self.blocks))
        headings = list(_anchors(tokens))
        _classes_of_cells(tokens)
        for token in tokens:
            for image in (child for child in token.children or () if child.type == "image"):
                png = self.pictures[str(image.attrGet("src"))]
                image.attrSet("src", f"data:image/png;base64,{base64.b64encode(png).decode()}")
        body = parser.renderer.render(tokens, parser.options, {})
        environment = Environment(loader=PackageLoader("emnist.reporting", "."), autoescape=True)
        return environment.get_template("page.html").render(title=self.title, headings=headings, body=body)


def _anchors(tokens: list[Token]) -> Iterator[tuple[str, str]]:
    """Give each second-level heading an id; yields id and text."""
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open" and opening.tag == "h2":
            anchor = re.sub("[^a-z0-9]+", "-", inline.content.lower()).strip("-")
            opening.attrSet("id", anchor)
            yield anchor, inline.content


def _classes_of_cells(tokens: list[Token]) -> None:
    """Mark the cells of verdict columns as good, bad or neither."""
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
                token.attrJoin("class", VERDICT_CLASSES.get(inline.content, "quiet"))
            column += 1
