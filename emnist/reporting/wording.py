"""How a report puts things: names, numbers and claims in words."""

from collections.abc import Sequence
from math import floor, log10

from emnist.analysis.collection import Cell
from emnist.analysis.study_result import Difference, Estimate, Row, StudyResult
from emnist.analysis.verdict import EQUAL, UNDECIDED

MODELS = {  # in the order of a report
    "mlp": "MLP",
    "cnn": "CNN",
    "resnet": "ResNet",
    "compact": "Compact",
    "vgg5_spinal": "VGG-5 (Spinal FC)",
    "wavemix_lite": "WaveMix-Lite",
}
CLAIMED = {"better": "higher", "worse": "lower", "not better": "not higher", "no different": "equal"}
ONE_RUN = "One run per value shows nothing about another training, so there are no verdicts about the settings."


def model_name(model: str) -> str:
    return MODELS.get(model, model)


def in_order(name: str) -> tuple[int, str]:
    """Sort key: these models first, in this order, then others by name."""
    return {model: i for i, model in enumerate(MODELS)}.get(name, len(MODELS)), name


def title(study: StudyResult) -> str:
    name = model_name(study.namesake or study.name)
    name = name[:1].upper() + name[1:]
    return f"{name} ({study.folder})" if study.namesake else name


def listed(parts: Sequence[str]) -> str:
    """a, b and c."""
    *before, last = parts
    return f"{', '.join(before)} and {last}" if before else last


def describe_cell(study: StudyResult, cell: Cell) -> str:
    """The value that distinguishes the cell, in a greedy study after those chosen before."""
    for setting, start in study.starts.items():
        if cell.id == start.id:
            name = "start" if study.mode == "greedy" else "reference"
            return name if setting is None else f"{setting}: {name}"
    before: list[str] = []
    for factor, rows in study.factors.items():
        for row in rows:
            if row.cell.id == cell.id and not row.is_start:
                return ", ".join([*before, f"{spaced(factor)} {row.label}"])
        before += [f"{spaced(factor)} {row.label}" for row in rows if row.is_chosen and not row.is_start]
    return "reference"


def data_of(cells: list[Cell]) -> str:
    """The data that the runs of these cells were tested on."""
    descriptions = {run.result.data.description for cell in cells for run in cell.runs if run.result}
    return f"Measured on {' and on '.join(sorted(descriptions))}" if descriptions else "Nothing measured yet"


def claim_of(row: Row) -> str:
    """What the reference report says of the value, in a few words."""
    claim = row.claim
    if claim is None:
        return ""
    if not claim.points:
        return CLAIMED[claim.direction]
    return f"{CLAIMED[claim.direction]} by {abs(claim.points):.2f}{'' if claim.beyond_error else ', within error'}"


def verdict_of(d: Difference, delta: float) -> str:
    """The verdict in words, with what would probably settle it if it is undecided; `delta` as a fraction of 1."""
    if d.verdict == EQUAL:
        return f"equal within {100 * delta:g}"
    if d.verdict != UNDECIDED:
        return d.verdict
    if d.of_networks:
        return "one run: only these two networks"
    return f"undecided: {d.reason or needed(d)}"


def needed(d: Difference) -> str:
    """What would probably settle an undecided difference."""
    if d.more_runs is not None:
        return f"about {count(d.more_runs, 'more run')}"
    if d.images is not None:
        return f"about {two_digits(d.images):,} test images"
    return "more runs and more test images"


def two_digits(number: int) -> int:
    """Rounded up to two significant digits."""
    unit = 10 ** max(floor(log10(number)) - 1, 0)
    return -(-number // unit) * unit


def spaced(factor: str) -> str:
    return factor.replace("_", " ")


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def percent(estimate: Estimate | None) -> str:
    return "–" if estimate is None else "{:.2f} [{:.2f}, {:.2f}]".format(*(100 * value for value in estimate))


def points_of(estimate: Estimate) -> str:
    return "{:+.2f} [{:+.2f}, {:+.2f}]".format(*(100 * value for value in estimate))


def p_value(p: float | None) -> str:
    return "" if p is None else "<0.0001" if p < 0.0001 else f"{p:.4f}"


def thousands(number: int | None) -> str:
    if number is None:
        return "–"
    return f"{number / 1e6:,.1f} M" if number >= 1e6 else f"{number / 1e3:,.0f} k"


def threads(device: dict[str, str | int]) -> str:
    return f"{device['threads']} thread{'' if device['threads'] == 1 else 's'}"
