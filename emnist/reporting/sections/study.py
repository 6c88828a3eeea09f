"""One study: its headline, differences and contradictions, then its table and a closer look at its best cell."""

import numpy as np

from emnist.analysis.collection import Cell
from emnist.analysis.confusion import confused_pairs
from emnist.analysis.study_result import Row, StudyResult
from emnist.analysis.verdict import UNDECIDED
from emnist.figures import run as run_figures
from emnist.figures import study as study_figures
from emnist.figures.style import to_png
from emnist.inference.load import load_run
from emnist.reporting.document import PAGE_WIDTH, Document
from emnist.reporting.sections.summary import add_contradictions, add_headline, details
from emnist.reporting.wording import (
    claim_of,
    count,
    data_of,
    describe_cell,
    listed,
    p_value,
    percent,
    points_of,
    spaced,
    title,
    verdict_of,
)

TABLE = ["factor", "value", "published %>", "validation % [95%]>", "test % [95%]>", "difference [95%]>", "p>"]
TABLE += ["verdict", "reference report", "agrees", "runs"]
CLEAR = (
    "Bold with a frame: the interval, which covers all differences of the study together, excludes zero; where both "
    "have one run, the corrected p of these two networks is below 5%."
)


def add_study(document: Document, study: StudyResult) -> None:
    document.heading(title(study))
    data = data_of(study.cells)
    add_headline(document, study)
    if study.compared:
        if study.settings:
            heading = f"{title(study)}: points of test accuracy from the reference of each setting\n{data}"
            figure = study_figures.differences_by_setting(study, heading)
            document.text(CLEAR)
        else:
            figure = study_figures.differences(study, f"{title(study)}: differences in test accuracy\n{data}")
        document.picture(
            f"figures/{study.name}_differences.png", to_png(figure), "Differences with their intervals", PAGE_WIDTH
        )
    add_contradictions(document, study)
    with document.fold("Every value: accuracies, differences, verdicts, runs"):
        _add_table_of_settings(document, study) if study.settings else _add_table(document, study)
    if any(sum(row.val is not None for row in rows) > 1 for rows in study.factors.values()):
        with document.fold("Learning curves"):
            over = "mean" if study.settings else "mean and range"
            heading = f"{title(study)}: validation accuracy (%) by epoch, {over} over runs\n{data}"
            figure = (study_figures.curves_by_setting if study.settings else study_figures.factors)(study, heading)
            document.picture(
                f"figures/{study.name}_factors.png", to_png(figure), "Learning curves by factor", PAGE_WIDTH
            )
    if study.best is not None and study.best.tested:
        with document.fold(f"The best by validation: {describe_cell(study, study.best)}"):
            _add_cell(document, study, study.best, data)
    elif study.start.tested:
        with document.fold("The reference"):
            document.text("No cell has a validation accuracy in all its runs, so none is the best.")
            _add_cell(document, study, study.start, data)


def _add_table(document: Document, study: StudyResult) -> None:
    how = "Each factor is varied alone around the reference (\\*)."
    if study.mode == "greedy":
        how = "Factors in this order, each from the best so far (\\*); the next starts from the best by validation (←)."
    document.text(f"{how} In `{study.folder}`, from `{' '.join(study.overrides)}`.")
    if study.looks:
        document.text(_decides(study))
    document.table(
        TABLE,
        [
            [f"**{spaced(factor)}**" if i == 0 else "", *_line(row, study.delta)]
            for factor, rows in study.factors.items()
            for i, row in enumerate(rows)
        ],
    )
    failed = [f"{spaced(factor)} {row.label} failed: {reason}" for factor, row in study.rows for reason in row.reasons]
    document.points([*details(study), *failed])


def _add_table_of_settings(document: Document, study: StudyResult) -> None:
    """A row a value and a column a setting."""
    document.text(
        f"Each factor is varied alone around the reference in every setting. In `{study.folder}`, from "
        f"`{' '.join(study.overrides)}`. Differences in points of test accuracy, with half of their interval."
    )
    starts = {setting: row for setting, rows in study.by_setting.items() for row in rows if row.is_start}
    tests = [percent(starts[setting].test) if setting in starts else "" for setting in study.settings]
    rows = [["**reference**", "test % [95%]", *tests]]
    last = ""
    for (factor, label), found in study.by_value.items():
        cells = [_difference(found[setting]) if setting in found else "" for setting in study.settings]
        rows.append([f"**{spaced(factor)}**" if factor != last else "", label, *cells])
        last = factor
    document.table(["factor", "value", *study.settings], rows)
    failed = [f"{spaced(factor)} {row.label} failed: {reason}" for factor, row in study.rows for reason in row.reasons]
    document.points([*details(study), *failed])


def _difference(row: Row) -> str:
    """The difference of a value with its verdict, as short as it can be."""
    d = row.difference
    if d is None:
        return row.problem or "no test"
    mean, low, high = (100 * value for value in d.estimate)
    verdict = "one run" if d.of_networks and d.verdict == UNDECIDED else d.verdict
    return f"{mean:+.2f} ± {(high - low) / 2:.2f} {verdict}" + (f" ({row.problem})" if row.problem else "")


def _decides(study: StudyResult) -> str:
    looks = listed([str(look) for look in study.looks])
    return (
        f"The study decided for itself how many runs a value gets. It looked at each difference after {looks} runs, as "
        "long as it was undecided and more runs could settle it. The intervals hold for all looks together. *Runs* are "
        "those used, of the value and of the reference."
    )


def _line(row: Row, delta: float) -> list[str]:
    """The cells of a value's line, after the factor."""
    label = row.label + (" \\*" if row.is_start else "") + (" ←" if row.is_chosen else "")
    published = "–" if row.published is None else f"{row.published:.2f}"
    line = [label, published, percent(row.val), percent(row.test)]
    d = row.difference
    if d is None:
        return [*line, "", "", "" if row.cell.runs else "missing", claim_of(row), "", row.problem or f"{row.planned}"]
    runs = row.problem or (f"{d.runs}" if d.of_networks else f"{d.runs} against {d.reference_runs}")
    agrees = row.claim.agrees(d.verdict) if row.claim else ""
    return [*line, points_of(d.estimate), p_value(d.p), verdict_of(d, delta), claim_of(row), agrees, runs]


def _add_cell(document: Document, study: StudyResult, cell: Cell, data: str) -> None:
    """Curves, confusions and predictions of a cell with test accuracies."""
    name = describe_cell(study, cell)
    figure = study_figures.mean_curves(
        cell, f"{title(study)}, {name}: mean and range over {count(len(cell.tested), 'run')}\n{data}"
    )
    document.picture(f"figures/{study.name}_curves.png", to_png(figure), "Learning curves", PAGE_WIDTH)
    tests = [run.predictions for run in cell.tested if run.predictions is not None]
    first = cell.tested[0]
    if not tests or not first.folder.best.exists():  # which names the classes
        return
    labels = np.concatenate([label for label, _ in tests])
    predicted = np.concatenate([guess for _, guess in tests])
    classes = list(load_run(first.folder.path).classes)
    tested = f"{count(len(tests), 'run')} on {len(tests[0][0]):,} images"
    heading = f"{title(study)}, {name}: test accuracy {(labels == predicted).mean():.2%}, {tested}\n{data}"
    figure = run_figures.confusion(labels, predicted, classes, heading)
    document.picture(f"figures/{study.name}_confusion.png", to_png(figure), "Test confusion matrix")
    document.text(f"Most confused on the test images, over {count(len(tests), 'run')}:")
    rows = [
        [true, guess, f"{number}", f"{100 * number / (labels == classes.index(true)).sum():.1f}"]
        for true, guess, number in confused_pairs(labels, predicted, classes)[:10]
    ]
    document.table(["true", "predicted", "times>", "% of the true class>"], rows)
    grid = first.folder.figure("predictions")
    if grid.exists():
        document.text(f"Test images with the predictions of one of its runs, `{first.name}`:")
        document.picture(f"figures/{study.name}_predictions.png", grid.read_bytes(), "Test images with predictions")
