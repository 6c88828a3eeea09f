"""The statistics of a study: intervals, paired tests, and the correction for making many of them."""

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

LEVEL = 0.05  # of all tests and intervals: 95%


def wilson_interval(correct: float, images: int) -> tuple[float, float]:
    """95% interval of an accuracy measured on so many images. Wilson, Probable inference, 1927.

    `correct` may be an average over trainings: it is the images that are drawn at random, and they stay as many.
    """
    low, high = proportion_confint(correct, images, alpha=LEVEL, method="wilson")
    share = correct / images
    return min(float(low), share), max(float(high), share)  # which rounding can put outside, where all are right


def mean_interval(values: list[float]) -> tuple[float, float]:
    """95% interval of the mean of two or more accuracies, Student's t. Folds share images, so it is a guide."""
    mean, error = np.mean(values), stats.sem(values)
    low, high = stats.t.interval(1 - LEVEL, len(values) - 1, loc=mean, scale=error) if error > 0 else (mean, mean)
    return max(float(low), 0.0), min(float(high), 1.0)


def paired_p(differences: np.ndarray) -> float:
    """Exact two-sided p of "neither is more often right", from one whole number for each test image.

    The number is how often the one was right less how often the other was, over trainings in pairs: with one
    pair -1, 0 or 1, and the test is McNemar's (1947) in its exact form. With more, an image counts once
    however many trainings saw it: under the hypothesis the sign of its number is the toss of a coin, and this
    is the distribution of the sum over all tosses.
    """
    sizes = np.abs(differences).astype(int)
    chance = np.ones(1)  # of each sum, the least first
    for size in range(1, sizes.max(initial=0) + 1):
        count = int((sizes == size).sum())
        tosses = np.zeros(2 * size * count + 1)
        tosses[:: 2 * size] = stats.binom.pmf(np.arange(count + 1), count, 0.5)
        chance = np.convolve(chance, tosses)
    sums = np.arange(len(chance)) - len(chance) // 2
    return min(1.0, float(chance[np.abs(sums) >= abs(int(differences.sum()))].sum()))


def paired_interval(differences: np.ndarray, pairs: int) -> tuple[float, float]:
    """95% interval of the difference in accuracy, from the same numbers over `pairs` pairs of trainings."""
    shares = differences / pairs
    half = stats.norm.ppf(1 - LEVEL / 2) * shares.std(ddof=1) / np.sqrt(len(shares))
    return float(shares.mean() - half), float(shares.mean() + half)


def holm(p: list[float]) -> list[float]:
    """The p of several tests, corrected for their number. Holm, A simple sequentially rejective procedure, 1979."""
    return [float(value) for value in multipletests(p, method="holm")[1]] if p else []


def proportions_differ(a: float, b: float, images: int) -> bool:
    """Whether two accuracies on so many images differ by more than the images explain, were they not the same images.

    The most that can be said of published figures, without the answers to each image.
    """
    error = np.sqrt((a * (1 - a) + b * (1 - b)) / images)
    return bool(abs(a - b) > stats.norm.ppf(1 - LEVEL / 2) * error)
