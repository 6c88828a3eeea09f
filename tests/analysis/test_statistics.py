"""Against worked examples and against enumeration by hand."""

import itertools

import numpy as np
import pytest
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import mcnemar

from emnist.analysis.statistics import (
    holm,
    mean_interval,
    paired_interval,
    paired_p,
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
    p = paired_p(discordant(86, 150, agreeing=1364))
    assert p == pytest.approx(3.1e-5, rel=0.2)
    assert p == pytest.approx(mcnemar([[0, 86], [150, 0]], exact=True).pvalue)


@pytest.mark.parametrize(("b", "c"), [(0, 0), (1, 0), (5, 5), (8, 2), (2, 8), (9, 21), (0, 12)])
def test_one_pair_of_trainings_is_mcnemar_exact(b, c):
    expected = binomtest(min(b, c), b + c).pvalue if b + c else 1
    assert paired_p(discordant(b, c)) == pytest.approx(expected)


def test_several_pairs_are_all_tosses_of_a_coin_per_image():
    differences = np.array([3, -1, 2, 2, -3, 1, 1, 0, 2, 0])
    signs = itertools.product((-1, 1), repeat=len(differences))
    sums = [abs(int((np.array(s) * differences).sum())) for s in signs]
    expected = np.mean([value >= abs(differences.sum()) for value in sums])
    assert paired_p(differences) == pytest.approx(expected)


def test_an_image_counts_once_however_many_trainings_saw_it():
    once = discordant(9, 21)
    assert paired_p(5 * once) == pytest.approx(paired_p(once))
    assert paired_interval(5 * once, 5) == pytest.approx(paired_interval(once, 1))


def test_p_is_uniform_where_there_is_no_difference():
    random = np.random.RandomState(0)
    p = [paired_p(random.randint(-2, 3, 400)) for _ in range(400)]
    assert 0.02 < np.mean([value < 0.05 for value in p]) < 0.08


def test_interval_of_a_difference():
    # 30 of 1,000 more often right, 10 less often: 0.02 with a standard error of sqrt((0.04 - 0.02²) / 999).
    low, high = paired_interval(discordant(30, 10, 960), 1)
    half = 1.959964 * np.sqrt((0.04 - 0.0004) / 999)
    assert (low, high) == pytest.approx((0.02 - half, 0.02 + half))


def test_interval_of_a_mean():
    # t of 4 degrees of freedom: 2.7764; 0.1 … 0.5 have mean 0.3 and standard error sqrt(0.005).
    assert mean_interval([0.1, 0.2, 0.3, 0.4, 0.5]) == pytest.approx((0.3 - 0.1963, 0.3 + 0.1963), abs=1e-4)
    assert mean_interval([0.5, 0.5]) == (0.5, 0.5)


def test_holm_of_the_textbook():
    # 0.01 × 4, 0.02 × 3, then never less than the one before: 0.03 × 2, 0.04 × 1.
    assert holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([]) == []


def test_published_figures():
    assert not proportions_differ(0.8963, 0.8952, 18_800)  # 0.11 points: within ±0.62
    assert proportions_differ(0.9084, 0.8913, 18_800)
