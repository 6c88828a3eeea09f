"""Against small tables worked out by hand, and against known distributions."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from emnist.analysis.variance import (
    NO_PRIOR,
    Prior,
    Sample,
    accuracy_interval,
    moderate,
    moderated,
    satterthwaite,
    training_variance,
)

SMALL = Sample(np.array([[1, 1, 1, 0], [1, 1, 0, 0]], dtype=bool), overlap=0.25)


def of_variance(variance: float, runs: int) -> Any:
    return SimpleNamespace(variance=variance, runs=runs)


def test_a_sample_of_two_runs_and_four_images():
    assert SMALL.runs == 2
    assert SMALL.shares == pytest.approx([1, 1, 0.5, 0])
    assert SMALL.accuracies == pytest.approx([0.75, 0.5])
    assert SMALL.variance == pytest.approx(0.25**2 / 2)
    assert SMALL.noise == pytest.approx(0.25 / 4 * 2)  # unbiased, as of one image: 0 or 1, variance 1/2
    assert SMALL.first(1).accuracies == pytest.approx([0.75])
    assert np.isnan(SMALL.first(1).variance)
    assert np.isnan(SMALL.first(1).noise)


def test_interval_of_an_accuracy():
    trainings = 0.03125 / 2  # flips on single images explain all of it, 0.125 / 4, so overlap adds nothing
    images = (0.6875 / 3 - 0.125 / 2) / 4  # variance of the shares 1, 1, 0.5, 0 less the noise of two runs
    df = (trainings + images) ** 2 / (trainings**2 / 1 + images**2 / 3)
    assert df == pytest.approx(3.9891, abs=1e-4)
    half = stats.t.isf(0.25, df) * (trainings + images) ** 0.5
    assert accuracy_interval(SMALL, NO_PRIOR, 0.5) == pytest.approx((0.625 - half, 0.625 + half))
    assert accuracy_interval(SMALL, NO_PRIOR, 0.05) == (0, 1)  # it is 0.625 ± 0.67


def test_interval_without_variation_between_images_is_that_of_nadeau_and_bengio():
    """Each image is wrong in one run of five: all shares are 0.8, so only the runs' accuracies vary."""
    right = np.ones((5, 40), dtype=bool)
    for image, run in enumerate([0] * 4 + [1] * 6 + [2] * 8 + [3] * 10 + [4] * 12):
        right[run, image] = False
    accuracies = np.array([36, 34, 32, 30, 28]) / 40
    variance = accuracies.var(ddof=1)
    shared = variance - 0.8 * 0.2 * 5 / 4 / 40  # less what flips on single images add
    half = 2.776445 * (variance / 5 + 0.25 * shared) ** 0.5  # t of 4 degrees of freedom
    assert accuracy_interval(Sample(right, 0.25), NO_PRIOR, 0.05) == pytest.approx((0.8 - half, 0.8 + half), abs=1e-6)


def test_overlap_counts_for_the_part_that_is_not_from_single_images():
    assert training_variance(SMALL, 0.05, 10) == pytest.approx(0.05 / 10 + 0.25 * (0.05 - 0.125 / 4))
    assert training_variance(SMALL, 0.02, 10) == pytest.approx(0.02 / 10)
    assert training_variance(SMALL.first(1), 0.05, 10) == pytest.approx(0.05 * (1 / 10 + 0.25))


def test_satterthwaite():
    error, df = satterthwaite([(4, 2), (9, 3)])
    assert error == pytest.approx(13**0.5)
    assert df == pytest.approx(169 / (16 / 2 + 81 / 3))
    assert satterthwaite([(4, float("inf")), (0, 3)]) == (2, float("inf"))
    assert satterthwaite([(4, 0), (9, 3)])[1] == 0  # nothing is known of one part
    assert satterthwaite([(0, 0), (9, 3)]) == pytest.approx((3, 3))
    assert satterthwaite([(0, 1), (0, 3)]) == (0, 3)


def test_variances_that_differ_no_more_than_chance_are_the_same():
    prior = moderate([of_variance(2e-6, 2)] * 5)
    assert prior.df == float("inf")
    # The mean logarithm of χ² with one degree of freedom is ψ(1/2) + ln 2 = -1.27036, so exp(1.27036) times as much.
    assert prior.variance == pytest.approx(3.56214 * 2e-6, rel=1e-4)
    assert moderated(of_variance(1e-6, 2), prior) == (prior.variance, 5)  # not more than all have together
    assert moderated(SMALL, prior) == (0.03125, 5)  # never less than its own


def test_the_prior_of_made_up_variances_is_found():
    random = np.random.RandomState(0)
    true = 4e-6 * 6 / random.chisquare(6, 4000)  # of the settings: scaled inverse χ² with 6 degrees of freedom
    measured = true * random.chisquare(3, 4000) / 3  # of 4 runs each
    prior = moderate([of_variance(variance, 4) for variance in measured])
    assert prior.df == pytest.approx(6, rel=0.15)
    assert prior.variance == pytest.approx(4e-6, rel=0.05)


def test_too_few_variances_have_no_prior():
    assert moderate([of_variance(2e-6, 2)]) == NO_PRIOR
    assert moderate([of_variance(0, 2), of_variance(float("nan"), 1)] * 5) == NO_PRIOR


def test_a_variance_is_moderated_by_degrees_of_freedom():
    # One of its own, four of the prior: (4 × 0.05 + 0.03125) / 5.
    assert moderated(SMALL, Prior(0.05, 4, 100)) == pytest.approx((0.04625, 5))
    assert moderated(SMALL, Prior(0.02, 4, 100)) == (0.03125, 5)  # never less than its own
    assert moderated(of_variance(1e-6, 9), Prior(1e-6, 1, 3))[1] == 8  # nor fewer degrees of freedom than its own
    assert moderated(SMALL, NO_PRIOR) == pytest.approx((0.03125, 1))
    assert moderated(SMALL.first(1), Prior(0.02, 4, 100)) == (0.02, 4)
    assert moderated(SMALL.first(1), NO_PRIOR)[1] == 0
