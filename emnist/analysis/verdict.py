"""Verdicts about settings: differences from one reference with simultaneous intervals.

All values of a study are compared with the same reference, so their differences are correlated. The intervals cover
all true differences together with the given confidence: the quantile of the largest of correlated normal deviates, as
in Dunnett's procedure (1955), carried over to t with the degrees of freedom of each difference (Hasler and Hothorn,
Multiple contrast tests in the presence of heteroscedasticity, 2008; Satterthwaite, 1946). A verdict is read off its
interval, so the two can't disagree.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import stats

from emnist.analysis.variance import Prior, Sample, moderated, satterthwaite, training_variance

BETTER, WORSE, EQUAL, UNDECIDED, INCOMPLETE = "better", "worse", "equal", "undecided", "incomplete"
DRAWS = 50_000  # of the largest deviate: its 95% quantile to within 0.01
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


def simultaneous(contrasts: Sequence[Contrast], level: float) -> tuple[list[Interval], float]:
    """Intervals that cover all these differences with probability 1 - level, and the normal deviate they reach to."""
    largest = largest_deviates(correlation(contrasts))
    limit = float(np.quantile(largest, 1 - level))
    return [_interval(c, limit, lambda z: _share(largest, z, len(contrasts))) for c in contrasts], limit


def alone(one: Contrast, level: float, comparisons: int) -> Interval:
    """The interval of one of so many differences, whatever the others turn out to be (Bonferroni)."""
    return _interval(one, bonferroni_limit(level, comparisons), lambda z: _bound(z, comparisons))


def bonferroni_limit(level: float, comparisons: int) -> float:
    return float(stats.norm.isf(level / comparisons / 2))


def half_width(one: Contrast, limit: float, **other) -> float:
    """Half the interval's width, at this limit of a normal deviate, for the runs and images at hand or others."""
    error, df = one.error(**other)
    if error == 0:
        return 0.0
    return float("inf") if df <= 0 else float(stats.t.isf(stats.norm.sf(limit), df)) * error


def _interval(one: Contrast, limit: float, p_of_deviate) -> Interval:
    half = half_width(one, limit)
    error, df = one.error()
    if error == 0:
        p = 1.0 if one.mean == 0 else 0.0
    elif df <= 0:
        p = 1.0
    else:
        p = p_of_deviate(float(stats.norm.isf(stats.t.sf(abs(one.mean) / error, df))))
    return Interval(max(one.mean - half, -1.0), min(one.mean + half, 1.0), p)


def correlation(contrasts: Sequence[Contrast]) -> np.ndarray:
    """Of the differences: they share test images and, by and large, the trainings of the reference; float [m, m]."""
    differences = np.stack([c.value.shares - c.reference.shares for c in contrasts])
    covariance = np.atleast_2d(np.cov(differences)) / differences.shape[1]
    for i, a in enumerate(contrasts):
        for j, b in enumerate(contrasts):
            if i == j:
                covariance[i, i] += training_variance(a.value, a.value_variance[0], a.value.runs)
            shared = a if a.reference.runs >= b.reference.runs else b
            covariance[i, j] += training_variance(shared.reference, shared.reference_variance[0], shared.reference.runs)
    scale = np.sqrt(np.clip(np.diag(covariance), 1e-30, None))
    return covariance / np.outer(scale, scale)


def largest_deviates(correlation: np.ndarray) -> np.ndarray:
    """Draws of the largest absolute value of normal deviates with this correlation."""
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.clip(values, 0, None))
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


def images_needed(one: Contrast, limit: float, delta: float) -> int | None:
    """About how many test images would settle the verdict with the runs at hand if the difference stays."""
    error, df = one.error()
    target = max(abs(one.mean), delta - abs(one.mean))
    factor = half_width(one, limit) / error if error and df > 0 else float("inf")
    left = (target / factor) ** 2 - (error**2 - one.images_variance)
    if not np.isfinite(factor) or left <= 0:
        return None
    return int(np.ceil(one.images_variance * one.value.right.shape[1] / left))
