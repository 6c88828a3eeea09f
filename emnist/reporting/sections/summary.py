"""What a study shows in one sentence, and where it contradicts the reference report."""

from collections import Counter, defaultdict
from statistics import median

from emnist.analysis.comparison import OFFICIAL_TEST_IMAGES
from emnist.analysis.study_result import StudyResult
from emnist.analysis.verdict import BETTER, EQUAL, INCOMPLETE, UNDECIDED, WORSE
from emnist.reporting.document import Document
from emnist.reporting.wording import CLAIMED, ONE_RUN, count, data_of, points_of, spaced, verdict_of


def add_headline(document: Document, study: StudyResult) -> None:
    """What the verdicts are, and what was measured."""
    if study.compared:
        document.text(f"**{headline(study)}**")
    lengths = sorted({start.config["trainer"]["max_epochs"] for start in study.starts.values() if start.runs})
    epochs = ""
    if lengths:
        epochs = f", at most {f'{lengths[0]} to ' if len(lengths) > 1 else ''}{count(lengths[-1], 'epoch')}"
    document.text(f"{data_of(study.cells)}, {runs_of(study)}{epochs}.")


def headline(study: StudyResult) -> str:
    """All verdicts of the study in one sentence."""
    if all(d.of_networks for *_, d in study.compared):
        return ONE_RUN
    values = [row for _, row in study.rows if not row.is_start and row.cell.runs]
    verdicts = Counter(INCOMPLETE if row.difference is None else row.difference.verdict for row in values)
    better, worse = verdicts[BETTER], verdicts[WORSE]
    differ = f"{better + worse or 'None'} of {count(len(values), 'value')} {_verb(better + worse or 1, 'differ')}"
    numbers = f" ({better} better, {worse} worse)" if better or worse else ""
    reference = "the reference of their setting" if study.settings else "the reference"
    parts = [f"{differ} from {'the best so far' if study.mode == 'greedy' else reference}{numbers}"]
    for verdict, word in ((EQUAL, f"equal within {100 * study.delta:g} points"), (UNDECIDED, ""), (INCOMPLETE, "")):
        if number := verdicts[verdict]:
            parts.append(f"{number} {'is' if number == 1 else 'are'} {word or verdict}")
    if untrained := sum(not row.is_start and not row.cell.runs for _, row in study.rows):
        parts.append(f"{untrained} not trained")
    sentence = ", ".join(parts)
    if agreement := claims_by_agreement(study):
        wrong = len(agreement["no"])
        sentence += f"; {wrong or 'none'} {_verb(wrong or 1, 'contradict')} the reference report"
    return f"{sentence}."


def runs_of(study: StudyResult) -> str:
    """How many runs each value has."""
    if study.looks:
        counts = [d.runs for *_, d in study.compared] or [0]
        return f"{min(counts)} to {max(counts)} runs per value, as many as its verdict needed"
    runs = f"{count(study.planned, 'run')} per value"
    more = len(study.reference_runs)
    return runs if more == study.planned else f"{runs}, {more} of the reference"


def add_contradictions(document: Document, study: StudyResult) -> None:
    """A list of the values whose verdict contradicts the reference report."""
    points = [
        f"**{spaced(factor)} {row.label}** is {verdict_of(d, study.delta)} here, {points_of(d.estimate)} points; "
        f"in the reference report it is {CLAIMED[row.claim.direction]}."
        for factor, row, d in study.compared
        if row.claim is not None and row.claim.agrees(d.verdict) == "no"
    ]
    if points:
        document.points(points)


def claims_by_agreement(study: StudyResult) -> dict[str, list[str]]:
    """The values with a claim of the reference report: yes, no or undecided → names."""
    names: dict[str, list[str]] = defaultdict(list)
    for factor, row, d in study.compared:
        if row.claim is not None and (agrees := row.claim.agrees(d.verdict)):
            names[agrees].append(f"{spaced(factor)} {row.label}")
    return names


def details(study: StudyResult) -> list[str]:
    """Sentences about the claims of the reference report and the precision of this study."""
    sentences, agreement = [], claims_by_agreement(study)
    if claims := sum(map(len, agreement.values())):
        sentences.append(
            f"{count(claims, 'claim')} of the reference report: this study agrees with {len(agreement['yes'])} and "
            f"contradicts {len(agreement['no'])}; {len(agreement['undecided'])} "
            f"{'is' if len(agreement['undecided']) == 1 else 'are'} undecided."
        )
    published = [row.claim for _, row, _ in study.compared if row.claim and row.claim.points is not None]
    if published:
        within = sum(not claim.beyond_error for claim in published)
        sentences.append(
            f"Of the {len(published)} published differences between these values, {within} "
            f"{'is' if within == 1 else 'are'} within the sampling error of {OFFICIAL_TEST_IMAGES:,} test images."
        )
    if study.compared:
        half = median(50 * (d.estimate.high - d.estimate.low) for *_, d in study.compared)
        sentences.append(f"The 95% intervals of the differences are ±{half:.2f} points in the median.")
    return sentences


def _verb(number: int, verb: str) -> str:
    return f"{verb}s" if number == 1 else verb
