"""How a report puts things: names, numbers and claims in words."""

from emnist.analysis.collection import Cell
from emnist.analysis.comparison import Estimate, Row, StudyResult

MODELS = {"mlp": "MLP", "cnn": "CNN", "resnet": "ResNet"}  # in the order of a report
CLAIMED = {"better": "higher", "worse": "lower", "not better": "not higher", "no different": "equal"}
ONE_RUN = "One run per value: the verdicts are about these networks, not yet about the settings."


def model_name(model: str) -> str:
    return MODELS.get(model, model)


def in_order(name: str) -> tuple[int, str]:
    """Sort key: the models of the reference report first, in its order, then the others by name."""
    return {model: i for i, model in enumerate(MODELS)}.get(name, len(MODELS)), name


def title(study: StudyResult) -> str:
    name = model_name(study.namesake or study.name)
    return f"{name} ({study.folder})" if study.namesake else name


def describe_cell(study: StudyResult, cell: Cell) -> str:
    """The value that distinguishes the cell, in a greedy study after those chosen before."""
    if cell.id == study.start.id:
        return "start" if study.mode == "greedy" else "reference"
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
