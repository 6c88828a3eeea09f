"""results.csv: a row per run, without times, so that two reports on the same results are the same file."""

from typing import Any

import pandas as pd

from emnist.analysis.collection import Cell, Run
from emnist.analysis.search import SearchResult
from emnist.analysis.settings import differing_settings
from emnist.analysis.study_result import StudyResult
from emnist.reporting.wording import describe_cell
from emnist.runs.identity import fold_and_seed
from emnist.runs.search import HAND_TUNED

LATER = "test_balanced_accuracy"  # a column if a run states it: reports on older runs stay the same file
COPIED = ["val_accuracy", "test_accuracy", "test_top3_accuracy", "test_macro_f1", LATER, "test_ece", "test_loss"]
COPIED += ["best_epoch", "epochs", "stopped", "parameters"]  # all from result.json
COLUMNS = ["study", "settings", "cell", "model", "fold", "seed", "state", *COPIED, "data", "commit", "reason"]


def results_csv(studies: list[StudyResult], searches: list[SearchResult], others: list[Cell]) -> str:
    """All runs of studies and finals, those that are missing too, then those of searches and all others."""
    rows: list[dict[str, Any]] = []
    outcomes = [one for result in searches for one in result.outcomes]
    for study in (*studies, *(one.final for one in outcomes if one.final is not None)):
        for cell in study.cells:
            runs = {(run.fold, run.seed): run for run in cell.runs}
            for fold, seed in map(fold_and_seed, study.run_names(cell)):
                row = {"study": study.name, "settings": describe_cell(study, cell), "cell": cell.id}
                run = runs.get((fold, seed))
                rows.append(row | ({"fold": fold, "seed": seed, "state": "missing"} if run is None else _run(run)))
        for factor, values in study.factors.items():  # of a greedy study that has not got so far
            unknown = [f"{factor}: {row.label}" for row in values if not row.cell.id]
            rows += [{"study": study.name, "settings": settings, "state": "missing"} for settings in unknown]
    for one in outcomes:
        named = [(HAND_TUNED, one.reference), *((f"trial {number}", cell) for number, cell in one.cells.items())]
        about = [(settings, cell.id, run) for settings, cell in named for run in cell.runs]
        rows += [
            {"study": one.search.name, "settings": settings, "cell": id, **_run(run)} for settings, id, run in about
        ]
    for cell, settings in zip(others, differing_settings(others), strict=True):
        rows += [{"settings": settings, "cell": cell.id, **_run(run)} for run in cell.runs]
    columns = [name for name in COLUMNS if name != LATER or any(row.get(LATER) is not None for row in rows)]
    # As objects, or pandas would turn whole numbers beside missing ones into floats.
    return pd.DataFrame(rows, columns=columns, dtype=object).to_csv(index=False, lineterminator="\n")


def _run(run: Run) -> dict[str, Any]:
    row = {"model": run.config["model"]["name"], "fold": run.fold, "seed": run.seed, "state": run.status}
    if (result := run.result) is None:
        return row | {"reason": run.failure}
    copied = {name: getattr(result, name) for name in COPIED}
    return row | copied | {"data": result.data.description, "commit": result.versions.get("commit")}
