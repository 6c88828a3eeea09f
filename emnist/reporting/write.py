"""A report: report.html, report.md with its figures, and results.csv."""

import itertools
from collections import Counter
from pathlib import Path

from emnist.analysis.collection import Cell, collect
from emnist.analysis.comparison import compare
from emnist.analysis.search import SearchResult, is_final, searches_of
from emnist.analysis.selection import Candidate, Selection, select
from emnist.analysis.settings import differing_settings
from emnist.analysis.study_result import StudyResult
from emnist.analysis.transfer import transfer_targets
from emnist.atomic import write_bytes
from emnist.inference.cost import Cost, measure_cost
from emnist.reporting.document import Document
from emnist.reporting.results_csv import results_csv
from emnist.reporting.sections.augmentation import add_augmentation
from emnist.reporting.sections.calibration import add_calibration
from emnist.reporting.sections.explanations import add_explanations
from emnist.reporting.sections.method import add_method
from emnist.reporting.sections.models import add_models
from emnist.reporting.sections.others import add_others
from emnist.reporting.sections.pad import add_pad
from emnist.reporting.sections.peeking import add_peeking
from emnist.reporting.sections.provenance import add_provenance
from emnist.reporting.sections.search import add_search
from emnist.reporting.sections.study import add_study
from emnist.reporting.sections.transfer import add_transfer
from emnist.reporting.wording import MODELS, count, describe_cell, in_order


def write_report(folders: list[Path], out: Path) -> None:
    """Write the report on the runs and studies in `folders` into `out`. Raises UserError if there are none."""
    collection = collect(folders)
    studies = [
        compare(plan, folder, collection)
        for plan, folder in collection.studies
        if not any(is_final(plan.study, folder, search, place) for search, place in collection.searches)
    ]
    studies.sort(key=lambda study: in_order(study.name))
    number_namesakes(studies)
    searches = sorted(searches_of(collection), key=lambda result: in_order(result.name))
    cells = [cell for study in studies for cell in study.cells]
    cells += [cell for result in searches for cell in result.cells]
    taken = [*cells, *(cell for study in studies for cell in study.sources.values())]
    others = collection.others({run.folder.path.resolve() for cell in taken for run in cell.runs})
    selection = select(candidates(studies, searches, others), list(MODELS))
    tried = {run.folder.path for result in searches for cell in result.tried for run in cell.runs}
    tried -= {run.folder.path for study in studies for cell in study.cells for run in cell.runs}

    document = Document("Classifiers of handwritten characters: results of runs and studies")
    for study in studies:
        targets = transfer_targets(study) if study.sources else []
        if targets:
            add_transfer(document, study, targets)
        if not targets or study.best is not None:  # without validation it has nothing more to say
            add_study(document, study)
        add_augmentation(document, study)
    for result in searches:
        add_search(document, result)
    add_models(document, selection, costs_of(selection), in_studies=bool(studies))
    add_pad(document, selection.best)
    add_calibration(document, selection.best)
    add_explanations(document, selection.best)
    add_peeking(document, [run for run in collection.runs if run.folder.path not in tried])
    add_others(document, others)
    if studies or searches:
        add_method(document)
    add_provenance(document, collection.runs)

    files = {"report.md": document.markdown().encode(), "report.html": document.html().encode()}
    files |= {"results.csv": results_csv(studies, searches, others).encode(), **document.pictures}
    for name, content in files.items():
        write_bytes(out / name, content)
    number = len(collection.searches)
    found = f", {number} search{'' if number == 1 else 'es'}" if number else ""
    print(f"{count(len(collection.runs), 'run')} and {count(len(studies), 'plan')} of studies{found}")
    print(out / "report.html")


def candidates(studies: list[StudyResult], searches: list[SearchResult], others: list[Cell]) -> list[Candidate]:
    """The cells among which the best of each model is chosen: those of studies and finals or, without them, all.

    Trials have been chosen by the accuracy that they would be chosen by here, so only their finals count.
    """
    found = [Candidate(cell, describe_cell(s, cell), len(s.run_names(cell))) for s in studies for cell in s.cells]
    for row in (row for result in searches for one in result.outcomes if one.final for _, row in one.final.rows):
        if row.cell.id not in {candidate.cell.id for candidate in found}:
            found.append(Candidate(row.cell, row.label, row.planned))
    if found:
        return found
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
