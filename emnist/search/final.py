"""The end of a search: its winner and the hand-tuned reference, trained where neither was chosen, as a study."""

from collections.abc import Iterator
from pathlib import Path

from emnist.runs.search import HAND_TUNED, SEARCHED, Trial
from emnist.search.spec import SearchSpec
from emnist.study.compose import Compose, fingerprint
from emnist.study.overrides import merge
from emnist.study.planning import PlannedRun, Planner, Step, planned_cell, planned_run
from emnist.study.spec import Study, Value


class FinalPlanner(Planner):
    """Only fresh runs count: in those of the trials the winner was lucky."""

    adds_up = False

    def steps_with(self, repeats: list[PlannedRun]) -> Iterator[Step]:
        """Its steps, and these runs."""
        for step in self.steps():
            yield Step(list({run.path: run for run in (*step.runs, *repeats)}.values()), step.later)


def planner(spec: SearchSpec, start: tuple[str, ...], winner: Trial, cells: Path, compose: Compose) -> FinalPlanner:
    """The study of the final. Its trainings are fresh: other folds or seeds than those of the trials."""
    values = {HAND_TUNED: Value(set=[]), SEARCHED: Value(set=winner.overrides)}
    study = Study(
        reference=list(start),
        folds=list(spec.final_folds),
        seeds=spec.final.seeds if spec.final else [0],
        seeding=spec.seeding,
        factors={"search": values},
        all_folds=spec.all_folds,
    )
    return FinalPlanner(f"{spec.name}_final", study, start, cells, compose, fingerprint)


def repeats(spec: SearchSpec, start: tuple[str, ...], winner: Trial, cells: Path, compose: Compose) -> list[PlannedRun]:
    """The winner and the reference as trials on the final's folds and seeds: how lucky the winner was in the search."""
    both = [planned_cell(overrides, compose, fingerprint) for overrides in (start, merge(start, winner.overrides))]
    return [planned_run(cells, cell, fold, seed) for fold, seed in spec.final_runs for cell in both]
