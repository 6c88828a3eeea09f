"""The end of a search: its winner and the hand-tuned reference, trained where neither was chosen, as a study."""

from pathlib import Path

from hydra.core.plugins import Plugins
from hydra.types import HydraContext
from omegaconf import DictConfig

from emnist.runs.folder import RunFolder
from emnist.runs.search import Trial
from emnist.search.spec import SearchSpec
from emnist.study.compose import Compose, fingerprint
from emnist.study.launch import Worker, launch
from emnist.study.planning import Planner
from emnist.study.progress import Progress
from emnist.study.spec import Study, Value
from emnist.study.together import groups

HAND_TUNED, SEARCHED = "hand-tuned", "searched"


def planner(spec: SearchSpec, start: tuple[str, ...], winner: Trial, cells: Path, compose: Compose) -> Planner:
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
    return Planner(f"{spec.name}_final", study, start, cells, compose, fingerprint)


def train(planner: Planner, config: DictConfig, context: HydraContext) -> dict[Path, str]:
    """Train the missing runs. Returns why runs failed, by folder."""
    worker = Worker()
    launcher = Plugins.instance().instantiate_launcher(context, worker, config)
    with Progress(planner.name) as progress:
        for step in planner.steps():
            missing = step.missing
            for run in missing:
                RunFolder(run.path).failure.unlink(missing_ok=True)
            with progress.watch([run.path for run in step.runs], step.later):
                launch(list(groups(missing, planner.study.together)), launcher, worker)
    return progress.failures
