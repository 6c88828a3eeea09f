"""A report: report.html, report.md with its figures, and results.csv."""

import itertools
from collections import Counter
from pathlib import Path

from emnist.analysis.collection import Cell, collect
from emnist.analysis.comparison import StudyResult, compare
from emnist.analysis.selection import Candidate, Selection, select
from emnist.analysis.settings import differing_settings
from emnist.atomic import write_bytes
from emnist.inference.cost import Cost, measure_cost
from emnist.reporting.document import Document
from emnist.reporting.results_csv import results_csv
from emnist.reporting.sections.calibration import add_calibration
from emnist.reporting.sections.explanations import add_explanations
from emnist.reporting.sections.method import add_method
from emnist.reporting.sections.models import add_models
from emnist.reporting.sections.others import add_others
from emnist.reporting.sections.pad import add_pad
from emnist.reporting.sections.peeking import add_peeking
from emnist.reporting.sections.provenance import add_provenance
from emnist.reporting.sections.study import add_study
from emnist.reporting.wording import MODELS, count, describe_cell, in_order


def write_report(folders: list[Path], out: Path) -> None:
    """Write the report on the runs and studies in `folders` into `out`. Raises UserError if there are none."""
    collection = collect(folders)
    studies = [compare(plan, folder, collection) for plan, folder in collection.studies]
    studies.sort(key=lambda study: in_order(study.name))
    number_namesakes(studies)
    taken = {run.folder.path.resolve() for study in studies for cell in study.cells for run in cell.runs}
    others = collection.others(taken)
    selection = select(candidates(studies, others), list(MODELS))

    document = Document("Classifiers of handwritten characters: results of runs and studies")
    for study in studies:
        add_study(document, study)
    add_models(document, selection, costs_of(selection), in_studies=bool(studies))
    add_pad(document, selection.best)
    add_calibration(document, selection.best)
    add_explanations(document, selection.best)
    add_peeking(document, collection.runs)
    add_others(document, others)
    if studies:
        add_method(document)
    add_provenance(document, collection.runs)

    files = {"report.md": document.markdown().encode(), "report.html": document.html().encode()}
    files |= {"results.csv": results_csv(studies, others).encode(), **document.pictures}
    for name, content in files.items():
        write_bytes(out / name, content)
    print(f"{count(len(collection.runs), 'run')} and {count(len(studies), 'plan')} of studies")
    print(out / "report.html")


def candidates(studies: list[StudyResult], others: list[Cell]) -> list[Candidate]:
    """The cells among which the best of each model is chosen: those of studies or, without studies, all."""
    if studies:
        return [Candidate(cell, describe_cell(s, cell), len(s.run_names(cell))) for s in studies for cell in s.cells]
    labels = differing_settings(others)
    return [Candidate(cell, label, len(cell.distinct)) for cell, label in zip(others, labels, strict=True)]


def costs_of(selection: Selection) -> dict[str, Cost]:
    """Inference cost of the best cells, by id, of those whose checkpoint exists."""
    folders = {candidate.cell.id: candidate.cell.tested[0].folder for candidate in selection.best}
    return {id: measure_cost(folder.path) for id, folder in folders.items() if folder.best.exists()}


def number_namesakes(studies: list[StudyResult]) -> None:
    """Number the studies that share a name, which is also part of the names of their figures."""
    frequency = Counter(study.name for study in studies)
    taken = set(frequency)
    for name in [name for name in frequency if frequency[name] > 1]:
        first, *others = (study for study in studies if study.name == name)
        for study in (first, *others):
            study.namesake = name
        for study in others:
            study.name = next(new for number in itertools.count(2) if (new := f"{name}_{number}") not in taken)
            taken.add(study.name)
