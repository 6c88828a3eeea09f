"""How often the verdicts of a study are wrong, and what they find: simulated studies whose truth is known.

    python benchmarks/verdicts.py [--studies 2000] [--cases "null, MLP" …]
    python benchmarks/verdicts.py --fit FOLDER…     the variances of real runs, which the model below is fitted to

The model is a probit of independent normal effects. Run r of setting c gets image i right if

    μ_c + √image S_i + √setting C_ci + √run (√shared O_c + √(1 - shared) A_cr) + √rest ε_cri > 0,

where image, setting, run and rest add up to 1. So the accuracy of the setting, over other images and other trainings,
is Φ(μ_c). S is how easy an image is for all settings, C for one of them, A what a run makes of its seed and order, O
what all runs of a setting have in common because their training sets overlap: a share of 1 / folds, which is what
Nadeau and Bengio assume. Every simulated study has other images.
"""

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy import optimize, stats

from emnist.analysis.collection import collect
from emnist.analysis.comparison import overlap, sample_of
from emnist.analysis.statistics import LEVEL
from emnist.analysis.variance import NO_PRIOR, Sample, moderate
from emnist.analysis.verdict import BETTER, EQUAL, UNDECIDED, WORSE, contrast, joint_limit, next_look, sequential_limit

IMAGES, FOLDS, COMPARISONS, REFERENCE_TIMES = 4700, 5, 11, 2
DELTA = 0.003
LOOKS = (3, 5, 10, 15, 25)


@dataclass(frozen=True)
class Variances:
    """Shares of the effects in the probit's variance, and the accuracy."""

    accuracy: float
    image: float
    setting: float
    run: float
    unequal: float = 1.0  # one setting has so many times the standard deviation from run to run
    odd: int = 2  # which one; 0 is the reference
    shared: float = 1 / FOLDS


# Fitted to 25 runs of each value of `study=mlp` and to the reference, on a quarter of EMNIST Balanced: 0.966 of the
# variance is that of images, 0.89 shared by settings; from run to run 0.00004 to 0.0002, of RMSprop at 0.1 0.0006.
MLP = Variances(0.80, 0.89, 0.076, 0.00006)
# To 10 runs of a CNN with filters [16, 32]: 0.941 that of images, from run to run less than their noise.
CNN = Variances(0.845, 0.86, 0.08, 0.00001)


def draw(random: np.random.Generator, model: Variances, differences: Sequence[float], runs: int) -> list[Sample]:
    """A study: the answers of the reference, with more runs, and of settings with these differences in accuracy."""
    easy = random.standard_normal(IMAGES, np.float32) * model.image**0.5
    samples = []
    for number, difference in enumerate([0.0, *differences]):
        count = runs * REFERENCE_TIMES if number == 0 else runs
        run = model.run * (model.unequal**2 if number == model.odd else 1)
        rest = 1 - model.image - model.setting - run
        ease = easy + random.standard_normal(IMAGES, np.float32) * model.setting**0.5
        ease += stats.norm.ppf(model.accuracy + difference)
        common = random.standard_normal() * model.shared**0.5
        own = random.standard_normal((count, 1)) * (1 - model.shared) ** 0.5
        threshold = -(ease + (common + own) * run**0.5) / rest**0.5
        right = random.standard_normal((count, IMAGES), np.float32) > threshold.astype(np.float32)
        samples.append(Sample(right, 1 / (FOLDS - 1)))
    return samples


Verdict = tuple[float, float, str]  # interval and verdict


def ours(samples: list[Sample]) -> list[Verdict]:
    return _simultaneous(samples, moderated=True)


def unmoderated(samples: list[Sample]) -> list[Verdict]:
    return _simultaneous(samples, moderated=False)


def _simultaneous(samples: list[Sample], moderated: bool) -> list[Verdict]:
    reference, *values = samples
    prior = moderate(samples) if moderated else NO_PRIOR
    contrasts = [contrast(value, reference, prior) for value in values]
    limit = joint_limit(contrasts, LEVEL)
    return [(i.low, i.high, i.verdict(DELTA)) for i in map(limit.interval, contrasts)]


def mcnemar_alone(samples: list[Sample]) -> list[Verdict]:
    """McNemar's test of the first pair of runs, with Holm's correction."""
    reference, *values = samples
    tables = [value.right[0].astype(np.int8) - reference.right[0].astype(np.int8) for value in values]
    first, second = np.array([[(t > 0).sum(), (t < 0).sum()] for t in tables]).T
    p = np.minimum(1, 2 * stats.binom.cdf(np.minimum(first, second), first + second, 0.5))  # exact
    return _holm(list(p), [t.mean() for t in tables], [t.std() / IMAGES**0.5 for t in tables], np.inf)


def paired_t(samples: list[Sample]) -> list[Verdict]:
    """A t-test over the folds, with Holm's correction."""
    reference, *values = samples
    k = values[0].runs
    pairs = [value.accuracies - reference.accuracies[:k] for value in values]
    means, errors = [d.mean() for d in pairs], [max(d.std(ddof=1) / k**0.5, 1e-9) for d in pairs]
    p = [2 * float(stats.t.sf(abs(m) / e, k - 1)) for m, e in zip(means, errors, strict=True)]
    return _holm(p, means, errors, k - 1)


def before(samples: list[Sample]) -> list[Verdict]:
    """The rule of version 0.2: signs of the images flipped, Holm's correction, and all pairs of runs of one sign."""
    reference, *values = samples
    k = values[0].runs
    tables = [value.right.astype(int) - reference.right[:k].astype(int) for value in values]
    sums = [t.sum(0) for t in tables]
    p = [2 * float(stats.norm.sf(abs(s.sum()) / max((s**2).sum() ** 0.5, 1e-9))) for s in sums]
    errors = [s.std() / k / IMAGES**0.5 for s in sums]
    verdicts = _holm(p, [s.mean() / k for s in sums], errors, np.inf)
    agree = [len(set(np.sign(t.sum(1)))) == 1 for t in tables]
    return [(low, high, v if a else UNDECIDED) for (low, high, v), a in zip(verdicts, agree, strict=True)]


def _holm(p: list[float], means: Sequence[float], errors: Sequence[float], df: float) -> list[Verdict]:
    """Verdicts with intervals of 95% each, as they were reported."""
    half = float(stats.t.isf(LEVEL / 2, df))
    order = np.argsort(p)
    passed = np.array(p)[order] < LEVEL / np.arange(len(p), 0, -1)  # Holm's steps, which stop at the first that fails
    significant = np.zeros(len(p), bool)
    significant[order[: len(p) if passed.all() else int(passed.argmin())]] = True
    return [
        (mean - half * error, mean + half * error, (BETTER if mean > 0 else WORSE) if sure else UNDECIDED)
        for sure, mean, error in zip(significant, means, errors, strict=True)
    ]


def deciding(samples: list[Sample]) -> tuple[list[Verdict], int]:
    """The verdicts of `study.decide`, and the runs they take."""
    reference, *values = samples
    prior = moderate([sample.first(LOOKS[0]) for sample in samples])
    first = [contrast(value.first(LOOKS[0]), reference.first(REFERENCE_TIMES * LOOKS[0]), prior) for value in values]
    limit = sequential_limit(first, LOOKS, len(values), LEVEL)
    verdicts: list[Verdict] = []
    used, most = 0, 0
    for value in values:
        for count in LOOKS:
            c = contrast(value.first(count), reference.first(REFERENCE_TIMES * count), prior)
            if next_look(c, limit, DELTA, LOOKS[-1])[1] is None:
                break
        i = limit.interval(c)
        verdicts.append((i.low, i.high, i.verdict(DELTA)))
        used, most = used + count, max(most, REFERENCE_TIMES * count)
    return verdicts, used + most


RULES: dict[str, Callable[[list[Sample]], list[Verdict]]] = {
    "McNemar alone": mcnemar_alone,
    "paired t over folds": paired_t,
    "the rule of 0.2": before,
    "this project, no prior": unmoderated,
    "this project": ours,
}


@dataclass
class Score:
    """Counts over studies."""

    studies: int = 0
    false: int = 0  # studies with any false verdict
    found: int = 0  # true differences given the right verdict
    true: int = 0
    covered: int = 0  # intervals that contain the true difference
    intervals: int = 0
    all_covered: int = 0  # studies in which all do

    def add(self, verdicts: Sequence[Verdict], truth: Sequence[float]) -> None:
        pairs = [(verdict, d) for (_, _, verdict), d in zip(verdicts, truth, strict=True)]
        right = [(v == BETTER and d > 0) or (v == WORSE and d < 0) for v, d in pairs]
        equal = [v == EQUAL and abs(d) <= DELTA for v, d in pairs]
        wrong = [v != UNDECIDED and not (r or e) for (v, _), r, e in zip(pairs, right, equal, strict=True)]
        inside = [low <= d <= high for (low, high, _), d in zip(verdicts, truth, strict=True)]
        self.studies += 1
        self.false += any(wrong)
        self.found += sum(right)
        self.true += sum(d != 0 for d in truth)
        self.covered += sum(inside)
        self.intervals += len(truth)
        self.all_covered += all(inside)


NULL = [0.0] * COMPARISONS
MIXED = [0.0, 0.0, 0.0, 0.005, -0.005, 0.01, -0.01, 0.015, -0.015, 0.03, -0.03]
CASES: dict[str, tuple[Variances, list[float]]] = {
    "null, MLP": (MLP, NULL),
    "null, CNN": (CNN, NULL),
    "null, MLP, one value of 10 times the variance": (replace(MLP, unequal=10**0.5), NULL),
    "null, MLP, a reference of 10 times the variance": (replace(MLP, unequal=10**0.5, odd=0), NULL),
    "power, MLP": (MLP, MIXED),
}


DECIDED = ("null, MLP", "power, MLP")  # simulated with study.decide, too, which takes as long as all the others


def simulate(case: str, runs: int, studies: int) -> dict[str, Score]:
    model, truth = CASES[case]
    random = np.random.default_rng([runs, list(CASES).index(case)])
    scores = {name: Score() for name in RULES}
    for _ in range(studies):
        samples = draw(random, model, truth, runs)
        for name, rule in RULES.items():
            scores[name].add(rule(samples), truth)
    return scores


def simulate_deciding(case: str, studies: int) -> tuple[Score, float]:
    """Its score, and the mean number of runs."""
    model, truth = CASES[case]
    random = np.random.default_rng([99, list(CASES).index(case)])
    score, runs = Score(), 0
    for _ in range(studies):
        verdicts, used = deciding(draw(random, model, truth, LOOKS[-1]))
        score.add(verdicts, truth)
        runs += used
    return score, runs / studies


def fit(folders: list[Path]) -> Iterator[list[str]]:
    """A row for each setting with ten runs or more: the moments of its answers and the model's variances."""
    for cell in collect(folders).others(set()):
        sample = sample_of(cell)
        if sample is None or sample.runs < 10:
            continue
        model = fitted(sample)
        folds = np.array([run.fold if run.fold is not None else -1 for run in cell.tested])
        yield [
            f"{cell.model} {cell.id[-6:]}",
            f"{sample.runs}",
            f"{100 * model.accuracy:.2f}",
            f"{100 * sample.variance**0.5:.3f}",
            f"{100 * max(sample.variance - sample.noise / len(sample.shares), 0) ** 0.5:.3f}",
            f"{model.image + model.setting:.3f}",
            f"{model.run:.6f}",
            f"{fold_share(sample.accuracies, folds):.2f}",
            f"{overlap(cell):.2f}",
        ]


def fitted(sample: Sample) -> Variances:
    """The model with the moments of these answers; `image` is image and setting together."""
    k, images = sample.right.shape
    mean = float(sample.shares.mean())
    both = float(((sample.shares * k) * (sample.shares * k - 1)).mean()) / (k * (k - 1))  # two runs right on one image
    mu = float(stats.norm.ppf(mean))
    image = optimize.brentq(lambda rho: _both_right(mu, rho) - both, 0.0, 0.999)
    run = max(sample.variance - sample.noise / images, 0.0) / stats.norm.pdf(mu) ** 2
    return Variances(mean, float(image), 0.0, run)


def _both_right(mu: float, rho: float) -> float:
    return float(stats.multivariate_normal([0, 0], [[1, rho], [rho, 1]], allow_singular=True).cdf([mu, mu]))


def fold_share(accuracies: np.ndarray, folds: np.ndarray) -> float:
    """Share of the variance from run to run that is between folds, from a one-way analysis of variance."""
    groups = [accuracies[folds == fold] for fold in np.unique(folds)]
    if len(groups) < 2 or min(map(len, groups)) < 2:
        return float("nan")
    size = len(accuracies) / len(groups)
    within = float(np.mean([group.var(ddof=1) for group in groups]))
    between = float(np.var([group.mean() for group in groups], ddof=1)) - within / size
    return max(between, 0.0) / (max(between, 0.0) + within)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2000)
    parser.add_argument("--runs", type=int, nargs="+", default=[2, 3, 5, 10])
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--fit", type=Path, nargs="+", metavar="FOLDER")
    arguments = parser.parse_args()
    console = Console(width=130)
    if arguments.fit:
        columns = (
            "setting",
            "runs",
            "accuracy %",
            "sd of runs",
            "… without images",
            "image + setting",
            "run",
            "fold share",
            "overlap",
        )
        table = Table(*columns)
        for row in fit(arguments.fit):
            table.add_row(*row)
        console.print(table)
        return
    for case in arguments.cases:
        print(f"{case}: {CASES[case][0]}, true differences in points: {[100 * d for d in CASES[case][1]]}")
        table = Table("runs", "rule", "any false verdict %", "found %", "intervals that cover %", "all cover %")
        start = time.perf_counter()
        for runs in arguments.runs:
            for name, score in simulate(case, runs, arguments.studies).items():
                table.add_row(f"{runs}", name, *_shares(score))
        if case in DECIDED:
            score, used = simulate_deciding(case, arguments.studies)
            table.add_row(f"{used:.0f} in all", "study.decide", *_shares(score))
        console.print(table)
        print(f"{arguments.studies:,} studies a line, {time.perf_counter() - start:.0f} s", flush=True)


def _shares(score: Score) -> list[str]:
    found = f"{100 * score.found / score.true:.0f}" if score.true else "–"
    shares = score.false / score.studies, score.covered / score.intervals, score.all_covered / score.studies
    false, covered, together = (f"{100 * share:.1f}" for share in shares)
    return [false, found, covered, together]


if __name__ == "__main__":
    main()
