"""The best cell of each model: accuracy, cost, and whether they differ."""

from statistics import fmean

from emnist.analysis.budget import reached_after, smallest_budget
from emnist.analysis.collection import Cell
from emnist.analysis.comparison import sample_of, test_accuracy, val_accuracy
from emnist.analysis.selection import Candidate, Selection
from emnist.analysis.study_result import Difference
from emnist.analysis.variance import Prior, moderate
from emnist.figures.study import Point, accuracy_and_cost
from emnist.figures.style import to_png
from emnist.inference.cost import Cost, multiply_accumulates
from emnist.reporting.document import PAGE_WIDTH, Document
from emnist.reporting.wording import (
    count,
    data_of,
    model_name,
    p_value,
    percent,
    points_of,
    thousands,
    threads,
    verdict_of,
)


def add_models(document: Document, selection: Selection, costs: dict[str, Cost], in_studies: bool) -> None:
    """Tables and a figure of the models; `costs` by the id of the cell, of those that could be measured."""
    if not selection.best:
        return
    document.heading("The models compared")
    measured = data_of([candidate.cell for candidate in selection.candidates])
    reached = [f"{model_name(c.cell.model)} {fmean(c.cell.values('test_accuracy')):.2%}" for c in selection.best]
    document.text(f"**On the test images: {', '.join(reached)}.**")
    document.text(
        "Each by its cell with the highest mean validation accuracy, of those with all their runs"
        f"{' in a study' if in_studies else ''}. {measured}."
    )
    if selection.left_out:
        what = f"{count(len(selection.left_out), 'cell')}. {data_of(selection.left_out)}"
        document.text(f"Left out, since accuracies on other images are not comparable: {what}.")
    priors = _priors(selection.candidates)
    named = {id(candidate) for candidate in selection.best}
    points = [
        Point(model_name(c.cell.model), macs, accuracy, c.label, id(c) in named)
        for c in selection.candidates
        if (accuracy := test_accuracy(c.cell, priors[c.cell.model])) is not None and (macs := _macs(c.cell))
    ]
    if points:
        figure = accuracy_and_cost(points, f"Every cell: test accuracy and cost\n{measured}")
        document.picture("figures/cost.png", to_png(figure), "Test accuracy over multiply-accumulates", PAGE_WIDTH)
    _differences(document, selection)
    _same_budget(document, selection.best)
    with document.fold("What each costs: parameters, multiply-accumulates, training, inference"):
        _accuracy_and_cost(document, selection.best, costs, priors)


def _priors(candidates: list[Candidate]) -> dict[str, Prior]:
    """Of the run-to-run variance, by model."""
    samples = [(c.cell.model, sample) for c in candidates if (sample := sample_of(c.cell)) is not None]
    models = {candidate.cell.model for candidate in candidates}
    return {model: moderate([sample for name, sample in samples if name == model]) for model in models}


def _same_budget(document: Document, best: list[Candidate]) -> None:
    epochs = smallest_budget(best)
    rows = [
        [
            model_name(one.candidate.cell.model),
            one.candidate.label,
            f"{100 * one.val:.2f}",
            f"{100 * one.test:.2f}",
            f"{one.candidate.epochs}",
            f"{one.runs}",
        ]
        for one in (reached_after(best, epochs) if epochs else [])
    ]
    if not rows:
        return
    document.heading(f"After the same number of epochs ({epochs})", 3)
    document.table(["model", "cell", "validation %>", "test %>", "trained for>", "runs>"], rows)
    document.text(
        f"The same runs, in their best epoch by validation among the first {epochs}. Their schedules were made for the "
        "number of epochs they were *trained for*, so this favours the models with fewer."
    )


def _accuracy_and_cost(
    document: Document, best: list[Candidate], costs: dict[str, Cost], priors: dict[str, Prior]
) -> None:
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
                percent(test_accuracy(cell, priors[cell.model])),
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


def _differences(document: Document, selection: Selection) -> None:
    rows = [
        [
            f"{model_name(b.cell.model)} against {model_name(a.cell.model)}",
            points_of(d.estimate),
            p_value(d.p),
            f"{d.runs} against {d.reference_runs}",
            _verdict(d),
        ]
        for a, b, d in selection.differences
    ]
    if rows:
        document.table(["", "difference [95%]>", "p>", "runs>", "verdict"], rows)


def _verdict(d: Difference) -> str:
    return "one run of a model: only these networks" if d.of_networks else verdict_of(d, 0.0)


def _macs(cell: Cell) -> int | None:
    """Multiply-accumulates of one image; None without predictions, which tell the number of classes."""
    run = cell.tested[0]
    if run.result is None or not run.num_classes:
        return None
    return multiply_accumulates(cell.config["model"], run.num_classes, run.result.data.image_shape)
