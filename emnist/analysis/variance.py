"""Two sources of variation: which test images a difference between two settings was measured on, and which trainings.

A setting is a configuration; its accuracy is the expectation over trainings (seed, order of batches, training images)
and over test images. Runs × images are a table of right and wrong answers with two crossed random effects, as readers
× cases are in the evaluation of diagnostic tests (Gallas, One-shot estimate of MRMC variance, Academic Radiology 2006).
For k runs and N images, the variance of a mean over the table is the sum of

- trainings: v/k + overlap · (v - w/N), where v is the variance of the runs' accuracies and w/N its part from answers
  that flip on single images. The training sets of K folds overlap, so k runs are less than k samples of trainings;
  Nadeau and Bengio (Inference for the generalization error, Machine Learning 2003) take validation over training
  images for the overlap, 1 / (K - 1), and Bouckaert and Frank (2004) carry it over to repeated folds.
- images: 1/N of the variance over images of the share of runs that are right, less w/k.

Assumptions: runs are exchangeable, their accuracies nearly normal, and those of two settings independent given the
images; v is estimated from few runs, so it is moderated (see `moderate`). Bouthillier et al. (Accounting for variance
in machine learning benchmarks, 2021) show that seeds and samples are both needed; `benchmarks/verdicts.py` measures how
often the verdicts are wrong.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import optimize, special, stats


@dataclass(frozen=True)
class Sample:
    """Which test images the runs of one setting got right."""

    right: np.ndarray  # bool [runs, images]
    overlap: float  # of the runs' training sets: validation over training images

    @property
    def runs(self) -> int:
        return len(self.right)

    @cached_property
    def shares(self) -> np.ndarray:
        """Share of the runs that are right, float [images]."""
        return self.right.mean(0)

    @cached_property
    def accuracies(self) -> np.ndarray:
        """Of the runs, float [runs]."""
        return self.right.mean(1)

    @cached_property
    def variance(self) -> float:
        """Of the runs' accuracies; NaN for one run."""
        return float(self.accuracies.var(ddof=1)) if self.runs > 1 else float("nan")

    @cached_property
    def noise(self) -> float:
        """w: the variance of the runs' answers to one image, averaged over the images; NaN for one run."""
        if self.runs < 2:
            return float("nan")
        return float((self.shares * (1 - self.shares)).mean()) * self.runs / (self.runs - 1)

    def first(self, runs: int) -> "Sample":
        return Sample(self.right[:runs], self.overlap)


@dataclass(frozen=True)
class Prior:
    """What the settings of a study say together about the run-to-run variance of each: scaled inverse χ²."""

    variance: float
    df: float  # how many degrees of freedom it is worth; infinite if all settings have the same variance
    most: float  # degrees of freedom of all settings together, beyond which no variance is known


NO_PRIOR = Prior(1.0, 0.0, float("inf"))


def moderate(samples: Sequence[Sample]) -> Prior:
    """The prior of the run-to-run variances of these settings, by the moments of their logarithms.

    Smyth, Linear models and empirical Bayes methods for assessing differential expression in microarray experiments,
    2004, section 6.2. A few runs say little about a variance, those of all settings more: with 3 runs each the variance
    of a difference has 4 degrees of freedom of its own. Where the settings differ much in their variance, the prior is
    worth little.
    """
    known = [(sample.variance, sample.runs - 1) for sample in samples if sample.runs > 1 and sample.variance > 0]
    if len(known) < 2:
        return NO_PRIOR
    variances, df = np.array(known).T
    most = float(df.sum())
    logs = np.log(variances) - special.digamma(df / 2) + np.log(df / 2)
    excess = logs.var(ddof=1) - special.polygamma(1, df / 2).mean()
    if excess <= 0:
        return Prior(float(np.exp(logs.mean())), float("inf"), most)
    half = _inverse_trigamma(float(excess))
    return Prior(float(np.exp(logs.mean() + special.digamma(half) - np.log(half))), 2 * half, most)


def _inverse_trigamma(value: float) -> float:
    return float(np.exp(optimize.brentq(lambda x: special.polygamma(1, np.exp(x)) - value, -20, 20, xtol=1e-10)))


def moderated(sample: Sample, prior: Prior) -> tuple[float, float]:
    """Run-to-run variance of a setting from its runs and the prior, and its degrees of freedom: 0 if it is unknown.

    Never less than that of its runs: shrinking the variance of the one setting that varies more than the others
    would give false verdicts.
    """
    own = sample.runs - 1
    df = max(float(own), min(prior.df + own, prior.most))
    if own == 0:
        return prior.variance, df
    if np.isinf(prior.df):
        return max(prior.variance, sample.variance), df
    return max((prior.df * prior.variance + own * sample.variance) / (prior.df + own), sample.variance), df


def training_variance(sample: Sample, variance: float, runs: float) -> float:
    """Of the mean accuracy of so many runs of a setting, whose accuracies have this variance: the trainings' part."""
    shared = variance - (sample.noise / len(sample.shares) if sample.runs > 1 else 0.0)
    return variance / runs + sample.overlap * max(shared, 0.0)


def accuracy_interval(sample: Sample, prior: Prior, level: float) -> tuple[float, float]:
    """Interval of the accuracy of a setting with two or more runs, for other trainings and other test images."""
    images = len(sample.shares)
    variance, df = moderated(sample, prior)
    parts = [
        (training_variance(sample, variance, sample.runs), df),
        (max(float(sample.shares.var(ddof=1)) - sample.noise / sample.runs, 0.0) / images, images - 1.0),
    ]
    mean, (error, df) = float(sample.shares.mean()), satterthwaite(parts)
    half = float(stats.t.isf(level / 2, df)) * error if error else 0.0
    return max(mean - half, 0.0), min(mean + half, 1.0)


def satterthwaite(parts: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """Root of the sum of independent variances, and its degrees of freedom, from those of the parts.

    Satterthwaite, An approximate distribution of estimates of variance components, 1946. With 0 degrees of freedom
    nothing is known of a part, nor of the sum.
    """
    total = sum(part for part, _ in parts)
    if total == 0:
        return 0.0, max(df for _, df in parts)
    if any(part > 0 and df <= 0 for part, df in parts):
        return float(np.sqrt(total)), 0.0
    uncertainty = sum(part**2 / df for part, df in parts if part > 0)
    return float(np.sqrt(total)), total**2 / uncertainty if uncertainty else float("inf")
