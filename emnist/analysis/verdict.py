"""Verdicts about settings: differences from one reference with simultaneous intervals.

All values of a study are compared with the same reference, so their differences are correlated. The intervals cover
all true differences together with the given confidence: the quantile of the largest of correlated normal deviates, as
in Dunnett's procedure (1955), carried over to t with the degrees of freedom of each difference (Hasler and Hothorn,
Multiple contrast tests in the presence of heteroscedasticity, 2008; Satterthwaite, 1946). A verdict is read off its
interval, so the two can't disagree.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import linalg, stats

from emnist.analysis.variance import Prior, Sample, moderated, satterthwaite, training_variance

BETTER, WORSE, EQUAL, UNDECIDED, INCOMPLETE = "better", "worse", "equal", "undecided", "incomplete"
DRAWS = 50_000  # of the largest deviate: its 95% quantile to within 0.01, the 99.5% one to within 0.03
MOST_RUNS = 1000  # beyond these, more of them don't help


@dataclass(frozen=True)
class Contrast:
    """The difference of a setting from the reference, with its variance by source; accuracies as fractions of 1."""

    mean: float
    value: Sample
    reference: Sample
    value_variance: tuple[float, float]  # run-to-run, and its degrees of freedom
    reference_variance: tuple[float, float]
    images_variance: float  # of the mean

    def error(self, runs: int | None = None, reference_runs: int | None = None, images: int | None = None):
        """Standard error and degrees of freedom, of the runs and images at hand or of others."""
        parts = [
            (training_variance(sample, variance, k), df + (k - sample.runs))
            for (variance, df), sample, k in (
                (self.value_variance, self.value, runs or self.value.runs),
                (self.reference_variance, self.reference, reference_runs or self.reference.runs),
            )
        ]
        n = self.value.right.shape[1]
        parts.append((self.images_variance * n / (images or n), n - 1))
        return satterthwaite(parts)

    def trainings(self, times: float) -> tuple[float, float]:
        """What value and reference would add to the variance with so many times their runs."""
        (value, _), (reference, _) = self.value_variance, self.reference_variance
        return (
            training_variance(self.value, value, times * self.value.runs),
            training_variance(self.reference, reference, times * self.reference.runs),
        )


def contrast(value: Sample, reference: Sample, prior: Prior) -> Contrast:
    """The difference in accuracy of a setting from the reference, on the same test images."""
    images = value.right.shape[1]
    spread = float((value.shares - reference.shares).var(ddof=1))
    noise = sum(sample.noise / sample.runs for sample in (value, reference) if sample.runs > 1)
    return Contrast(
        mean=float(value.shares.mean() - reference.shares.mean()),
        value=value,
        reference=reference,
        value_variance=moderated(value, prior),
        reference_variance=moderated(reference, prior),
        images_variance=max(spread - noise, 0.0) / images,
    )


@dataclass(frozen=True)
class Interval:
    low: float
    high: float
    p: float  # of no difference, for all differences together

    def verdict(self, delta: float) -> str:
        """better, worse, equal (within ±delta) or undecided."""
        if self.low > 0:
            return BETTER
        if self.high < 0:
            return WORSE
        return EQUAL if -delta < self.low and self.high < delta else UNDECIDED


@dataclass(frozen=True)
class Limit:
    """How far intervals reach, as a normal deviate, so that they cover all differences of a family together."""

    deviate: float
    p: Callable[[float], float]  # of a deviate at least as large anywhere in the family

    def interval(self, one: Contrast) -> Interval:
        half = half_width(one, self.deviate)
        error, df = one.error()
        if error == 0:
            p = 1.0 if one.mean == 0 else 0.0
        elif df <= 0:
            p = 1.0
        else:
            p = self.p(float(stats.norm.isf(stats.t.sf(abs(one.mean) / error, df))))
        return Interval(max(one.mean - half, -1.0), min(one.mean + half, 1.0), p)


def joint_limit(contrasts: Sequence[Contrast], level: float, images: Sequence[object] = ()) -> Limit:
    """The limit that any of the differences exceeds with probability `level` if there are none.

    `images` says on which test images each was measured, by default all on the same; those on others are independent.
    """
    tests = list(images) or [None] * len(contrasts)
    groups = [[c for c, own in zip(contrasts, tests, strict=True) if own == test] for test in dict.fromkeys(tests)]
    largest = largest_deviates(linalg.block_diag(*map(correlation, groups)))
    return Limit(float(np.quantile(largest, 1 - level)), lambda deviate: _share(largest, deviate, len(contrasts)))


def sequential_limit(first: Sequence[Contrast], looks: Sequence[int], comparisons: int, level: float) -> Limit:
    """The limit of all looks at these differences, from the first one at each; the same at every look.

    They are part of so many comparisons, of which each gets an equal share of `level`. Pocock, Group sequential methods
    in the design and analysis of clinical trials, Biometrika 1977.
    """
    if not first:
        return bonferroni_limit(level, comparisons * len(looks))
    share = len(first) / comparisons
    largest = largest_deviates(correlation(first, [look / looks[0] for look in looks]))
    family = len(first) * len(looks)
    limit = float(np.quantile(largest, 1 - level * share))
    return Limit(limit, lambda deviate: min(1.0, _share(largest, deviate, family) / share))


def bonferroni_limit(level: float, comparisons: int) -> Limit:
    """The limit of so many differences, however they are correlated."""
    return Limit(float(stats.norm.isf(level / comparisons / 2)), lambda deviate: _bound(deviate, comparisons))


def half_width(one: Contrast, limit: float, **other) -> float:
    """Half the interval's width, at this limit of a normal deviate, for the runs and images at hand or others."""
    error, df = one.error(**other)
    if error == 0:
        return 0.0
    return float("inf") if df <= 0 else float(stats.t.isf(stats.norm.sf(limit), df)) * error


def correlation(contrasts: Sequence[Contrast], growth: Sequence[float] = (1.0,)) -> np.ndarray:
    """Of the differences, with each of these multiples of their runs: float [len(growth) · m, len(growth) · m].

    They share the test images and, where it is the same, the trainings of the reference. Of two looks at one value,
    the later has all runs of the earlier.
    """
    images = contrasts[0].value.right.shape[1]
    shared = np.atleast_2d(np.cov([c.value.shares - c.reference.shares for c in contrasts])) / images
    same = np.array([[np.array_equal(a.reference.shares, b.reference.shares) for b in contrasts] for a in contrasts])
    shared -= same * np.array([c.reference.noise / c.reference.runs / images for c in contrasts])
    np.fill_diagonal(shared, [c.images_variance for c in contrasts])

    def trainings(times: float) -> np.ndarray:
        values, references = zip(*(c.trainings(times) for c in contrasts), strict=True)
        return np.diag(values) + same * np.minimum.outer(references, references)

    covariance = np.block([[shared + trainings(max(g, h)) for h in growth] for g in growth])
    scale = np.sqrt(np.clip(np.diag(covariance), 1e-30, None))
    return covariance / np.outer(scale, scale)


def largest_deviates(correlation: np.ndarray) -> np.ndarray:
    """Draws of the largest absolute value of normal deviates with this correlation."""
    values, vectors = np.linalg.eigh(correlation)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T  # the symmetric one: LAPACK's signs don't matter
    return np.abs(_normal_draws(len(correlation)) @ root.T.astype(np.float32)).max(1)


@cache
def _normal_draws(width: int) -> np.ndarray:
    return np.random.RandomState(0).standard_normal((DRAWS, width)).astype(np.float32)


def _share(largest: np.ndarray, deviate: float, comparisons: int) -> float:
    """Share of the draws that are at least as large; where they are too few to tell, Bonferroni's bound."""
    bound = _bound(deviate, comparisons)
    return bound if bound < 100 / DRAWS else float((largest >= deviate).mean())


def _bound(deviate: float, comparisons: int) -> float:
    return min(1.0, comparisons * 2 * float(stats.norm.sf(deviate)))


def more_runs(one: Contrast, limit: float, delta: float) -> int | None:
    """About how many more runs of the value would settle the verdict if the difference stays; None if none would.

    The reference grows along with it.
    """
    k = one.value.runs
    times = one.reference.runs / k

    def settled(runs: int) -> bool:
        half = half_width(one, limit, runs=runs, reference_runs=max(round(times * runs), one.reference.runs))
        return half < max(abs(one.mean), delta - abs(one.mean))

    if not settled(MOST_RUNS):
        return None
    low, high = k, MOST_RUNS  # the width falls with the runs
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if settled(middle) else (middle, high)
    return high - k


def next_look(one: Contrast, limit: Limit, delta: float, last: int) -> tuple[str, int | None]:
    """The verdict at a look of a study that decides, and how many more runs the value would probably take.

    None if the value is settled, or given up: the difference is itself uncertain, so only where it would take far more
    runs than the last look has.
    """
    verdict = limit.interval(one).verdict(delta)
    if verdict != UNDECIDED or one.value.runs >= last:
        return verdict, None
    more = more_runs(one, limit.deviate, delta)
    return verdict, None if more is None or one.value.runs + more > 2 * last else more


def images_needed(one: Contrast, limit: float, delta: float) -> int | None:
    """About how many test images would settle the verdict with the runs at hand if the difference stays."""
    error, df = one.error()
    target = max(abs(one.mean), delta - abs(one.mean))
    factor = half_width(one, limit) / error if error and df > 0 else float("inf")
    left = (target / factor) ** 2 - (error**2 - one.images_variance)
    if not np.isfinite(factor) or left <= 0:
        return None
    return int(np.ceil(one.images_variance * one.value.right.shape[1] / left))
