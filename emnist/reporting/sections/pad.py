"""A pad to draw on, which the best network of each model reads."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from emnist.analysis.collection import Cell
from emnist.analysis.selection import Candidate
from emnist.errors import UserError
from emnist.inference.load import load_reader
from emnist.inference.page import load_readers, pad_fragment
from emnist.reporting.document import Document


def add_pad(document: Document, best: Sequence[Candidate]) -> None:
    """The pad in the page, and in Markdown where to find it; nothing without a network that fits into the page."""
    readers = load_readers([folder for candidate in best if (folder := a_run_of(candidate.cell)) is not None])
    if not any(reader.fits for reader in readers):
        return
    document.heading("Try them out")
    document.text(
        "Draw a character: one run of the best cell of each model reads it as you draw. The networks are in "
        "`report.html`, nothing is sent anywhere."
    )
    document.embed(pad_fragment(readers))


def a_run_of(cell: Cell) -> Path | None:
    """The first run of the cell that still has its checkpoint; None if its images are no characters of 28 × 28."""
    for run in cell.tested:
        with suppress(UserError):
            load_reader(run.folder.path)
            return run.folder.path
    return None
