import pytest
from scipy import stats

from emnist.analysis.collection import collect
from emnist.analysis.comparison import compare
from emnist.analysis.study_result import Row, StudyResult
from emnist.reporting.wording import describe_cell
from emnist.runs.identity import run_name
from tests.fixtures.runs import first, make_plan, make_plan_with_settings, make_run, make_study, value


def study_of(folder) -> StudyResult:
    collection = collect([folder])
    ((plan, place),) = collection.studies
    return compare(plan, place, collection)


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> dict[str, Row]:
    (rows,) = study_of(make_study(tmp_path_factory.mktemp("study"))).factors.values()
    return {row.label: row for row in rows}


def test_verdicts(rows):
    assert rows["start"].difference is None
    worse = rows["worse"].difference
    assert (worse.verdict, worse.runs, worse.reference_runs) == ("worse", 2, 2)
    assert worse.estimate.mean == pytest.approx(-0.06)  # 160 wrong instead of 100
    assert rows["better"].difference.verdict == "better"
    alike = rows["alike"].difference
    assert alike.verdict == "equal"  # 101 wrong instead of 100
    assert -0.005 < alike.estimate.low < -0.001 < 0 < alike.estimate.high < 0.005
    split = rows["split"].difference
    assert split.verdict == "undecided"  # +20 and -40: the runs disagree
    assert (split.more_runs, split.images) == (None, None)  # the folds overlap, which no number of runs makes up for
    half = rows["half"].difference
    assert (half.verdict, half.runs, half.of_networks) == ("incomplete", 1, True)
    for name in ("wild", "broken", "stopped", "later"):
        assert rows[name].difference is None


def test_the_interval_of_a_difference_covers_all_four_together(rows):
    # By hand: 60 images of 1,000 differ, the runs don't: t of 999 degrees of freedom.
    error = ((0.06 - 0.06**2) / 999) ** 0.5
    estimate = rows["worse"].difference.estimate
    half = (estimate.high - estimate.low) / 2
    assert stats.t.isf(0.025, 999) * error < half < stats.t.isf(0.025 / 4, 999) * error


def test_one_run_is_compared_by_mcnemar(rows):
    # 60 images are right for the one run alone, none for the other. It is the only such pair: Holm changes nothing.
    half = rows["half"].difference
    assert half.p == pytest.approx(2 * 0.5**60)
    assert half.estimate.mean == pytest.approx(0.06)


def test_p_of_pairs_of_networks_is_corrected_for_their_number(tmp_path):
    for name, wrong in (("start", 100), ("a", 90), ("b", 95), ("c", 99)):
        make_run(tmp_path / "mlp" / name / run_name(0, 0), first(wrong), 0.9)
    make_plan(tmp_path, [value(name, f"mlp/{name}") for name in ("start", "a", "b", "c")], [run_name(0, 0)])
    differences = [d for *_, d in study_of(tmp_path).compared]
    assert [d.verdict for d in differences] == ["undecided"] * 3
    assert [d.p for d in differences] == pytest.approx([3 * 2 * 0.5**10, 2 * 2 * 0.5**5, 1])


def test_the_reference_has_more_runs(tmp_path):
    """Its row and its differences use all of them."""
    runs = [run_name(fold, fold) for fold in range(4)]
    for fold, name in enumerate(runs):
        make_run(tmp_path / "mlp" / "start" / name, first(100 + fold), 0.9, (f"data.fold={fold}",))
    for fold, name in enumerate(runs[:2]):
        make_run(tmp_path / "mlp" / "other" / name, first(60 + fold), 0.9, (f"data.fold={fold}",))
    make_plan(tmp_path, [value("start", "mlp/start"), value("other", "mlp/other")], runs[:2], reference_runs=runs)
    study = study_of(tmp_path)
    start, other = study.factors["the_factor"]
    assert (start.planned, other.planned) == (4, 2)
    assert (other.difference.runs, other.difference.reference_runs, other.difference.verdict) == (2, 4, "better")
    assert other.difference.estimate.mean == pytest.approx(0.9395 - 0.8985)
    assert study.run_names(study.start) == runs
    assert study.run_names(other.cell) == runs[:2]


def test_each_setting_is_compared_with_its_own_start(tmp_path):
    runs = [run_name(fold, fold) for fold in range(2)]
    wrong = {"short": {"start": 300, "other": 200}, "long": {"start": 100, "other": 140}}
    for setting, cells in wrong.items():
        for name, count in cells.items():
            for fold, run in enumerate(runs):
                images = first(count + (20 * fold if setting == "short" else fold))
                make_run(tmp_path / "mlp" / f"{setting}_{name}" / run, images, 0.9, (f"data.fold={fold}",))
    settings = {
        setting: {"rate": [value(name, f"mlp/{setting}_{name}") for name in cells]} for setting, cells in wrong.items()
    }
    make_plan_with_settings(tmp_path, settings, runs)
    study = study_of(tmp_path)
    assert list(study.factors) == ["short: rate", "long: rate"]
    assert study.settings == ["short", "long"]
    short, long = (row for _, row, _ in study.compared)
    assert (short.setting, short.factor, long.setting) == ("short", "rate", "long")
    assert short.difference.estimate.mean == pytest.approx(0.1)
    assert long.difference.estimate.mean == pytest.approx(-0.04)
    assert long.difference.verdict == "worse"
    # The runs of the short training differ by 2 points, those of the long one by a tenth: so do their intervals.
    low, high = long.test.low, long.test.high
    assert high - low < 0.05 < 0.1 < short.test.high - short.test.low
    assert [cell.id for cell in study.starts.values()] == ["mlp/short_start", "mlp/long_start"]
    assert len(study.cells) == 4
    assert describe_cell(study, study.starts["long"]) == "long: reference"
    assert describe_cell(study, long.cell) == "long: rate other"


def test_a_study_that_decides_shares_its_error_among_looks(tmp_path):
    runs = [run_name(fold, fold) for fold in range(2)]
    for name, wrong in (("start", 100), ("other", 60)):
        for fold, run in enumerate(runs):
            make_run(tmp_path / "mlp" / name / run, first(wrong), 0.9, (f"data.fold={fold}",))
    values = [value("start", "mlp/start"), value("other", "mlp/other")]
    make_plan(tmp_path, values, runs, looks=[2, 4], comparisons=5)
    assert not study_of(tmp_path).compared  # not looked at yet
    values[1].runs = values[1].against = runs
    make_plan(tmp_path, values, runs, looks=[2, 4], comparisons=5)
    ((_, _, d),) = study_of(tmp_path).compared
    # One of 5 comparisons, two sides; the two looks are the same where the runs don't differ.
    half = stats.t.isf(0.05 / 5 / 2, 999) * ((0.04 - 0.0016) / 999) ** 0.5
    assert d.estimate.mean == pytest.approx(0.04)
    assert (d.estimate.low, d.estimate.high) == pytest.approx((0.04 - half, 0.04 + half), rel=0.03)
    assert d.verdict == "better"


def test_claims_of_the_reference_report(rows):
    worse, alike, better = rows["worse"].claim, rows["alike"].claim, rows["better"].claim
    assert (worse.direction, worse.beyond_error) == ("worse", True)
    assert worse.points == pytest.approx(-12.13)
    assert worse.agrees("worse") == "yes"
    assert worse.agrees("better") == "no"
    assert (alike.direction, alike.beyond_error) == ("worse", False)
    assert worse.agrees("equal") == "no"
    assert alike.points == pytest.approx(-0.11)  # within δ, so equal is no contradiction
    assert (alike.agrees("equal"), alike.agrees("undecided"), alike.agrees("incomplete")) == ("yes", "undecided", "")
    assert rows["split"].claim.direction == "worse"
    assert better.agrees("better") == "no"
    assert better.agrees("worse") == better.agrees("equal") == "yes"


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
    half = 12.7062 * (2 * 0.005**2 * (1 / 2 + 1 / 4)) ** 0.5  # t of one degree of freedom, corrected for overlap
    assert (val.low, val.high) == pytest.approx((0.905 - half, min(0.905 + half, 1)), abs=1e-4)
    half = 1.9623 * (0.09 / 999) ** 0.5  # the runs do not differ: t of 999 degrees of freedom
    assert tuple(test) == pytest.approx((0.9, 0.9 - half, 0.9 + half), abs=1e-5)
    one = rows["half"].val
    assert 0.98 < one.low < 0.99 < one.high < 1
    assert tuple(rows["half"].test) == pytest.approx((0.96, 0.9460, 0.9705), abs=1e-4)  # Wilson, 960 of 1,000
