"""What the studies show in a few sentences, contradictions with the reference report first."""

from collections import Counter, defaultdict
from statistics import median

from emnist.analysis.comparison import (
    INCOMPLETE,
    NO_DIFFERENCE,
    OFFICIAL_TEST_IMAGES,
    StudyResult,
    test_accuracy,
    val_accuracy,
)
from emnist.reporting.document import Document
from emnist.reporting.wording import CLAIMED, ONE_RUN, count, data_of, describe_cell, percent, points_of, spaced, title


def add_summary(document: Document, studies: list[StudyResult]) -> None:
    """A list of sentences for each study with comparisons."""
    for study in studies:
        if study.compared:
            document.heading(f"{title(study)} in short", 3)
            document.points([*_results(study), *_claims(study), *_precision(study)])


def _results(study: StudyResult) -> list[str]:
    compared = study.compared
    verdicts = Counter(d.verdict for *_, d in compared)
    incomplete = f", {verdicts[INCOMPLETE]} still {INCOMPLETE}" if verdicts[INCOMPLETE] else ""
    sentences = [
        f"{data_of(study.cells)}, {count(study.planned, 'run')} per value, "
        f"at most {count(compared[0][1].cell.config['trainer']['max_epochs'], 'epoch')}.",
        f"{count(len(compared), 'value')} compared with the starting value of their factor: "
        f"{verdicts['better']} better, {verdicts['worse']} worse, {verdicts[NO_DIFFERENCE]} with {NO_DIFFERENCE}"
        f"{incomplete}.",
    ]
    if study.planned == 1:
        sentences.append(ONE_RUN)
    if (best := study.best) is not None:
        sentences.append(
            f"Best by validation: {describe_cell(study, best)}, {percent(val_accuracy(best))} on validation and "
            f"{percent(test_accuracy(best))} on the test images."
        )
    return sentences


def _claims(study: StudyResult) -> list[str]:
    """How many claims of the reference report agree, then those that don't."""
    names: dict[str, list[str]] = defaultdict(list)  # by agreement
    contradictions = []
    for factor, row, d in study.compared:
        if row.claim and (agrees := row.claim.agrees(d.verdict)):
            name = f"{spaced(factor)} {row.label}"
            names[agrees].append(name)
            if agrees == "no":
                contradictions.append(
                    f"**{name}** is {d.verdict} here, {points_of(d.estimate)} points; "
                    f"in the reference report it is {CLAIMED[row.claim.direction]}."
                )
    sentences = []
    if claims := sum(map(len, names.values())):
        sentences.append(
            f"{count(claims, 'claim')} of the reference report: this study agrees with {len(names['yes'])}, "
            f"contradicts {len(names['no'])} and does not confirm {len(names['not confirmed'])}."
        )
    sentences += contradictions
    if names["not confirmed"]:
        sentences.append(f"Not confirmed: {', '.join(names['not confirmed'])}.")
    published = [row.claim for _, row, _ in study.compared if row.claim and row.claim.points is not None]
    if published:
        within = sum(not claim.beyond_error for claim in published)
        sentences.append(
            f"Of the {len(published)} published differences between these values, {within} "
            f"{'is' if within == 1 else 'are'} within the sampling error of {OFFICIAL_TEST_IMAGES:,} test images."
        )
    return sentences


def _precision(study: StudyResult) -> list[str]:
    half = median(50 * (d.estimate.high - d.estimate.low) for *_, d in study.compared)
    return [f"The 95% intervals of the differences are ±{half:.2f} points in the median."]
