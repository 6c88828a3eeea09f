import pytest

from emnist.analysis.collection import collect
from emnist.analysis.comparison import Row, compare
from tests.fixtures.runs import make_study


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> dict[str, Row]:
    collection = collect([make_study(tmp_path_factory.mktemp("study"))])
    ((plan, folder),) = collection.studies
    (rows,) = compare(plan, folder, collection).factors.values()
    return {row.label: row for row in rows}


def test_verdicts(rows):
    assert rows["start"].difference is None
    worse = rows["worse"].difference
    assert worse.verdict == "worse"
    assert worse.estimate.mean == pytest.approx(-0.0605)  # 160 and 161 wrong instead of 100
    assert (worse.pairs, worse.same_sign) == (2, 2)
    assert rows["better"].difference.verdict == "better"
    assert rows["half"].difference.verdict == "incomplete"
    assert rows["half"].difference.pairs == 1
    alike = rows["alike"].difference
    assert (alike.verdict, alike.p, alike.p_corrected) == ("no measurable difference", 1, 1)
    assert rows["split"].difference.verdict == "no measurable difference"  # +20 and -40: the runs disagree
    for name in ("wild", "broken", "stopped", "later"):
        assert rows[name].difference is None


def test_p_is_corrected_for_the_number_of_comparisons(rows):
    compared = sorted((row.difference for row in rows.values() if row.difference), key=lambda d: d.p)
    assert len(compared) == 5
    assert compared[0].p_corrected == pytest.approx(5 * compared[0].p)
    assert compared[1].p_corrected == pytest.approx(max(4 * compared[1].p, compared[0].p_corrected))


def test_claims_of_the_reference_report(rows):
    worse, alike, better = rows["worse"].claim, rows["alike"].claim, rows["better"].claim
    assert (worse.direction, worse.beyond_error) == ("worse", True)
    assert worse.points == pytest.approx(-12.13)
    assert worse.agrees("worse") == "yes"
    assert worse.agrees("better") == "no"
    assert (alike.direction, alike.beyond_error) == ("worse", False)
    assert alike.agrees("no measurable difference") == "not confirmed"
    assert rows["split"].claim.direction == "worse"
    assert better.agrees("better") == "no"
    assert better.agrees("worse") == better.agrees("no measurable difference") == "yes"


def test_problems(rows):
    assert rows["start"].problem == ""
    assert rows["half"].problem == "of 2 runs: 1 missing"
    assert rows["wild"].problem == "of 2 runs: 1 diverged, 1 missing"
    assert rows["broken"].problem == "of 2 runs: 1 failed, 1 missing"
    assert rows["broken"].reasons == ["no | space"]
    assert rows["stopped"].problem == "of 2 runs: 1 unfinished, 1 missing"
    assert rows["later"].problem == "missing"


def test_intervals(rows):
    val, test = rows["start"].val, rows["start"].test
    assert val.mean == pytest.approx(0.905)
    half = 12.7062 * 0.005  # t of one degree of freedom, standard error 0.01 / 2
    assert (val.low, val.high) == pytest.approx((0.905 - half, 0.905 + half), abs=1e-4)
    assert tuple(test) == pytest.approx((0.9, 0.8799, 0.9171), abs=1e-4)  # Wilson, 900 of 1,000
    one = rows["half"].val
    assert 0.98 < one.low < 0.99 < one.high < 1
