"""Against tables worked out by hand and published quantiles."""

import dataclasses

import numpy as np
import pytest
from scipy import stats

from emnist.analysis.variance import NO_PRIOR, Prior, Sample
from emnist.analysis.verdict import (
    Contrast,
    Interval,
    bonferroni_limit,
    contrast,
    correlation,
    half_width,
    images_needed,
    joint_limit,
    largest_deviates,
    more_runs,
    sequential_limit,
)


def made_up(accuracies: list[float], runs: int = 5, images: int = 4000, seed: int = 0) -> list[Contrast]:
    """Contrasts of settings from the first one: each image has a difficulty, each setting and each run its own."""
    random = np.random.RandomState(seed)
    difficulty = random.logistic(size=images)
    samples = []
    for accuracy in accuracies:
        own = difficulty + 0.3 * random.randn(images)
        scores = own + 0.5 * random.randn(runs, images)
        limits = np.quantile(scores, accuracy + 0.002 * random.randn(runs), axis=1).diagonal()
        samples.append(Sample(scores < limits[:, None], overlap=0.25))
    return [contrast(sample, samples[0], NO_PRIOR) for sample in samples[1:]]


def test_variance_of_a_difference_by_hand():
    value = Sample(np.array([[1, 1, 1, 1, 0], [1, 1, 1, 0, 0]], dtype=bool), 0.25)
    reference = Sample(np.array([[0, 0, 0, 1, 1], [0, 0, 1, 1, 1]], dtype=bool), 0.25)
    c = contrast(value, reference, NO_PRIOR)
    assert c.mean == pytest.approx(0.7 - 0.5)
    # The shares differ by 1, 1, 0.5, -0.5, -1: variance 0.825. The runs' noise is 0.1 of each, a half with two runs.
    assert c.images_variance == pytest.approx((0.825 - 0.05 - 0.05) / 5)
    assert c.value_variance == pytest.approx((0.02, 1))
    error, df = c.error()
    trainings = 0.02 / 2  # all of it from flips on single images, 0.1 / 5, so overlap adds nothing
    assert error == pytest.approx((2 * trainings + 0.145) ** 0.5)
    assert df == pytest.approx(0.165**2 / (2 * trainings**2 + 0.145**2 / 4))
    error, _ = c.error(runs=10, reference_runs=20, images=50)
    assert error == pytest.approx((0.02 / 10 + 0.02 / 20 + 0.145 / 10) ** 0.5)


@pytest.mark.parametrize("number", [1, 2, 5, 17])
def test_the_limit_of_independent_differences_is_that_of_sidak(number):
    limit = np.quantile(largest_deviates(np.eye(number)), 0.95)
    assert limit == pytest.approx(stats.norm.isf((1 - 0.95 ** (1 / number)) / 2), abs=0.02)


@pytest.mark.parametrize(("number", "limit"), [(1, 1.96), (2, 2.21), (3, 2.35), (5, 2.51), (9, 2.69)])
def test_the_limit_of_equal_settings_is_that_of_dunnett(number, limit):
    """Dunnett, New tables for multiple comparisons with a control, 1964: two-sided, infinite degrees of freedom."""
    same = np.full((number, number), 0.5) + 0.5 * np.eye(number)
    assert np.quantile(largest_deviates(same), 0.95) == pytest.approx(limit, abs=0.02)


def test_differences_from_one_reference_are_correlated():
    contrasts = made_up([0.85] * 5)
    matrix = correlation(contrasts)
    assert matrix.diagonal() == pytest.approx(np.ones(4))
    assert matrix == pytest.approx(matrix.T)
    assert 0.25 < matrix[~np.eye(4, dtype=bool)].mean() < 0.75
    assert stats.norm.isf(0.025) < joint_limit(contrasts, 0.05).deviate < bonferroni_limit(0.05, 4).deviate


def test_differences_on_other_images_are_independent():
    one, other = made_up([0.85] * 3, seed=1), made_up([0.85] * 3, images=2000, seed=2)
    apart = joint_limit([*one, *other], 0.05, ["a", "a", "b", "b"]).deviate
    assert joint_limit(one, 0.05).deviate < apart < bonferroni_limit(0.05, 4).deviate


def test_a_different_reference_has_nothing_to_share_but_the_images():
    one, other = made_up([0.85, 0.85], seed=1), made_up([0.85, 0.85], seed=2)
    assert abs(correlation([*one, *other])[0, 1]) < 0.1


def test_looks_at_one_difference_are_correlated():
    contrasts = made_up([0.85] * 3)
    matrix = correlation(contrasts, growth=[1, 2, 5])
    assert matrix.shape == (6, 6)
    assert matrix[:2, :2] == pytest.approx(correlation(contrasts))
    looks = matrix[0, ::2]  # at the first difference
    assert looks[0] == pytest.approx(1)
    assert 1 > looks[1] > looks[2] > 0.5
    limits = [sequential_limit(contrasts, looks, 2, 0.05).deviate for looks in ([5], [5, 10], [5, 10, 25])]
    assert limits[0] == pytest.approx(joint_limit(contrasts, 0.05).deviate)
    assert limits[0] < limits[1] < limits[2] < bonferroni_limit(0.05, 6).deviate
    shared = sequential_limit(contrasts, [5, 10], 4, 0.05)  # two of four comparisons, so half of the 5%
    assert shared.deviate > limits[1]
    assert shared.p(shared.deviate) == pytest.approx(0.05, rel=0.02)


def test_the_correlation_of_looks_by_hand():
    sample = Sample(np.array([[1, 1, 1, 0], [1, 0, 1, 0], [1, 1, 0, 0]], dtype=bool), overlap=0.0)
    c = Contrast(0.0, sample, sample, (9e-6, 2), (3e-6, 2), images_variance=1e-6)
    # 3 runs: 3e-6 + 1e-6 + 1e-6; 6 runs: half of the first two and 1e-6. The looks share what 6 runs have.
    matrix = correlation([c], growth=[1, 2])
    assert matrix[0, 1] == pytest.approx(3e-6 / (5e-6 * 3e-6) ** 0.5)


def test_one_difference_has_the_t_interval():
    (c,) = made_up([0.85, 0.84])
    interval = joint_limit([c], 0.05).interval(c)
    error, df = c.error()
    half = stats.t.isf(0.025, df) * error
    assert (interval.low, interval.high) == pytest.approx((c.mean - half, c.mean + half), rel=0.03)
    p = 2 * stats.t.sf(abs(c.mean) / error, df)
    assert interval.p == pytest.approx(p, abs=0.005)


def test_an_interval_alone_is_that_of_bonferroni():
    (c,) = made_up([0.85, 0.84])
    interval = bonferroni_limit(0.05, 10).interval(c)
    error, df = c.error()
    half = stats.t.isf(0.05 / 10 / 2, df) * error
    assert (interval.low, interval.high) == pytest.approx((c.mean - half, c.mean + half))
    assert interval.p == pytest.approx(10 * 2 * stats.norm.sf(stats.norm.isf(stats.t.sf(abs(c.mean) / error, df))))


@pytest.mark.parametrize("seed", range(5))
def test_a_verdict_p_and_the_interval_agree(seed):
    contrasts = made_up([0.85, 0.70, 0.83, 0.84, 0.845, 0.85, 0.855, 0.86, 0.90], seed=seed)
    intervals = list(map(joint_limit(contrasts, 0.05).interval, contrasts))
    verdicts = [interval.verdict(0.003) for interval in intervals]
    assert {"better", "worse"} <= set(verdicts)
    assert {"equal", "undecided"} & set(verdicts)
    for interval, verdict in zip(intervals, verdicts, strict=True):
        assert (interval.low > 0) == (verdict == "better")
        assert (interval.high < 0) == (verdict == "worse")
        if not 0.045 < interval.p < 0.055:  # p and limit are both from draws
            assert (interval.p < 0.05) == (verdict in ("better", "worse"))


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.001, 0.2, "better"),
        (-0.2, -0.001, "worse"),
        (-0.0029, 0.0029, "equal"),
        (0.0001, 0.0029, "better"),  # a difference that is real and small is a difference
        (-0.0031, 0.0029, "undecided"),
        (-0.001, 0.01, "undecided"),
        (0, 0.01, "undecided"),
        (0, 0, "equal"),
    ],
)
def test_a_verdict_is_read_off_its_interval(low, high, verdict):
    assert Interval(low, high, 1.0).verdict(0.003) == verdict


def test_nothing_is_known_from_one_run_without_a_prior():
    one, other = Sample(np.eye(2, 100, dtype=bool)[:1], 0.25), Sample(np.ones((3, 100), dtype=bool), 0.25)
    c = contrast(one, other, NO_PRIOR)
    interval = joint_limit([c], 0.05).interval(c)
    assert (interval.low, interval.high, interval.p) == (-1, 1, 1)
    assert interval.verdict(0.003) == "undecided"


def test_as_many_more_runs_as_needed_and_not_one_more():
    sample = Sample(np.zeros((2, 1000), dtype=bool), overlap=0.1)
    c = Contrast(0.006, sample, sample, (4e-6, 4), (4e-6, 4), images_variance=1e-6)
    limit = bonferroni_limit(0.05, 10).deviate
    more = more_runs(c, limit, delta=0.003)
    assert more is not None
    assert more > 1
    assert half_width(c, limit, runs=2 + more, reference_runs=2 + more) < 0.006
    assert half_width(c, limit, runs=1 + more, reference_runs=1 + more) > 0.006
    # With any number of runs 2 × 0.1 × 4e-6 + 1e-6 are left: 2.81 × 0.00134 = 0.0038.
    assert more_runs(dataclasses.replace(c, mean=0.0039), limit, delta=0.003) is not None
    assert more_runs(dataclasses.replace(c, mean=0.0037), limit, delta=0.003) is None


def test_as_many_images_as_needed():
    value, reference = Sample(np.zeros((2, 500), dtype=bool), 0), Sample(np.zeros((2, 500), dtype=bool), 0)
    value.right[:, :100] = True
    reference.right[:, 90:185] = True
    c = contrast(value, reference, Prior(1e-9, float("inf"), float("inf")))
    assert c.mean == pytest.approx(5 / 500)
    limit = bonferroni_limit(0.05, 1).deviate
    assert more_runs(c, limit, 0.003) is None  # the runs hardly differ
    # 175 of 500 images differ, so the variance is 0.35 × 500/499; half the interval is 1.965 √(0.35/n) = 0.01.
    assert images_needed(c, limit, 0.003) == pytest.approx(1.965**2 * 0.35 / 0.01**2, rel=0.01)
    assert images_needed(dataclasses.replace(c, value_variance=(0.01, float("inf"))), limit, 0.003) is None
