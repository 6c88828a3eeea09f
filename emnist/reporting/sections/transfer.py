"""A study with sources: how many labelled images a trained network to start from is worth."""

import math
from collections import Counter, defaultdict
from collections.abc import Sequence

from emnist.analysis.comparison import test_accuracy
from emnist.analysis.study_result import Difference, Estimate, StudyResult
from emnist.analysis.transfer import Line, Point, Target
from emnist.analysis.verdict import BETTER, EQUAL, INCOMPLETE, UNDECIDED, WORSE
from emnist.figures.style import to_png
from emnist.figures.transfer import labelled_images
from emnist.reporting.document import PAGE_WIDTH, Document
from emnist.reporting.wording import ONE_RUN, count, listed, percent, points_of, title, verdict_of

TABLE = ["start", "labelled images a class>", "test % [95%]>", "difference from scratch [95%]>", "verdict"]
TABLE += ["as many from scratch [95%]>", "factor>", "images a class saved>"]
SOURCES = ["source", "trained on", "images>", "its own test % [95%]>", "run"]
HOW = (
    "*As many from scratch* is how many labelled images a class give the same accuracy from fresh weights: read off "
    "the curve from scratch, straight over the logarithm of the images between its points. Its 95% interval is for "
    "other test images and trainings, each with its own draw of labelled images, and not corrected for the number of "
    "rows. The *difference* and its verdict are for all rows of the study together. Without a label, a start has none."
)
SEEN = (
    "Sources and targets are of EMNIST, whose splits were drawn from the same handwriting. Where training images of a "
    "source are among the test images of a target, its accuracy is too high."
)


def add_transfer(document: Document, study: StudyResult, targets: Sequence[Target]) -> None:
    """One target or more."""
    name = title(study)
    document.heading(f"{name}: what a trained network to start from is worth")
    document.text(f"**{headline(study, targets)}**")
    document.text(_about(study, targets))
    if any(point.images > 0 for target in targets for line in target.others for point in line.points):
        figure = labelled_images(targets, "Test accuracy over labelled images a class, with 95% intervals")
        about = "Test accuracy over labelled images a class"
        document.picture(f"figures/{study.name}_labelled_images.png", to_png(figure), about, PAGE_WIDTH)
    for target in targets:
        document.heading(target.name, 3)
        document.text(_scratch(target))
        document.points([sentence(line, target, study.delta) for line in target.others])
    with document.fold("Every start: accuracies, differences, verdicts, images that it is worth"):
        document.text(HOW)
        for target in targets:
            document.heading(f"{target.name}: {target.data}", 4)
            document.table(TABLE, [_line(line, point, target, study) for line in target.lines for point in line.points])
    missing = [
        ": ".join(part for part in (row.setting, row.label, row.problem, *row.reasons) if part)
        for _, row in study.rows
        if row.problem
    ]
    if missing:
        document.points(missing)
    _add_sources(document, study)


def headline(study: StudyResult, targets: Sequence[Target]) -> str:
    """All verdicts about starts in one sentence, but for those without a label."""
    unlabelled = {id(p.row) for target in targets for line in target.others for p in line.points if p.images == 0}
    rows = [row for _, row in study.rows if row.init is not None and id(row) not in unlabelled]
    if all(row.difference is None or row.difference.of_networks for row in rows):
        return ONE_RUN
    verdicts = Counter(INCOMPLETE if row.difference is None else row.difference.verdict for row in rows)
    better, rest = verdicts[BETTER], []
    for verdict, word in (
        (WORSE, "worse"),
        (EQUAL, f"equal within {100 * study.delta:g} points"),
        (UNDECIDED, "undecided"),
        (INCOMPLETE, "incomplete"),
    ):
        if verdicts[verdict]:
            rest.append(f"{word} in {verdicts[verdict]}")
    start = f"Starting from a trained network is better than from scratch in {better}"
    return f"{', '.join([f'{start} of {len(rows):,} comparisons', *rest])}."


def sentence(line: Line, target: Target, delta: float) -> str:
    """What a start is worth with the fewest labelled images, and with how many it is better than from scratch."""
    parts, verdicts = [], []
    first = line.points[0]
    if first.images == 0:
        worth = "" if first.worth is None else f", as with {worth_of(first.worth, target)} a class from scratch"
        parts.append(f"{_accuracy(first.test)} without a labelled image{worth}")
    elif first.worth is not None:
        worth = worth_of(first.worth, target)
        parts.append(f"{first.images:,.0f} labelled images a class are worth {worth} from scratch")
    by_verdict: dict[str, list[str]] = defaultdict(list)
    for point in line.points:
        if point.images > 0 and (d := point.row.difference) is not None:
            by_verdict[_short(d, delta)].append(f"{point.images:,.0f}")
    for number, (verdict, images) in enumerate(by_verdict.items()):
        than = " than from scratch" if number == 0 and verdict in (BETTER, WORSE) else ""
        verdicts.append(f"{verdict}{than} with {listed(images)}{' a class' if number == 0 else ''}")
    if verdicts:
        parts.append(", ".join(verdicts))
    return f"**{line.label}**: {'; '.join(parts)}."


def worth_of(worth: Estimate, target: Target) -> str:
    """Images a class from scratch, with the interval."""
    mean, low, high = (_images(value, target) for value in worth)
    return mean if mean == low == high else f"{mean} [{low}, {high}]"


def _images(number: float, target: Target) -> str:
    if math.isinf(number):
        return f"more than {target.most:,.0f}"
    return f"fewer than {target.fewest:,.0f}" if number == 0 else _digits(number)


def _digits(number: float) -> str:
    """As a whole number, or with two significant digits."""
    return f"{number:,.0f}" if number >= 10 else f"{number:.2g}"


def _factor(worth: float, point: Point, target: Target) -> str:
    """How many times as many images from scratch."""
    if math.isinf(worth):
        return f"more than {_digits(target.most / point.images)}"
    return f"less than {_digits(target.fewest / point.images)}" if worth == 0 else _digits(worth / point.images)


def _saved(worth: float, point: Point, target: Target) -> str:
    if math.isinf(worth):
        return f"more than {target.most - point.images:,.0f}"
    return f"less than {target.fewest - point.images:,.0f}" if worth == 0 else f"{round(worth - point.images):+,}"


def _line(line: Line, point: Point, target: Target, study: StudyResult) -> list[str]:
    d, worth = (point.row.difference if point.images > 0 else None), point.worth
    cells = [line.label, f"{point.images:,.0f}", percent(point.test)]
    cells += ["", ""] if d is None else [points_of(d.estimate), verdict_of(d, study.delta)]
    if worth is None:
        return [*cells, "", "", ""]
    several = [_factor(worth.mean, point, target), _saved(worth.mean, point, target)] if point.images > 0 else ["", ""]
    return [*cells, worth_of(worth, target), *several]


def _short(d: Difference, delta: float) -> str:
    if d.of_networks:
        return "one run"
    return f"equal within {100 * delta:g} points" if d.verdict == EQUAL else d.verdict


def _accuracy(test: Estimate | None) -> str:
    return "no test" if test is None else "{:.2f}% [{:.2f}, {:.2f}]".format(*(100 * value for value in test))


def _scratch(target: Target) -> str:
    """What fresh weights reach with the fewest and the most images."""
    first, last = target.scratch.points[0], target.scratch.points[-1]
    text = (
        f"{target.scratch.label.capitalize()} {_accuracy(first.test)} with {first.images:,.0f} labelled images a class"
    )
    return f"{text}, {_accuracy(last.test)} with {last.images:,.0f}." if last is not first else f"{text}."


def _about(study: StudyResult, targets: Sequence[Target]) -> str:
    measured = "; ".join(f"{target.name}: {target.data}" for target in targets)
    text = f"Tested on {measured}. {count(study.planned, 'run')} a value."
    runs = [run for cell in study.cells for run in cell.tested]
    if any(run.config["data"].get("per_class") is not None for run in runs):
        text += " Each run with another seed draws other labelled images."
    if all(run.fold is None for run in runs):
        text += " No validation image was used: the number of epochs was fixed beforehand, and nothing was chosen."
    return text


def _add_sources(document: Document, study: StudyResult) -> None:
    rows = []
    for name, cell in study.sources.items():
        result = cell.tested[0].result if cell.tested else None
        if result is None:
            reason = next((run.failure for run in cell.runs if run.failure), "missing")
            rows.append([name, "–", "–", "–", reason])
        else:
            where = f"`{cell.tested[0].name}`"
            rows.append([name, result.data.description, f"{result.data.train:,}", percent(test_accuracy(cell)), where])
    document.text("The networks that they start from:")
    document.table(SOURCES, rows)
    used = [*study.sources.values(), *study.cells]
    splits = {cell.config["data"].get("split") for cell in used if cell.runs and cell.is_handwriting}
    if len(splits) > 1:
        document.text(SEEN)
