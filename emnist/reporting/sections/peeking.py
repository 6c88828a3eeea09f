"""How much higher test accuracies are if the epoch is chosen on the test set."""

from statistics import fmean

from emnist.analysis.collection import Run
from emnist.analysis.peeking import peeking
from emnist.reporting.document import Document
from emnist.reporting.wording import in_order, model_name


def add_peeking(document: Document, runs: list[Run]) -> None:
    """One sentence and a table; nothing without a run with validation."""
    found = sorted(peeking(runs), key=lambda one: (in_order(one.model), one.data))
    if not found:
        return
    document.heading("What choosing the epoch on the test set is worth")
    gains = [gain for one in found for gain in one.gains]
    document.text(
        f"**Choosing the epoch by test accuracy adds {fmean(gains):.2f} points on average, {max(gains):.2f} at most.**"
    )
    document.text(
        "Several published records report the best epoch on the test set. This report takes the best one by "
        "validation; the table has the difference between the two, in points, for the same runs."
    )
    rows = [
        [
            model_name(one.model),
            f"{len(one.gains)}",
            f"+{one.mean:.2f}",
            "–" if one.sd is None else f"{one.sd:.2f}",
            f"{min(one.gains):.2f} to {max(one.gains):.2f}",
            one.data,
        ]
        for one in found
    ]
    document.table(["model", "runs>", "mean gain>", "sd>", "smallest to largest>", "data"], rows)
