"""When a trial of a search has lost against the best one so far, by their answers to the same validation images.

A trial is trained once a fold. After each fold but the last, its validation answers are compared with those of the best
complete trial, the incumbent, on the same folds: a race, as in Maron and Moore (Hoeffding races, NIPS 1993), with a
paired test instead of a bound for each trial alone, as in F-Race (Birattari et al., A racing algorithm for configuring
metaheuristics, GECCO 2002).

What is tested is whether the *setting* is worse, for other images and other trainings. The variance of the difference
in accuracy after k runs on N images in all is the sum of

- images: (wins + losses) / N², as in McNemar's test (1947),
- trainings: 2 · run_sd² / k, because both networks might have turned out better or worse. Training sets of folds that
  overlap would add to it (see `variance.py`); a search trains few of many folds, and it is left out.

The limit is the same at every look, and a setting as good as the incumbent's exceeds it at any of them with probability
`level`: Pocock, Group sequential methods in the design and analysis of clinical trials, Biometrika 1977.

That holds against an incumbent chosen beforehand. The best of many was lucky on just these images, so an equally good
setting loses more often: at 5% and 2 to 5 folds of 5,640 images, 21 to 23% against the best of 20 equals, 28 to 33%
against the best of 60. A setting 0.5 points better loses in 0.5 to 6%. It is not corrected, because it costs next to
nothing: to win the search, an equal would have to be as lucky, and at most 0.1% of them lose a race whose last fold
would have put them in front. But a pruned trial is no evidence that its setting is worse (`benchmarks/racing.py`).
"""

from collections.abc import Sequence
from functools import cache

import numpy as np
from scipy import optimize, stats

NODES = 200  # of the integration in `exceeding`: for up to 50 looks the probability is right to 1e-8


def loses(
    trial: Sequence[np.ndarray], incumbent: Sequence[np.ndarray], looks: int, level: float, run_sd: float
) -> bool:
    """Whether the setting of a trial is worse than that of the incumbent.

    `trial` and `incumbent` are which validation images they got right, bool [V] for each fold trained so far, the same
    images in the same order. `looks` is how many such tests a trial can get, its runs less one. `run_sd` is the
    standard deviation of accuracy from run to run, as a fraction of 1, without the part that comes from answers that
    flip on single images, which the paired answers show already; with it, the test is stricter than `level`.
    """
    return bool(loses_with(*_counts(trial, incumbent), len(trial), looks, level, run_sd))


def gap(
    trial: Sequence[np.ndarray], incumbent: Sequence[np.ndarray], looks: int, level: float, run_sd: float
) -> tuple[float, float]:
    """Accuracy of the trial less that of the incumbent, and how far below 0 it has to be to lose."""
    wins, losses, images = _counts(trial, incumbent)
    error = standard_error(wins, losses, images, len(trial), run_sd)
    return (wins - losses) / images, pocock_deviate(looks, level) * float(error)


def loses_with(wins, losses, images: int, runs: int, looks: int, level: float, run_sd: float):
    """The same from counts or arrays of them: `wins` are images that only the trial got right, `losses` the contrary.

    The normal approximation is poor for a handful of such images, so the exact binomial test has to reject as well: at
    two looks and 5%, at least 6 losses, and no win.
    """
    deviate = pocock_deviate(looks, level)
    below = wins - losses + deviate * images * standard_error(wins, losses, images, runs, run_sd) < 0
    return below & (stats.binom.cdf(wins, wins + losses, 0.5) <= stats.norm.sf(deviate))


def standard_error(wins, losses, images: int, runs: int, run_sd: float):
    """Of the difference in accuracy of two settings that are equally good."""
    return np.sqrt((wins + losses) / images**2 + 2 * run_sd**2 / runs)


def _counts(trial: Sequence[np.ndarray], incumbent: Sequence[np.ndarray]) -> tuple[int, int, int]:
    ours, theirs = np.concatenate(trial), np.concatenate(incumbent)
    return int((ours & ~theirs).sum()), int((~ours & theirs).sum()), len(ours)


@cache
def pocock_deviate(looks: int, level: float) -> float:
    """The normal deviate that is exceeded at any of so many equally spaced looks with probability `level`."""
    single, bonferroni = stats.norm.isf(level), stats.norm.isf(level / looks)
    if looks == 1:
        return float(single)
    return float(optimize.brentq(lambda deviate: exceeding(deviate, looks) - level, single, bonferroni))


def exceeding(deviate: float, looks: int) -> float:
    """Probability that the sum of k normal deviates exceeds `deviate` · √k at any k up to `looks`.

    By integrating the density of the sums that have not exceeded it, look by look. Armitage, McPherson and Rowe,
    Repeated significance tests on accumulating data, JRSS A 1969.
    """
    points, weights = np.polynomial.legendre.leggauss(NODES)
    sums, density = np.zeros(1), np.ones(1)  # times the weights
    for look in range(1, looks + 1):
        low, high = -9 * look**0.5, deviate * look**0.5
        after = low + (points + 1) / 2 * (high - low)
        density = stats.norm.pdf(after[:, None] - sums) @ density * weights * (high - low) / 2
        sums = after
    return 1 - float(density.sum())
