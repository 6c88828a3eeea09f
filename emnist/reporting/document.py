"""A document in Markdown, and the same as one HTML file that needs no network."""

import base64
import re
from dataclasses import dataclass, field
from html import escape

from markdown_it import MarkdownIt

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 94rem; margin: 2rem auto; padding: 0 1.5rem; }
h1, h2, h3 { line-height: 1.2; }
h2 { margin-top: 3rem; border-bottom: 2px solid #ddd; padding-bottom: .3rem; }
h3 { margin-top: 2rem; }
table { border-collapse: collapse; margin: 1rem 0; font-size: 13px; font-variant-numeric: tabular-nums; }
.wide { overflow-x: auto; }
th { border-bottom: 2px solid #888; text-align: left; vertical-align: bottom; }
td { border-bottom: 1px solid #e4e4e4; vertical-align: top; }
th, td { padding: .25rem .5rem; white-space: nowrap; }
td:nth-child(2), td:last-child, td.good, td.bad, td.quiet { white-space: normal; min-width: 4rem; }
img { max-width: 100%; }
code { background: #f3f3f3; padding: .1rem .25rem; border-radius: 3px; }
nav a { margin-right: 1rem; }
.good { color: #2e7d32; font-weight: 600; }
.bad { color: #c62828; font-weight: 600; }
.quiet { color: #777; }
"""
CLASSES = {"better": "good", "yes": "good", "worse": "bad", "no": "bad", "no measurable difference": "quiet"}
CLASSES |= dict.fromkeys(("not confirmed", "missing", "incomplete"), "quiet")


@dataclass
class Document:
    """Blocks of Markdown in order, and the pictures they show, as PNG files by their path."""

    title: str
    blocks: list[str] = field(default_factory=list)
    pictures: dict[str, bytes] = field(default_factory=dict)

    def heading(self, text: str, level: int = 2) -> None:
        self.blocks.append(f"{'#' * level} {text}")

    def text(self, text: str) -> None:
        self.blocks.append(text)

    def points(self, points: list[str]) -> None:
        self.blocks.append("\n".join(f"- {point}" for point in points))

    def table(self, columns: list[str], rows: list[list[str]]) -> None:
        """Columns whose names end in `>` are set to the right."""
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
        """The document with style and pictures inside it."""
        body = MarkdownIt("commonmark", {"html": False}).enable("table").render(self.markdown())
        headings = re.findall("<h2>(.*?)</h2>", body)
        for heading in headings:
            body = body.replace(f"<h2>{heading}</h2>", f'<h2 id="{_anchor(heading)}">{heading}</h2>')
        links = "".join(f'<a href="#{_anchor(heading)}">{heading}</a>' for heading in headings)
        body = body.replace("</h1>", f"</h1>\n<nav>{links}</nav>", 1)
        body = body.replace("<table>", '<div class="wide"><table>').replace("</table>", "</table></div>")
        for text, kind in CLASSES.items():
            body = body.replace(f"<td>{text}</td>", f'<td class="{kind}">{text}</td>')
        for path, png in self.pictures.items():
            body = body.replace(f'src="{path}"', f'src="data:image/png;base64,{base64.b64encode(png).decode()}"')
        head = f'<meta charset="utf-8">\n<title>{escape(self.title)}</title>\n<style>{STYLE}</style>'
        return f'<!doctype html>\n<html lang="en">\n<head>\n{head}\n</head>\n<body>\n{body}</body>\n</html>\n'


def _anchor(heading: str) -> str:
    return re.sub("[^a-z0-9]+", "-", heading.lower()).strip("-")
