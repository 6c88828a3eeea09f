"""What pruning would have saved in a search without it, and what it would have lost.

    python benchmarks/pruning.py FOLDER [--orders 200] [--run-sd 0.3]

FOLDER holds the search.json of a random search with `pruner: none`, `images: false` and several runs a trial; beside it
lie its cells, with the validation predictions of each run. Random trials could have come in any order, so each rule
runs over many of them, and Optuna's own pruners see the learning curve of each first run, one epoch at a time. A trial
that is pruned in its first run saves the rest of that run and all others; by images, after a run, the others.

Regret is how far the winner is below the best of all trials, by the mean over all runs, in points. What a rule saves is
worth something only if it beats a shorter search: the last column has the regret of one without pruning, in the same
order, that ends after the time that the rule takes.
"""

import argparse
import itertools
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import fmean

import numpy as np
import optuna

from emnist.analysis.racing import loses
from emnist.errors import UserError
from emnist.runs.folder import RunFolder
from emnist.runs.search import COMPLETE, Search

METRIC = "val_accuracy"


@dataclass(frozen=True)
class Replayed:
    """A complete trial, of which a rule may see a part."""

    curve: list[float]  # the metric after each epoch of the first run
    values: list[float]  # of the runs
    right: list[np.ndarray]  # of the runs, which validation images: bool [V]
    seconds: list[float]
    epochs: list[int]

    @property
    def value(self) -> float:
        return fmean(self.values)


@dataclass(frozen=True)
class Outcome:
    """Of a search with a rule."""

    winner: int
    pruned: frozenset[int]
    seconds: float
    epochs: int


def read_trials(path: Path) -> tuple[list[Replayed], int, int]:
    """The complete trials of an unpruned search, the largest number of epochs, and how many trials there are."""
    search = Search.read(path) if path.exists() else None
    if search is None:
        raise UserError(f"{path}: missing, or not the file of a search")
    if search.metric != METRIC or search.pruner != "none" or search.images or len(search.runs) < 2:
        raise UserError(f"{path}: not a search by {METRIC} without pruning and with several runs a trial")
    trials, most = [], 0
    for trial in search.trials:
        if trial.state != COMPLETE or trial.cell is None:
            continue
        folders = [RunFolder(path.parents[2] / trial.cell / run) for run in search.runs]
        results = [result for folder in folders if (result := folder.read_result()) is not None]
        if len(results) < len(folders):
            raise UserError(f"{path}: trial {trial.number} is complete, but a run of {folders[0].path.parent} is not")
        most = max(most, *(result.config["trainer"]["max_epochs"] for result in results))
        trials.append(
            Replayed(
                curve=[row[METRIC] for row in folders[0].read_metrics()],
                values=[result.val_accuracy or 0.0 for result in results],
                right=[right_answers(folder) for folder in folders],
                seconds=[result.duration_s for result in results],
                epochs=[result.epochs for result in results],
            )
        )
    if len(trials) < 2:
        raise UserError(f"{path}: has {len(trials)} complete trials; at least 2 are needed")
    return trials, most, len(search.trials)


def right_answers(folder: RunFolder) -> np.ndarray:
    """Which validation images the run got right, bool [V]."""
    path = folder.path / "validation.npz"
    if not path.exists():
        raise UserError(f"{path}: missing; only runs of this version store their validation predictions")
    with np.load(path) as arrays:
        return arrays["label"] == arrays["predicted"]


def median(epochs: int) -> optuna.pruners.BasePruner:
    return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=2, interval_steps=1, n_min_trials=1)


def hyperband(epochs: int) -> optuna.pruners.BasePruner:
    return optuna.pruners.HyperbandPruner(min_resource=1, max_resource=epochs, reduction_factor=3, bootstrap_count=0)


def no_pruner(epochs: int) -> optuna.pruners.BasePruner:
    return optuna.pruners.NopPruner()


Lost = Callable[[int, int, int], bool]  # whether a trial has lost against another after so many runs
RULES = {
    "none": (no_pruner, False),
    "median": (median, False),
    "Hyperband": (hyperband, False),
    "images": (no_pruner, True),
    "median, images": (median, True),
    "Hyperband, images": (hyperband, True),
}


def replay(
    trials: list[Replayed], order: np.ndarray, pruner: optuna.pruners.BasePruner, lost: Lost | None, name: str
) -> Outcome:
    """The search in this order. The name of the study decides which trial is in which of Hyperband's brackets."""
    study = optuna.create_study(study_name=name, direction="maximize", pruner=pruner)
    best: int | None = None
    pruned: set[int] = set()
    seconds, epochs = 0.0, 0
    for number in map(int, order):
        trial, asked = trials[number], study.ask()
        reached = last_epoch(asked, trial.curve)
        if reached is not None:
            seconds += trial.seconds[0] * reached / len(trial.curve)
            epochs += reached
        else:
            looks = range(1, len(trial.values)) if lost is not None and best is not None else ()
            runs = next((k for k in looks if lost(number, best, k)), None)
            seconds += sum(trial.seconds[:runs])
            epochs += sum(trial.epochs[:runs])
            if runs is None:
                study.tell(asked, trial.value)
                best = number if best is None or trial.value > trials[best].value else best
                continue
        pruned.add(number)
        study.tell(asked, state=optuna.trial.TrialState.PRUNED)
    assert best is not None  # the first trial of a bracket, and of Optuna's median, is never pruned
    return Outcome(best, frozenset(pruned), seconds, epochs)


def last_epoch(asked: optuna.Trial, curve: list[float]) -> int | None:
    """The epoch of the first run after which the pruner ends the trial."""
    if isinstance(asked.study.pruner, optuna.pruners.NopPruner):
        return None
    for epoch, value in enumerate(curve, 1):
        asked.report(value, epoch)
        if asked.should_prune():
            return epoch
    return None


def run_sd(trials: list[Replayed]) -> float:
    """From run to run, without flips of single images: from how the difference of two trials varies over the folds.

    Of pairs in the better half of the trials, since bad settings vary more.
    """
    better = sorted(trials, key=lambda trial: -trial.value)[: max(len(trials) // 2, 2)]
    variances = []
    for a, b in itertools.combinations(better, 2):
        differences = [x.astype(np.int8) - y for x, y in zip(a.right, b.right, strict=True)]
        images = fmean(d.var() / len(d) for d in differences)
        variances.append((np.var([d.mean() for d in differences], ddof=1) - images) / 2)
    return max(float(np.mean(variances)), 0.0) ** 0.5


def shorter(trials: list[Replayed], order: np.ndarray, seconds: float) -> int:
    """The winner of an unpruned search of so many seconds, at least one trial."""
    times = np.cumsum([sum(trials[number].seconds) for number in order])
    return int(max(order[: max(int((times <= seconds + 1e-6).sum()), 1)], key=lambda number: trials[number].value))


def row(name: str, outcomes: list[Outcome], trials: list[Replayed], orders: list[np.ndarray]) -> str:
    values = np.array([trial.value for trial in trials])
    best = int(values.argmax())
    top = set(np.argsort(-values)[: math.ceil(len(trials) / 10)].tolist())
    regrets = [100 * (values[best] - values[outcome.winner]) for outcome in outcomes]
    shortened = [shorter(trials, order, o.seconds) for order, o in zip(orders, outcomes, strict=True)]
    seconds, epochs = sum(sum(trial.seconds) for trial in trials), sum(sum(trial.epochs) for trial in trials)
    times = [100 * outcome.seconds / seconds for outcome in outcomes]
    cells = [
        f"{fmean(times):.1f}",
        f"{np.quantile(times, 0.05):.0f} to {np.quantile(times, 0.95):.0f}",
        f"{100 * fmean(outcome.epochs for outcome in outcomes) / epochs:.1f}",
        f"{100 * fmean(len(outcome.pruned) for outcome in outcomes) / len(trials):.0f}",
        f"{100 * fmean(len(outcome.pruned & top) for outcome in outcomes) / len(top):.1f}",
        f"{100 * fmean(regret > 0 for regret in regrets):.1f}",
        f"{fmean(regrets):.3f}",
        f"{np.quantile(regrets, 0.95):.2f}",
        f"{fmean(100 * (values[best] - values[winner]) for winner in shortened):.3f}",
    ]
    return f"| {name} | " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--orders", type=int, default=200)
    parser.add_argument("--level", type=float, default=0.05)
    parser.add_argument("--run-sd", type=float, default=0.3, help="in points")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        trials, epochs, all_trials = read_trials(arguments.folder / "search.json")
    except UserError as error:
        parser.error(str(error))

    @cache
    def lost(trial: int, incumbent: int, runs: int) -> bool:
        right = (trials[number].right[:runs] for number in (trial, incumbent))
        return loses(*right, len(trials[trial].right) - 1, arguments.level, arguments.run_sd / 100)

    hours, runs = sum(sum(trial.seconds) for trial in trials) / 3600, len(trials[0].values)
    print(f"{len(trials)} of {all_trials} trials, those complete, of {runs} runs of up to {epochs} epochs,")
    print(f"{sum(sum(trial.epochs) for trial in trials):,} epochs in {hours:.2f} h; {arguments.orders} random orders.")
    print(
        f"By images: {len(trials[0].right[0]):,} a run, level {arguments.level:g}, run sd {arguments.run_sd:g} points"
    )
    print(f"(of these trials {100 * run_sd(trials):.2f}).\n")
    columns = ["time %", "of 90% of orders", "epochs %", "trials pruned %", "best tenth pruned %"]
    columns += ["another winner %", "mean regret", "95% of regrets up to", "mean regret in the same time, unpruned"]
    print("| pruning | " + " | ".join(columns) + " |")
    print("| --- |" + " ---: |" * len(columns))
    orders = [np.random.default_rng(seed).permutation(len(trials)) for seed in range(arguments.orders)]
    start = time.perf_counter()
    for name, (pruner, by_images) in RULES.items():
        test = lost if by_images else None
        outcomes = [replay(trials, order, pruner(epochs), test, f"{i}") for i, order in enumerate(orders)]
        print(row(name, outcomes, trials, orders), flush=True)
    print(f"\n{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
