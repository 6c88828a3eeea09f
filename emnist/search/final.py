"""The end of a search: its winner and the hand-tuned reference, trained where neither was chosen, as a study."""

from pathlib import Path

from hydra.core.plugins import Plugins
from hydra.types import HydraContext
from omegaconf import DictConfig

from emnist.analysis.search import HAND_TUNED, SEARCHED
from emnist.runs.folder import RunFolder
from emnist.runs.search import Trial
from emnist.search.spec import SearchSpec
from emnist.study.compose import Compose, fingerprint
from emnist.study.launch import Worker, launch
from emnist.study.overrides import merge
from emnist.study.planning import PlannedRun, Planner, Step, planned_cell, planned_run
from emnist.study.progress import Progress
from emnist.study.spec import Study, Value
from emnist.study.together import groups


class FinalPlanner(Planner):
    """Only fresh runs count: in those of the trials the winner was lucky."""

    adds_up = False


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


def train(planner: Planner, more: list[PlannedRun], config: DictConfig, context: HydraContext) -> dict[Path, str]:
    """Train the missing runs of the final and these. Returns why runs failed, by folder."""
    worker = Worker()
    launcher = Plugins.instance().instantiate_launcher(context, worker, config)
    with Progress(planner.name) as progress:
        for step in planner.steps():
            wanted = Step(list({run.path: run for run in (*step.runs, *more)}.values()), step.later)
            for run in wanted.missing:
                RunFolder(run.path).failure.unlink(missing_ok=True)
            with progress.watch([run.path for run in wanted.runs], wanted.later):
                launch(list(groups(wanted.missing, planner.study.together)), launcher, worker)
    return progress.failures
