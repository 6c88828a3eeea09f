import pytest

from emnist.analysis.study_result import Difference, Estimate
from emnist.reporting.wording import two_digits, verdict_of


def difference(verdict: str = "undecided", runs: int = 5, **about) -> Difference:
    return Difference(Estimate(0.001, -0.002, 0.004), 0.5, verdict, runs, 10, **about)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (difference("better"), "better"),
        (difference("equal"), "equal within 0.3"),
        (difference(more_runs=6, images=9000), "undecided: about 6 more runs"),
        (difference(more_runs=1), "undecided: about 1 more run"),
        (difference(images=20_120), "undecided: about 21,000 test images"),
        (difference(), "undecided: more runs and more test images"),
        (difference(more_runs=6, reason="5 epochs against 20"), "undecided: 5 epochs against 20"),
        (difference(runs=1), "one run: only these two networks"),
        (difference("incomplete", runs=1), "incomplete"),
    ],
)
def test_a_verdict_says_what_would_settle_it(given, words):
    assert verdict_of(given, 0.003) == words


def test_numbers_of_images_are_rounded_up():
    assert [two_digits(number) for number in (7, 99, 101, 20_000, 20_001)] == [7, 99, 110, 20_000, 21_000]
