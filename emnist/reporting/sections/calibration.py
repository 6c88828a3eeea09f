"""Whether the probabilities of the best cells are what they say, before and after the temperature."""

from statistics import fmean

from emnist.analysis.selection import Candidate
from emnist.reporting.document import Document
from emnist.reporting.wording import model_name


def add_calibration(document: Document, best: list[Candidate]) -> None:
    """A table of the models whose runs have a temperature; nothing if there are none."""
    rows, without = [], []
    for candidate in best:
        runs = [run.result for run in candidate.cell.tested if run.result and run.result.tested_temperature]
        before = [result.test_ece for result in runs if result.test_ece is not None]
        after = [result.test_calibrated_ece for result in runs if result.test_calibrated_ece is not None]
        if not (runs and before and after):
            without.append(model_name(candidate.cell.model))
        else:
            temperatures = [result.tested_temperature for result in runs if result.tested_temperature]
            rows.append(
                [
                    model_name(candidate.cell.model),
                    candidate.label,
                    f"{len(runs)}",
                    f"{fmean(temperatures):.2f}",
                    f"{100 * fmean(before):.2f}",
                    f"{100 * fmean(after):.2f}",
                ]
            )
    if not rows:
        return
    document.heading("Calibration")
    document.text(
        "Logits are divided by a temperature that is fitted on the validation fold (Guo et al., 2017). ECE is the "
        "expected calibration error on the test images, with 15 bins, in points: how far confidence is from accuracy. "
        "Means over the runs. A temperature changes no class."
    )
    if without:
        document.text(f"Without {', '.join(without)}, whose runs have no temperature.")
    document.table(["model", "cell", "runs>", "temperature>", "ECE before>", "ECE after>"], rows)
