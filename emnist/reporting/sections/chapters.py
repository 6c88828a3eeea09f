"""The chapters of a report, each a function that adds what it has to say to a document."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Sequence
from statistics import fmean, median

import numpy as np
import torch
from matplotlib.figure import Figure

from emnist.figures import run as figures
from emnist.figures import study as study_figures
from emnist.analysis.collection import Cell, Run
from emnist.analysis.comparison import (
    INCOMPLETE,
    NO_DIFFERENCE,
    OFFICIAL_TEST_IMAGES,
    Row,
    StudyResult,
    correct,
    difference,
    test_accuracy,
    val_accuracy,
)
from emnist.inference.cost import measure_cost, multiply_accumulates
from emnist.reporting.document import Document
from emnist.training.hardware import describe_device
from emnist.runs.identity import flatten
from emnist.runs.folder import load_run
from emnist.figures.study import Point
from emnist.reporting.wording import (
    FAMILIES,
    SAID,
    claim_words,
    data_of,
    describe_cell,
    family_name,
    number,
    p_value,
    percent,
    points_of,
    thousands,
    threads,
    title,
    words,
)

ONE_RUN = "One run a value: the verdicts are about these networks, not yet about the settings."

METHOD = (
    "*Validation* is the mean over the runs of a value (folds, and seeds where there are several) of the accuracy in "
    "the best epoch, with a 95% t-interval from their spread; with one run it is Wilson's for the number of images. "
    "Validation alone chooses: the best epoch, the best value, the best cell.",
    "*Test* is the mean over the same runs, which all see the same test images, with Wilson's 95% interval for that "
    "number of images. It chooses nothing.",
    "*Difference* is that in test accuracy from the value the factor started from (\\*), in points, over pairs of runs "
    "with the same fold and seed, with a 95% interval from the spread over the test images.",
    "*p* tests that neither is more often right on these images: McNemar's test, exact. With several pairs of runs "
    "an image counts once, by how often the one was right less how often the other was. It is corrected for all "
    "comparisons of the study after Holm.",
    "*Verdict* is better or worse where p is below 0.05 and every pair of runs goes the same way, else "
    f"{NO_DIFFERENCE}. The test is about other test images for these trained networks. What another training would "
    "change it doesn't measure; that all pairs have to agree guards against it, the more the more there are.",
    "*Published* and *the report* are the published test accuracy, and what it or the order that the report gives "
    f"says of a value against the starting one. *Within error*: two samples of {OFFICIAL_TEST_IMAGES:,} test images "
    "may differ by as much between equal classifiers (95%, images not paired: published figures allow no more).",
    "*Agrees* compares directions, not sizes. *Not confirmed* is a difference that the report claims and this study "
    "can't see.",
    "*Learning curves* are mean and range over the runs; one that stopped early keeps its last value.",
)


def findings(document: Document, studies: list[StudyResult]) -> None:
    """What the studies say in a few sentences, contradictions first."""
    for study in studies:
        compared = study.compared
        if not compared:
            continue
        verdicts = Counter(d.verdict for *_, d in compared)
        points = [
            f"{data_of(study.cells)}, {number(study.planned, 'run')} a value, "
            f"{number(compared[0][1].cell.config['trainer']['max_epochs'], 'epoch')} at most.",
            f"{number(len(compared), 'value')} compared with the one their factor started from: "
            f"{verdicts['better']} better, {verdicts['worse']} worse, {verdicts[NO_DIFFERENCE]} with {NO_DIFFERENCE}"
            f"{f', {verdicts[INCOMPLETE]} still {INCOMPLETE}' if verdicts[INCOMPLETE] else ''}.",
        ]
        if study.planned == 1:
            points.append(ONE_RUN)
        if study.best is not None:
            best = study.best
            points.append(
                f"Best by validation: {describe_cell(study, best)}, {percent(val_accuracy(best))} on validation and "
                f"{percent(test_accuracy(best))} on the test images."
            )
        agreement: dict[str, list[str]] = defaultdict(list)
        for factor, row, d in compared:
            if row.claim:
                name, here = f"{words(factor)} {row.label}", f"{d.verdict} here, {points_of(d.estimate)} points"
                agrees = row.claim.agrees(d.verdict)
                agreement[agrees].append(
                    f"**{name}** is {here}; the report has it {SAID[row.claim.direction]}." if agrees == "no" else name
                )
        agreement.pop("", None)  # incomplete
        if claims := sum(map(len, agreement.values())):
            points.append(
                f"{number(claims, 'claim')} of the report: {len(agreement['yes'])} in agreement with this study, "
                f"{len(agreement['no'])} in contradiction, {len(agreement['not confirmed'])} not confirmed."
            )
        points += agreement["no"]
        if agreement["not confirmed"]:
            points.append(f"Not confirmed: {', '.join(agreement['not confirmed'])}.")
        published = [row.claim for _, row, _ in compared if row.claim and row.claim.points is not None]
        if published:
            points.append(
                f"Of the {len(published)} published differences between these values "
                f"{sum(not claim.beyond_error for claim in published)} could come from the sampling of "
                f"{OFFICIAL_TEST_IMAGES:,} test images alone."
            )
        half = median(50 * (d.estimate.high - d.estimate.low) for *_, d in compared)
        points.append(f"The intervals of the differences reach {half:.2f} points to either side in the median.")
        document.heading(f"{title(study)} in short", 3)
        document.points(points)


def families(document: Document, studies: list[StudyResult], others: list[Cell]) -> None:
    """The best cell of each family by validation: accuracy, cost, and whether they differ."""
    everything = [(cell, describe_cell(study, cell), study.planned) for study in studies for cell in study.cells]
    if not studies:
        settings = differing_settings(others)
        everything = [(cell, label, len(cell.distinct)) for cell, label in zip(others, settings, strict=True)]
    everything = [entry for entry in everything if entry[0].results]
    # Accuracies on other images can't be compared. Handwriting comes before what stands in for it, then what most have.
    tested = Counter(run.fingerprint for cell, *_ in everything for run in cell.results)
    cells = sorted((cell for cell, *_ in everything), key=lambda cell: (cell.is_handwriting, tested[cell.fingerprint]))
    left_out = {cell.id: cell for cell in cells if cell.fingerprint != cells[-1].fingerprint}
    everything = [entry for entry in everything if entry[0].id not in left_out]
    best: dict[str, tuple[Cell, str]] = {}
    for cell, label, planned in everything:
        values = cell.figures("val_accuracy")
        before = best[cell.family][0].figures("val_accuracy") if cell.family in best else [-1]
        if len(values) == planned and fmean(values) > fmean(before):
            best[cell.family] = (cell, label)
    if not best:
        return
    document.heading("The families compared")
    measured = data_of([cell for cell, *_ in everything])
    document.text(
        "Each by its cell with the highest mean validation accuracy, of those with all their runs"
        f"{' in a study' if studies else ''}. {measured}."
    )
    if left_out:
        what = f"{number(len(left_out), 'cell')}. {data_of(list(left_out.values()))}"
        document.text(f"Left out, since accuracies on other images can't be compared: {what}.")
    ordered = [best[family] for family in sorted(best, key=lambda family: [*FAMILIES, family].index(family))]
    family_table(document, ordered)
    family_differences(document, [cell for cell, _ in ordered])
    named = {id(cell) for cell, _ in ordered}
    points = [
        Point(family_name(cell.family), count, accuracy, label if id(cell) in named else None)
        for cell, label, _ in everything
        if (accuracy := test_accuracy(cell)) is not None and (count := macs(cell))
    ]
    if points:
        figure = study_figures.accuracy_and_cost(points, f"Every cell: test accuracy and cost\n{measured}")
        picture(document, "cost", figure, "Test accuracy over multiply-accumulates")


def family_table(document: Document, best: list[tuple[Cell, str]]) -> None:
    """Accuracy and cost of each family's best cell, which comes with its label."""
    rows = []
    for cell, label in best:
        folder = cell.results[0].folder
        cost = measure_cost(folder.path) if folder.best.exists() else None
        rows.append(
            [
                family_name(cell.family),
                label,
                percent(val_accuracy(cell)),
                percent(test_accuracy(cell)),
                f"{cell.figures('parameters')[0]:,}",
                thousands(macs(cell)),
                f"{fmean(cell.figures('epochs')):.0f}",
                f"{fmean(cell.figures('duration_s')):,.{0 if fmean(cell.figures('duration_s')) >= 10 else 1}f}",
                f"{cost.images_per_s:,.0f}" if cost else "–",
                f"{cost.megabytes:.2f}" if cost else "–",
            ]
        )
    columns = [
        "family",
        "cell",
        "validation % [95%]>",
        "test % [95%]>",
        "parameters>",
        "multiply-accumulates>",
        "epochs>",
    ]
    document.table([*columns, "training s>", "images/s>", "MB>"], rows)
    device = describe_device(torch.device("cpu"))
    document.text(
        "Multiply-accumulates are those of one image, counted by torch. *Training* is the mean of the runs on the "
        "hardware named under [Provenance](#provenance), beside whatever else went on there. *Images/s* is inference "
        f"in 32-bit on {device['name']}, {threads(device)}, measured when this was written; *MB* the "
        "checkpoint."
    )
    budgets = {cell.family: cell.config["trainer"]["max_epochs"] for cell, _ in best}
    if len(set(budgets.values())) > 1:
        most = ", ".join(f"{family_name(family)} {epochs}" for family, epochs in budgets.items())
        document.text(f"**They were not trained for as long**, which favours some of them; epochs at most: {most}.")


def family_differences(document: Document, best: list[Cell]) -> None:
    """Each of these cells against those before it."""
    compared = [(a, b, d) for a, b in itertools.combinations(best, 2) if (d := difference(b, a)) is not None]
    correct([d for *_, d in compared])
    if compared:
        document.table(
            ["", "difference [95%]>", "p (Holm)>", "pairs of runs>", "verdict"],
            [
                [
                    f"{family_name(b.family)} against {family_name(a.family)}",
                    points_of(d.estimate),
                    p_value(d.p_corrected),
                    f"{d.pairs}",
                    d.verdict,
                ]
                for a, b, d in compared
            ],
        )


def one_study(document: Document, study: StudyResult) -> None:
    """A study's table and figures."""
    document.heading(title(study))
    how = "Each factor varied alone around the reference (\\*)."
    if study.mode == "greedy":
        how = "Factors in this order, each from the best so far (\\*); the next starts from the best by validation (←)."
    data = data_of(study.cells)
    document.text(
        f"{how} {data}: {number(study.planned, 'run')} a value, in `{study.folder}`, "
        f"from `{' '.join(study.overrides)}`."
    )
    if study.planned == 1:
        document.text(ONE_RUN)
    rows = [
        [f"**{words(factor)}**" if i == 0 else "", *value_line(row)]
        for factor, rows in study.factors.items()
        for i, row in enumerate(rows)
    ]
    document.table(["factor", *COLUMNS], rows)
    failed = [
        f"{words(factor)} {row.label} failed: {reason}"
        for factor, values in study.factors.items()
        for row in values
        for reason in row.reasons
    ]
    if failed:
        document.points(failed)
    if study.compared:
        figure = study_figures.differences(study, f"{title(study)}: differences in test accuracy\n{data}")
        picture(document, f"{study.name}_differences", figure, "Differences with their intervals")
    if any(sum(row.val is not None for row in rows) > 1 for rows in study.factors.values()):
        heading = f"{title(study)}: validation accuracy (%) by epoch, mean and range over runs\n{data}"
        picture(document, f"{study.name}_factors", study_figures.factors(study, heading), "Learning curves by factor")
    if study.best is not None and study.best.results:
        document.heading(f"The best of the {title(study)} by validation: {describe_cell(study, study.best)}", 3)
        one_cell(document, study, study.best, data)
    elif study.start.results:
        document.heading(f"The reference of the {title(study)}", 3)
        document.text("No cell has a validation accuracy in all its runs, so none is the best.")
        one_cell(document, study, study.start, data)


def one_cell(document: Document, study: StudyResult, cell: Cell, data: str) -> None:
    """Curves, confusion and predictions of a cell that has results."""
    name = describe_cell(study, cell)
    figure = study_figures.curves(
        cell, f"{title(study)}, {name}: mean and range over {number(len(cell.results), 'run')}\n{data}"
    )
    picture(document, f"{study.name}_curves", figure, "Learning curves")
    answers = [run.answers for run in cell.results if run.answers is not None]
    if not answers or not cell.results[0].folder.best.exists():  # which names the classes
        return
    labels = np.concatenate([label for label, _ in answers])
    predicted = np.concatenate([guess for _, guess in answers])
    first = cell.results[0]
    classes = list(load_run(first.folder.path).classes)
    accuracy = (labels == predicted).mean()
    tested = f"{number(len(answers), 'run')} on {len(answers[0][0]):,} images"
    heading = f"{title(study)}, {name}: test accuracy {accuracy:.2%}, {tested}\n{data}"
    figure = figures.confusion(labels, predicted, classes, heading)
    picture(document, f"{study.name}_confusion", figure, "Test confusion matrix")
    document.text(f"Most confused on the test images, {number(len(answers), 'run')} together:")
    rows = [
        [true, guess, f"{count}", f"{100 * count / (labels == classes.index(true)).sum():.1f}"]
        for true, guess, count in figures.confused_pairs(labels, predicted, classes)[:10]
    ]
    document.table(["true", "predicted", "times>", "% of the true class>"], rows)
    grid = first.folder.path / "figures" / "predictions.png"
    if grid.exists():
        document.text(f"Test images and the predictions of one of its runs, `{first.name}`:")
        document.picture(f"figures/{study.name}_predictions.png", grid.read_bytes(), "Test images with predictions")


COLUMNS = ["value", "published %>", "validation % [95%]>", "test % [95%]>", "difference [95%]>", "p (Holm)>", "verdict"]
COLUMNS += ["the report", "agrees", "runs"]


def value_line(row: Row) -> list[str]:
    """What the table says of a value."""
    label = row.label + (" \\*" if row.is_start else "") + (" ←" if row.is_chosen else "")
    published = "–" if row.published is None else f"{row.published:.2f}"
    line = [label, published, percent(row.val), percent(row.test)]
    state = row.state or f"{row.planned}"
    d = row.difference
    if d is None:
        return [*line, "", "", "" if row.cell.runs else "missing", claim_words(row), "", state]
    if d.same_sign < d.pairs:
        state += f"; {d.same_sign} of {d.pairs} pairs go this way"
    agrees = row.claim.agrees(d.verdict) if row.claim else ""
    return [*line, points_of(d.estimate), p_value(d.p_corrected), d.verdict, claim_words(row), agrees, state]


def others(document: Document, cells: list[Cell]) -> None:
    """Runs that belong to no study, grouped by configuration."""
    if not cells:
        return
    document.heading("Runs outside of studies")
    rows = []
    for cell, settings in sorted(zip(cells, differing_settings(cells), strict=True), key=lambda pair: pair[0].family):
        fates = Counter(run.fate for run in cell.distinct)
        state = ", ".join(f"{count} {fate}" for fate, count in sorted(fates.items()))
        if again := len(cell.runs) - len(cell.distinct):
            state += f", {again} repeated"
        reasons = sorted({run.failure for run in cell.runs if run.failure is not None})
        names = ", ".join(f"`{run.name}`" for run in cell.runs[:3]) + (" …" if len(cell.runs) > 3 else "")
        accuracies = [percent(val_accuracy(cell)), percent(test_accuracy(cell))]
        rows.append([family_name(cell.family), settings, *accuracies, "; ".join([state, *reasons]), names])
    document.text("What sets them apart within their family; means over folds and seeds.")
    document.table(["family", "settings", "validation % [95%]>", "test % [95%]>", "runs", "folders"], rows)


def provenance(document: Document, runs: list[Run]) -> None:
    """Data, code, libraries and hardware of all runs with a result."""
    document.heading("Provenance")
    groups: Counter[tuple[str, ...]] = Counter()
    for run in runs:
        if run.result is not None:
            data, versions, device = (run.result[key] for key in ("data", "versions", "device"))
            libraries = ", ".join(f"{name} {v}" for name, v in versions.items() if name not in ("emnist", "commit"))
            per_run = f"{threads(device)} a run, " if "threads" in device else ""
            groups[
                (
                    family_name(run.config["model"]["name"]),
                    f"{data['description']} (sha256 {data['fingerprint'][:12]}…)",
                    f"emnist {versions['emnist']}, commit {versions['commit'] or 'unknown'}",
                    libraries,
                    f"{device['name']}, {per_run}{device['precision']}",
                )
            ] += 1
    rows = [[*group, f"{count}"] for group, count in sorted(groups.items())]
    document.table(["family", "data", "code", "libraries", "hardware", "runs>"], rows)
    if any(run.result["data"]["official"] is False for run in runs if run.result):
        document.text("Not the data the report measured on, so its figures stand beside these, not against them.")


def differing_settings(cells: Sequence[Cell]) -> list[str]:
    """For each cell the keys that are not the same in all of its family, with its values."""
    flat = [flatten(cell.config) for cell in cells]
    varied: dict[str, list[str]] = {}
    for family in {cell.family for cell in cells}:
        here = [config for cell, config in zip(cells, flat, strict=True) if cell.family == family]
        keys = sorted({key for config in here for key in config} - {"data.root", "data.fold", "seed"})
        varied[family] = [key for key in keys if len({str(config.get(key)) for config in here}) > 1]
    return [
        ", ".join(f"{key}={config[key]}" for key in varied[cell.family] if key in config) or "–"
        for cell, config in zip(cells, flat, strict=True)
    ]


def macs(cell: Cell) -> int | None:
    """Multiply-accumulates of one image; None where no predictions tell the number of classes."""
    classes = cell.results[0].classes
    return multiply_accumulates(cell.config["model"], classes) if classes else None


def picture(document: Document, name: str, figure: Figure, about: str) -> None:
    document.picture(f"figures/{name}.png", figures.png(figure), about)
