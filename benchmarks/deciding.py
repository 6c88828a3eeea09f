"""What a study that decides saves, on real runs: beside grids with the same number of runs for every value.

    python benchmarks/deciding.py FULL DECIDED

FULL and DECIDED are folders of the same study with the same runs, such as outputs/study and a copy of it in which
`study.decide=true` was run afterwards, which trains nothing. A grid of k runs draws its verdicts from the first k runs
of each value and the first of the reference, in the same proportion, as a study without `decide` would.
"""

import argparse
from pathlib import Path

from rich.console import Console
from rich.table import Table

from emnist.analysis.collection import Cell, collect
from emnist.analysis.comparison import compare
from emnist.analysis.study_result import StudyResult
from emnist.analysis.verdict import UNDECIDED


def study_of(folder: Path, runs: int | None = None) -> StudyResult:
    """The study in this folder, or what a grid of so many runs would have shown."""
    collection = collect([folder])
    ((plan, path),) = collection.studies
    if runs is not None:
        times = len(plan.reference_runs) // len(plan.runs)
        plan.runs, plan.reference_runs = plan.runs[:runs], plan.reference_runs[: times * runs]
    return compare(plan, path, collection)


def cost(study: StudyResult) -> tuple[int, float]:
    """Runs, and hours of training."""
    cells: list[Cell] = study.cells
    return sum(len(cell.runs) for cell in cells), sum(sum(cell.values("duration_s")) for cell in cells) / 3600


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("full", type=Path)
    parser.add_argument("decided", type=Path)
    arguments = parser.parse_args()
    decided, full = study_of(arguments.decided), study_of(arguments.full)
    settled = {(factor, row.label): d.verdict for factor, row, d in decided.compared if d.verdict != UNDECIDED}
    table = Table("", "runs", "hours of training", "settled", "of those that deciding settles", "otherwise")
    grids = [k for k in (2, 3, 5, 10, 15, 25) if k <= full.planned]
    studies = {"study.decide": decided} | {f"grid, {k} runs a value": study_of(arguments.full, k) for k in grids}
    for name, study in studies.items():
        verdicts = {(factor, row.label): d.verdict for factor, row, d in study.compared}
        runs, hours = cost(study)
        table.add_row(
            name,
            f"{runs}",
            f"{hours:.2f}",
            f"{sum(verdict != UNDECIDED for verdict in verdicts.values())} of {len(verdicts)}",
            f"{sum(verdicts[key] == verdict for key, verdict in settled.items())} of {len(settled)}",
            f"{sum(verdicts[key] not in (verdict, UNDECIDED) for key, verdict in settled.items())}",
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
