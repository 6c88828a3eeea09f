"""Runs that belong to no study, grouped by configuration."""

from collections import Counter

from emnist.analysis.collection import Cell
from emnist.analysis.comparison import test_accuracy, val_accuracy
from emnist.analysis.settings import differing_settings
from emnist.reporting.document import Document
from emnist.reporting.wording import count, model_name, percent


def add_others(document: Document, cells: list[Cell]) -> None:
    if not cells:
        return
    document.heading("Runs outside of studies")
    rows = []
    for cell, settings in sorted(zip(cells, differing_settings(cells), strict=True), key=lambda pair: pair[0].model):
        statuses = Counter(run.status for run in cell.distinct)
        runs = ", ".join(f"{number} {status}" for status, number in sorted(statuses.items()))
        if repeated := len(cell.runs) - len(cell.distinct):
            runs += f", {repeated} repeated"
        reasons = sorted({run.failure for run in cell.runs if run.failure is not None})
        names = ", ".join(f"`{run.name}`" for run in cell.runs[:3]) + (" …" if len(cell.runs) > 3 else "")
        accuracies = [percent(val_accuracy(cell)), percent(test_accuracy(cell))]
        rows.append([model_name(cell.model), settings, *accuracies, "; ".join([runs, *reasons]), names])
    with document.fold(f"{count(len(cells), 'configuration')}"):
        document.text("*Settings* are the keys that differ within a model; accuracies are means over folds and seeds.")
        document.table(["model", "settings", "validation % [95%]>", "test % [95%]>", "runs", "folders"], rows)
