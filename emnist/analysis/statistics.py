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


def corrected_mean_interval(values: list[float], overlap: float) -> tuple[float, float]:
    """95% t-interval of the mean of two or more accuracies of trainings whose training sets overlap."""
    mean, half = float(np.mean(values)), corrected_half_width(values, overlap)
    return max(mean - half, 0.0), min(mean + half, 1.0)


def corrected_half_width(values: list[float], overlap: float) -> float:
    """Half the width of the 95% t-interval of the mean of two or more values of trainings whose training sets overlap.

    `overlap` is validation over training images. Nadeau and Bengio, Inference for the generalization error, 2003.
    """
    error = (float(np.var(values, ddof=1)) * (1 / len(values) + overlap)) ** 0.5
    return float(stats.t.isf(LEVEL / 2, len(values) - 1)) * error


def mcnemar_p(differences: np.ndarray) -> float:
    """Exact two-sided p of the hypothesis that two networks are equally accurate. McNemar, 1947.

    `differences` is per test image 1 if only the first is right, -1 if only the second is, else 0.
    """
    first, second = int((differences > 0).sum()), int((differences < 0).sum())
    return float(stats.binomtest(first, first + second).pvalue) if first + second else 1.0


def mcnemar_interval(differences: np.ndarray) -> tuple[float, float]:
    """95% interval of the difference in accuracy between two networks, from the same numbers."""
    low, high = DescrStatsW(differences).zconfint_mean(alpha=LEVEL)
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
