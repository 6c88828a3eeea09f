"""The best cell of each model: accuracy, cost, and whether they differ."""

from statistics import fmean

from emnist.analysis.collection import Cell
from emnist.analysis.comparison import test_accuracy, val_accuracy
from emnist.analysis.selection import Candidate, Selection
from emnist.figures.study import Point, accuracy_and_cost
from emnist.figures.style import to_png
from emnist.inference.cost import Cost, multiply_accumulates
from emnist.reporting.document import Document
from emnist.reporting.wording import count, data_of, model_name, p_value, percent, points_of, thousands, threads


def add_models(document: Document, selection: Selection, costs: dict[str, Cost], in_studies: bool) -> None:
    """Tables and a figure of the models; `costs` by the id of the cell, of those that could be measured."""
    if not selection.best:
        return
    document.heading("The models compared")
    measured = data_of([candidate.cell for candidate in selection.candidates])
    document.text(
        "Each by its cell with the highest mean validation accuracy, of those with all their runs"
        f"{' in a study' if in_studies else ''}. {measured}."
    )
    if selection.left_out:
        what = f"{count(len(selection.left_out), 'cell')}. {data_of(selection.left_out)}"
        document.text(f"Left out, since accuracies on other images are not comparable: {what}.")
    _accuracy_and_cost(document, selection.best, costs)
    _differences(document, selection)
    named = {id(candidate) for candidate in selection.best}
    points = [
        Point(model_name(c.cell.model), macs, accuracy, c.label if id(c) in named else None)
        for c in selection.candidates
        if (accuracy := test_accuracy(c.cell)) is not None and (macs := _macs(c.cell))
    ]
    if points:
        figure = accuracy_and_cost(points, f"Every cell: test accuracy and cost\n{measured}")
        document.picture("figures/cost.png", to_png(figure), "Test accuracy over multiply-accumulates")


def _accuracy_and_cost(document: Document, best: list[Candidate], costs: dict[str, Cost]) -> None:
    columns = ["model", "cell", "validation % [95%]>", "test % [95%]>", "parameters>", "multiply-accumulates>"]
    columns += ["epochs>", "training s>", "images/s>", "MB>"]
    rows = []
    for cell, label in ((candidate.cell, candidate.label) for candidate in best):
        cost, seconds = costs.get(cell.id), fmean(cell.values("duration_s"))
        rows.append(
            [
                model_name(cell.model),
                label,
                percent(val_accuracy(cell)),
                percent(test_accuracy(cell)),
                f"{cell.values('parameters')[0]:,}",
                thousands(_macs(cell)),
                f"{fmean(cell.values('epochs')):.0f}",
                f"{seconds:,.{0 if seconds >= 10 else 1}f}",
                f"{cost.images_per_s:,.0f}" if cost else "–",
                f"{cost.megabytes:.2f}" if cost else "–",
            ]
        )
    document.table(columns, rows)
    device = next((cost.device for cost in costs.values()), None)
    where = f" in 32-bit on {device['name']}, {threads(device)}, measured for this report" if device else ""
    document.text(
        "Multiply-accumulates are those of one image, counted by torch. *Training* is the mean over the runs on the "
        "hardware named under [Provenance](#provenance), with whatever else ran there. "
        f"*Images/s* is inference{where}; *MB* is the checkpoint."
    )
    budgets = {candidate.cell.model: candidate.cell.config["trainer"]["max_epochs"] for candidate in best}
    if len(set(budgets.values())) > 1:
        most = ", ".join(f"{model_name(model)} {epochs}" for model, epochs in budgets.items())
        document.text(f"**They were trained for different numbers of epochs**, which favours some; at most: {most}.")


def _differences(document: Document, selection: Selection) -> None:
    rows = [
        [
            f"{model_name(b.cell.model)} against {model_name(a.cell.model)}",
            points_of(d.estimate),
            p_value(d.p_corrected),
            f"{d.pairs}",
            d.verdict,
        ]
        for a, b, d in selection.differences
    ]
    if rows:
        document.table(["", "difference [95%]>", "p (Holm)>", "pairs of runs>", "verdict"], rows)


def _macs(cell: Cell) -> int | None:
    """Multiply-accumulates of one image; None without predictions, which tell the number of classes."""
    classes = cell.tested[0].num_classes
    return multiply_accumulates(cell.config["model"], classes) if classes else None
