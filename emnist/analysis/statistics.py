"""The statistics of a study: intervals, paired tests, and the correction for making many of them."""

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint, test_proportions_2indep
from statsmodels.stats.weightstats import DescrStatsW

LEVEL = 0.05  # of all tests and intervals: 95%


def wilson_interval(correct: float, images: int) -> tuple[float, float]:
    """95% interval of an accuracy measured on so many images. Wilson, Probable inference, 1927.

    `correct` may be an average over trainings: the images are what is sampled, and their number stays the same.
    """
    low, high = proportion_confint(correct, images, alpha=LEVEL, method="wilson")
    share = correct / images
    return min(float(low), share), max(float(high), share)  # rounding can exclude it where all are correct


def mean_interval(values: list[float]) -> tuple[float, float]:
    """95% t-interval of the mean of two or more accuracies. Folds share training images, so it is approximate."""
    low, high = DescrStatsW(values).tconfint_mean(alpha=LEVEL)
    return max(float(low), 0.0), min(float(high), 1.0)


def paired_p(differences: np.ndarray) -> float:
    """Exact two-sided p of the hypothesis that two classifiers are equally accurate, from an integer per test image.

    The integer is how many trainings of the first were right minus how many of the second. With one pair of
    trainings it is -1, 0 or 1 and this is McNemar's exact test (1947). With more, an image counts once however
    many trainings saw it: under the hypothesis the sign of its integer is random, and this is the distribution of
    the sum over all signs (a sign-flip permutation test). Own code: libraries draw random signs, this counts all.
    """
    sizes = np.abs(differences).astype(int)
    chance = np.ones(1)  # probability of each sum, in ascending order
    for size in range(1, sizes.max(initial=0) + 1):
        count = int((sizes == size).sum())
        tosses = np.zeros(2 * size * count + 1)
        tosses[:: 2 * size] = stats.binom.pmf(np.arange(count + 1), count, 0.5)
        chance = np.convolve(chance, tosses)
    sums = np.arange(len(chance)) - len(chance) // 2
    return min(1.0, float(chance[np.abs(sums) >= abs(int(differences.sum()))].sum()))


def paired_interval(differences: np.ndarray, pairs: int) -> tuple[float, float]:
    """95% interval of the difference in accuracy, from the same integers over `pairs` pairs of trainings."""
    low, high = DescrStatsW(differences / pairs).zconfint_mean(alpha=LEVEL)
    return float(low), float(high)


def holm(p: list[float]) -> list[float]:
    """p-values corrected for their number. Holm, A simple sequentially rejective multiple test procedure, 1979."""
    return [float(value) for value in multipletests(p, method="holm")[1]] if p else []


def proportions_differ(a: float, b: float, images: int) -> bool:
    """Whether two accuracies, each on its own sample of so many images, differ significantly (Wald, 95%).

    Published accuracies allow no paired test, which needs the predictions.
    """
    test = test_proportions_2indep(a * images, images, b * images, images, method="wald")
    return bool(test.pvalue < LEVEL)
