"""Against worked examples and against enumeration by hand."""

import numpy as np
import pytest
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import mcnemar

from emnist.analysis.statistics import (
    corrected_mean_interval,
    holm,
    mcnemar_interval,
    mcnemar_p,
    proportions_differ,
    wilson_interval,
)


def discordant(b: int, c: int, agreeing: int = 100) -> np.ndarray:
    """One pair of trainings: b images right for the one alone, c for the other alone."""
    return np.array([1] * b + [-1] * c + [0] * agreeing)


def test_wilson_of_the_textbook():
    # Newcombe, Two-sided confidence intervals for the single proportion, 1998, table I: 81/263, 15/148, 0/20, 1/29.
    for correct, images, low, high in [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ]:
        assert wilson_interval(correct, images) == pytest.approx((low, high), abs=5e-5)


def test_mcnemar_of_the_textbook():
    # Agresti, Categorical data analysis: approval of the prime minister, 150 changed to disapproval and 86 back,
    # z² = 17.36; the exact test has to agree with it where counts are large.
    p = mcnemar_p(discordant(86, 150, agreeing=1364))
    assert p == pytest.approx(3.1e-5, rel=0.2)
    assert p == pytest.approx(mcnemar([[0, 86], [150, 0]], exact=True).pvalue)


@pytest.mark.parametrize(("b", "c"), [(0, 0), (1, 0), (5, 5), (8, 2), (2, 8), (9, 21), (0, 12)])
def test_mcnemar_is_exact(b, c):
    expected = binomtest(min(b, c), b + c).pvalue if b + c else 1
    assert mcnemar_p(discordant(b, c)) == pytest.approx(expected)
    assert mcnemar_p(discordant(b, c)) == pytest.approx(mcnemar([[0, b], [c, 0]], exact=True).pvalue)


def test_p_is_below_its_level_no_more_often_than_it_says():
    random = np.random.RandomState(0)
    p = [mcnemar_p(random.choice([-1, 0, 1], 400, p=[0.1, 0.8, 0.1])) for _ in range(400)]
    assert 0.01 < np.mean([value < 0.05 for value in p]) < 0.07  # below 0.05 on average, since it is exact


def test_interval_of_a_difference():
    # 30 of 1,000 right for the one alone, 10 for the other: 0.02, standard error sqrt((0.04 - 0.02²) / 999).
    low, high = mcnemar_interval(discordant(30, 10, 960))
    half = 1.959964 * np.sqrt((0.04 - 0.0004) / 999)
    assert (low, high) == pytest.approx((0.02 - half, 0.02 + half))


def test_interval_of_a_mean_of_overlapping_folds():
    # t of 4 degrees of freedom: 2.7764; 0.3 … 0.7 have variance 0.025, of five folds the error is sqrt(0.025 × 0.45).
    half = 2.7764 * 0.01125**0.5
    values = [0.3, 0.4, 0.5, 0.6, 0.7]
    assert corrected_mean_interval(values, 1 / 4) == pytest.approx((0.5 - half, 0.5 + half), abs=1e-4)
    assert corrected_mean_interval(values, 0) == pytest.approx((0.5 - 0.1963, 0.5 + 0.1963), abs=1e-4)
    assert corrected_mean_interval([0.5, 0.5], 1 / 4) == (0.5, 0.5)
    assert corrected_mean_interval([0.1, 0.9], 1 / 4) == (0, 1)


def test_holm_of_the_textbook():
    # 0.01 × 4, 0.02 × 3, then never less than the one before: 0.03 × 2, 0.04 × 1.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([]) == []


def test_published_figures():
    assert not proportions_differ(0.8963, 0.8952, 18_800)  # 0.11 points: within ±0.62
    assert proportions_differ(0.9084, 0.8913, 18_800)
