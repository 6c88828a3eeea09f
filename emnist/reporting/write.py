"""The files of a report: report.html, report.md with its figures, and results.csv."""

import csv
import io
import itertools
from collections import Counter
from functools import partial
from pathlib import Path
from typing import IO, Any

from emnist.reporting.sections import chapters
from emnist.atomic import write_atomically
from emnist.analysis.collection import Cell, Run, collect
from emnist.analysis.comparison import StudyResult, compare
from emnist.reporting.document import Document
from emnist.runs.identity import fold_and_seed
from emnist.reporting.wording import FAMILIES, describe_cell, number

TEST = [f"test_{name}" for name in ("accuracy", "top3_accuracy", "macro_f1", "ece", "loss")]
FIGURES = ["val_accuracy", *TEST, "best_epoch", "epochs", "stopped", "parameters"]


def write_report(folders: list[Path], out: Path) -> None:
    """Write report.html, report.md with its figures, and results.csv into `out`."""
    collection = collect(folders)
    studies = [compare(plan, folder, collection) for plan, folder in collection.studies]
    studies.sort(key=lambda study: [*FAMILIES, study.name].index(study.name))
    tell_apart(studies)
    taken = {run.folder.path.resolve() for study in studies for cell in study.cells for run in cell.runs}
    others = collection.others(taken)

    document = Document("Classifiers of handwritten characters: what the runs show")
    if studies:
        document.heading("In short")
        chapters.findings(document, studies)
    chapters.families(document, studies, others)
    for study in studies:
        chapters.one_study(document, study)
    chapters.others(document, others)
    if studies:
        document.heading("How to read this")
        document.points([*chapters.METHOD])
    chapters.provenance(document, collection.runs)

    files = {"report.md": document.markdown().encode(), "report.html": document.html().encode()}
    files |= {"results.csv": table(studies, others).encode(), **document.pictures}
    for name, content in files.items():
        write_atomically(out / name, partial(_fill, content))
    print(f"{number(len(collection.runs), 'run')} and {number(len(studies), 'plan')} of studies")
    print(out / "report.html")


def tell_apart(studies: list[StudyResult]) -> None:
    """Number those that share a name, which is also that of their pictures."""
    count = Counter(study.name for study in studies)
    taken = set(count)
    for name in [name for name in count if count[name] > 1]:
        first, *others = (study for study in studies if study.name == name)
        for study in (first, *others):
            study.namesake = name
        for study in others:
            study.name = next(new for number in itertools.count(2) if (new := f"{name}_{number}") not in taken)
            taken.add(study.name)


def table(studies: list[StudyResult], others: list[Cell]) -> str:
    """results.csv: a row a cell and fold (and seed), no time among its figures, so that it can be compared."""
    rows: list[dict[str, Any]] = []
    for study in studies:
        for cell in study.cells:
            runs = {(run.fold, run.seed): run for run in cell.runs}
            for name in study.runs:
                fold, seed = fold_and_seed(name)
                line = {
                    "study": study.name,
                    "settings": describe_cell(study, cell),
                    "cell": cell.id,
                    "fold": fold,
                    "seed": seed,
                }
                rows.append(line | (_line(runs[fold, seed]) if (fold, seed) in runs else {"state": "missing"}))
        for factor, values in study.factors.items():  # of a greedy study, before it has come that far
            unknown = [f"{factor}: {row.label}" for row in values if not row.cell.id]
            rows += [{"study": study.name, "settings": settings, "state": "missing"} for settings in unknown]
    for cell, settings in zip(others, chapters.differing_settings(others), strict=True):
        rows += [{"settings": settings, "cell": cell.id, **_line(run)} for run in cell.runs]
    columns = ["study", "settings", "cell", "model", "fold", "seed", "state", *FIGURES, "data", "commit", "reason"]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _fill(content: bytes, file: IO[bytes]) -> None:
    file.write(content)


def _line(run: Run) -> dict[str, Any]:
    result = run.result or {}
    return {
        "model": run.config["model"]["name"],
        "fold": run.fold,
        "seed": run.seed,
        "state": run.fate,
        **{key: result.get(key) for key in FIGURES},
        "data": result.get("data", {}).get("description"),
        "commit": result.get("versions", {}).get("commit"),
        "reason": run.failure,
    }
