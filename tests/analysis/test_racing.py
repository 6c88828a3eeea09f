import numpy as np
import pytest

from emnist.analysis.racing import exceeding, gap, loses, loses_with, pocock_deviate, standard_error

IMAGES, FLIPPING, SD = 5640, 450, 0.003  # of the FLIPPING images a network gets half right: two disagree on 4%


def answers(wrong: np.ndarray | slice, images: int = IMAGES) -> np.ndarray:
    right = np.ones(images, bool)
    right[wrong] = False
    return right


def share_that_loses(deficit: float, looks: int, searches: int = 4000) -> float:
    """Of trials whose setting is so much worse, against another incumbent each."""
    random = np.random.default_rng(looks)
    wins, losses, ended = np.zeros(searches), np.zeros(searches), np.zeros(searches, bool)
    for look in range(1, looks + 1):
        luck = random.normal(0, SD, (2, searches)) - [[deficit], [0]]
        ours, theirs = random.binomial(FLIPPING, 0.5 + luck * IMAGES / FLIPPING)
        both = random.hypergeometric(ours, FLIPPING - ours, theirs)
        wins, losses = wins + ours - both, losses + theirs - both
        ended |= loses_with(wins, losses, look * IMAGES, look, looks, 0.05, SD)
    return float(ended.mean())


@pytest.mark.parametrize(("looks", "deviate"), [(1, 1.645), (2, 1.875), (3, 1.992), (4, 2.067), (5, 2.122)])
def test_pococks_constants_for_one_sided_5_percent(looks, deviate):
    assert pocock_deviate(looks, 0.05) == pytest.approx(deviate, abs=5e-4)


def test_pococks_published_constant_for_five_looks():
    # Jennison and Turnbull, Group sequential methods, 1999, table 2.1, for 5% on both sides
    assert pocock_deviate(5, 0.025) == pytest.approx(2.413, abs=5e-4)


def test_the_chance_of_exceeding_is_that_of_simulated_sums():
    sums = np.random.default_rng(0).standard_normal((200_000, 4)).cumsum(1)
    share = (sums > 1.5 * np.sqrt([1, 2, 3, 4])).any(1).mean()
    assert exceeding(1.5, 4) == pytest.approx(share, abs=0.004)


@pytest.mark.parametrize("looks", [1, 2, 4])
def test_an_equally_good_setting_loses_at_any_look_with_the_given_probability(looks):
    assert share_that_loses(0, looks) == pytest.approx(0.05, abs=0.012)


def test_power_grows_with_the_deficit():
    shares = [share_that_loses(deficit, 2) for deficit in (0, 0.005, 0.01, 0.02)]
    assert shares == sorted(shares)
    assert shares[-1] > 0.95


def test_the_same_answers_never_lose():
    right = answers(np.arange(900))
    assert not loses([right], [right], 2, 0.05, 0.0)
    assert gap([right], [right], 2, 0.05, 0.0) == (0, 0)


def test_a_much_worse_trial_loses_after_its_first_fold():
    worse, best = answers(np.arange(1200)), answers(np.arange(900))
    assert loses([worse], [best], 4, 0.05, SD)
    assert not loses([best], [worse], 4, 0.05, SD)


def test_a_few_images_are_not_enough():
    best = answers(np.arange(0))
    assert not loses([answers(np.arange(5))], [best], 2, 0.05, 0.0)  # by McNemar's deviate alone 2.2 > 1.88
    assert loses([answers(np.arange(6))], [best], 2, 0.05, 0.0)


def test_more_looks_and_more_variation_between_runs_make_it_stricter():
    worse, best = answers(np.arange(947)), answers(np.arange(900))  # 0.83 points
    assert loses([worse], [best], 1, 0.05, SD)
    assert not loses([worse], [best], 5, 0.05, SD)
    assert not loses([worse], [best], 1, 0.05, 2 * SD)


def test_the_gap_says_by_how_much():
    worse, best = answers(np.arange(100, 1200)), answers(np.arange(900))  # 100 wins, 300 losses
    difference, half = gap([worse, worse], [best, best], 2, 0.05, SD)
    assert difference == pytest.approx(-200 / IMAGES)
    assert half == pytest.approx(pocock_deviate(2, 0.05) * (800 / (2 * IMAGES) ** 2 + SD**2) ** 0.5)
    assert half == pytest.approx(pocock_deviate(2, 0.05) * standard_error(200, 600, 2 * IMAGES, 2, SD))
    assert loses([worse, worse], [best, best], 2, 0.05, SD) == (difference + half < 0)
