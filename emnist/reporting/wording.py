"""How a report says things: names, numbers and claims in words."""

from typing import Any

from emnist.analysis.collection import Cell
from emnist.analysis.comparison import Estimate, Row, StudyResult

FAMILIES = {"mlp": "MLP", "cnn": "CNN", "resnet": "ResNet"}

SAID = {"better": "higher", "worse": "lower", "not better": "not higher", "no different": "equal"}


def family_name(family: str) -> str:
    return FAMILIES.get(family, family)


def title(study: StudyResult) -> str:
    name = family_name(study.namesake or study.name)
    return f"{name} ({study.folder})" if study.namesake else name


def describe_cell(study: StudyResult, cell: Cell) -> str:
    """The value that sets it apart, in a greedy study after those chosen before."""
    if cell.id == study.start.id:
        return "start" if study.mode == "greedy" else "reference"
    before: list[str] = []
    for factor, rows in study.factors.items():
        for row in rows:
            if row.cell.id == cell.id and not row.is_start:
                return ", ".join([*before, f"{words(factor)} {row.label}"])
        before += [f"{words(factor)} {row.label}" for row in rows if row.is_chosen and not row.is_start]
    return "reference"


def data_of(cells: list[Cell]) -> str:
    """What the runs of these cells were measured on."""
    descriptions = {run.result["data"]["description"] for cell in cells for run in cell.runs if run.result}
    return f"Measured on {' and on '.join(sorted(descriptions))}" if descriptions else "Nothing measured yet"


def claim_words(row: Row) -> str:
    """What the report says of the value, in a few words."""
    claim = row.claim
    if claim is None:
        return ""
    if not claim.points:
        return SAID[claim.direction]
    return f"{SAID[claim.direction]} by {abs(claim.points):.2f}{'' if claim.beyond_error else ', within error'}"


def words(factor: str) -> str:
    return factor.replace("_", " ")


def number(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def percent(estimate: Estimate | None) -> str:
    return "–" if estimate is None else "{:.2f} [{:.2f}, {:.2f}]".format(*(100 * value for value in estimate))


def points_of(estimate: Estimate) -> str:
    return "{:+.2f} [{:+.2f}, {:+.2f}]".format(*(100 * value for value in estimate))


def p_value(p: float | None) -> str:
    return "" if p is None else "<0.0001" if p < 0.0001 else f"{p:.4f}"


def thousands(count: int | None) -> str:
    if count is None:
        return "–"
    return f"{count / 1e6:,.1f} M" if count >= 1e6 else f"{count / 1e3:,.0f} k"


def threads(device: dict[str, Any]) -> str:
    return f"{device['threads']} thread{'' if device['threads'] == 1 else 's'}"
