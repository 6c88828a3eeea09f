"""Numbers against textbooks, statsmodels and simulation; every kind of bad table with its line."""

import numpy as np
import pytest
from scipy.stats import ttest_ind
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestIndPower
from statsmodels.stats.proportion import power_proportions_2indep, test_proportions_2indep
from statsmodels.stats.weightstats import DescrStatsW

from emnist.analysis.claims import (
    BEYOND,
    NO_REFERENCE,
    REFERENCE,
    UNPUBLISHED,
    WITHIN,
    Published,
    check_steps,
    images_needed,
    paired_images_needed,
    paired_p,
    read_table,
    runs_needed,
    unpaired_p,
)
from emnist.errors import UserError

test_proportions_2indep.__test__ = False  # type: ignore[attr-defined]


@pytest.mark.parametrize(("a", "b", "n"), [(0.8963, 0.8952, 18_800), (0.9084, 0.8913, 18_800), (0.6, 0.7, 100)])
def test_unpaired_p_is_walds(a, b, n):
    expected = test_proportions_2indep(a * n, n, b * n, n, method="wald").pvalue
    assert unpaired_p(a, b, n) == pytest.approx(expected)
    assert unpaired_p(b, a, n) == pytest.approx(expected)


def test_paired_p_of_the_textbook():
    # Agresti, Categorical data analysis, section 10.1: of 1,600 people 944 approve at first and 880 later, 150 and 86
    # changed their minds.
    expected = DescrStatsW(np.repeat([1, -1, 0], [150, 86, 1364])).ztest_mean()
    assert abs(expected[0]) == pytest.approx(4.19, abs=0.01)  # 0.04 with a standard error of 0.0095
    assert paired_p(944 / 1600, 880 / 1600, 1600, 236 / 1600) == pytest.approx(expected[1], rel=0.02)


def test_disagreement_is_kept_possible():
    assert paired_p(0.89, 0.87, 1000, 0) == paired_p(0.89, 0.87, 1000, 0.02)  # z = √(1000 · 0.02 / 0.98) = 4.518
    assert paired_p(0.89, 0.87, 1000, 0) == pytest.approx(6.25e-6, rel=0.01)
    assert paired_p(0.89, 0.87, 1000, 1) == paired_p(0.89, 0.87, 1000, 0.24)  # all errors of both


def test_extremes():
    assert unpaired_p(1, 1, 100) == paired_p(1, 1, 100, 0) == 1
    assert unpaired_p(1, 0, 100) == paired_p(1, 0, 100, 0) == 0
    assert (
        images_needed(0.9, 0.9, 0.05) is paired_images_needed(0.9, 0.9, 0.1, 0.05) is runs_needed(0, 0.3, 0.05) is None
    )
    assert runs_needed(77.69, 0.3, 0.005) == 2


def test_images_needed_by_hand():
    # 65% against 85%, 5%, power 80%: (1.96 √(2 · 0.75 · 0.25) + 0.8416 √(0.65 · 0.35 + 0.85 · 0.15))² / 0.04 = 72.4
    assert images_needed(0.65, 0.85, 0.05) == 73


@pytest.mark.parametrize(("a", "b", "level"), [(0.8877, 0.8699, 0.05 / 8), (0.8963, 0.8952, 0.05), (0.7, 0.8, 0.01)])
def test_so_many_images_have_80_percent_power(a, b, level):
    n = images_needed(a, b, level)
    assert n is not None
    assert power_proportions_2indep(a - b, b, n, alpha=level).power >= 0.8
    assert power_proportions_2indep(a - b, b, 0.98 * n, alpha=level).power < 0.8


def test_paired_images_needed_of_the_textbook():
    # Connor, 1987, as worked by powerandsamplesize.com: 0.45 of the pairs change one way, 0.05 the other.
    assert paired_images_needed(0.7, 0.3, 0.5, 0.05) == 23


def test_so_many_paired_images_have_80_percent_power():
    d, difference, level = 0.06, 0.0085, 0.005
    n = paired_images_needed(0.9, 0.9 - difference, d, level)
    assert n is not None
    counts = np.random.default_rng(0).multinomial(n, [(d + difference) / 2, (d - difference) / 2, 1 - d], 20_000)
    z = (counts[:, 0] - counts[:, 1]) / np.sqrt(counts[:, 0] + counts[:, 1])
    assert np.mean(np.abs(z) > 2.8070) == pytest.approx(0.8, abs=0.01)  # the normal quantile of 0.005 / 2


def test_runs_needed_of_the_textbook():
    # Cohen, Statistical power analysis, 1988, table 2.4.1: d = 0.2, 0.5, 0.8 at 5% with 80% power.
    assert [runs_needed(d, 1, 0.05) for d in (0.5, 0.8)] == [64, 26]
    assert runs_needed(0.2, 1, 0.05) == pytest.approx(393, abs=1)


@pytest.mark.parametrize(("points", "level"), [(0.11, 0.05 / 8), (-0.3, 0.05 / 8), (0.5, 0.05)])
def test_so_many_runs_have_80_percent_power(points, level):
    runs = runs_needed(points, 0.3, level)
    assert runs is not None
    power = [TTestIndPower().power(abs(points) / 0.3, k, level) for k in (runs - 1, runs)]
    assert power[0] < 0.8 <= power[1]


def test_few_runs_by_simulation():
    runs, level = runs_needed(1.78, 0.3, 0.05 / 8), 0.05 / 8
    assert runs == 3
    for k, enough in (2, False), (3, True):
        accuracies = np.random.default_rng(0).normal([[0], [1.78]], 0.3, (k, 20_000, 2, 1))[..., 0]
        p = ttest_ind(accuracies[..., 0], accuracies[..., 1]).pvalue
        assert (np.mean(p < level) > 0.8) == enough


def test_steps_are_corrected_for_the_number_of_all():
    rows = [
        Published("layers", "2", 86.99, marked=True),
        Published("layers", "3", 88.77),
        Published("optimizer", "SGD", 77.5),
        Published("optimizer", "Adam", 89.63),
        Published("optimizer", "RMSprop", 89.10),
        Published("optimizer", "Lion", None),
    ]
    steps = check_steps(rows, 18_800)
    verdicts = [REFERENCE, BEYOND, BEYOND, REFERENCE, WITHIN, UNPUBLISHED]
    assert [step.verdict for step in steps] == verdicts
    pairs = [(0.8877, 0.8699), (0.775, 0.8963), (0.891, 0.8963)]
    alone = [test_proportions_2indep(a * 18_800, 18_800, b * 18_800, 18_800, method="wald").pvalue for a, b in pairs]
    tested = [step.tested for step in steps if step.tested]
    assert [test.p for test in tested] == pytest.approx(multipletests(alone, method="holm")[1])
    assert [test.points for test in tested] == pytest.approx([1.78, -12.13, -0.53])
    assert tested[2].images == images_needed(0.891, 0.8963, 0.05 / 3)
    assert tested[2].runs == runs_needed(0.53, 0.3, 0.05 / 3)
    assert tested[2].paired_p is tested[2].paired_images is None
    paired = [step.tested.paired_p for step in check_steps(rows, 18_800, disagreement=3) if step.tested]
    assert paired[2] == pytest.approx(paired_p(0.891, 0.8963, 18_800, 0.03))  # the highest p is multiplied by 1
    assert paired[2] < 0.05 < tested[2].p


def test_the_reference_is_the_marked_value_or_the_best():
    rows = [Published("a", "1", 90), Published("a", "2", None, marked=True), Published("b", "1", 80)]
    rows += [Published("b", "2", 80), Published("c", "1", None)]
    steps = check_steps(rows, 100)
    assert [step.verdict for step in steps] == [NO_REFERENCE, REFERENCE, REFERENCE, WITHIN, UNPUBLISHED]
    equal = steps[3].tested
    assert equal is not None
    assert (equal.points, equal.p, equal.images, equal.runs) == (0, 1, None, None)


ROWS = [Published("act", "ReLU", 90.6, True), Published("act", "ELU", None), Published("norm", "[2, 2]", 13.15)]


@pytest.mark.parametrize(
    "text",
    [
        'factor,value,accuracy,reference\nact,ReLU,90.60,x\nact,ELU,,\nnorm,"[2, 2]",13.15,\n',
        "factor;value;accuracy;reference\r\nact;ReLU; 90,60 % ;yes\r\nact;ELU;–;no\r\n\r\nnorm;[2, 2];13.15%;\r\n",
        "Reference\tAccuracy\tValue\tFactor\n*\t90.6\tReLU\tact\n\t—\tELU\t\n\t13.15\t[2, 2]\tnorm\n",
    ],
)
def test_read_table(text):
    assert read_table(text, "t.csv") == ROWS


def test_a_table_of_one_factor():
    expected = [Published("activation", "ReLU", 90.6), Published("activation", "ELU", 90.44)]
    assert read_table("activation,epochs,acc,notes\nReLU,5,90.6,as before\nELU,6,90.44,\n", "t.csv") == expected
    without = read_table("ReLU,90.6\nELU,–\n", "t.csv")
    assert without == [Published("value", "ReLU", 90.6), Published("value", "ELU", None)]
    named = "step,kind,top1,top5\nact,ReLU,90.6,99\n"
    assert read_table(named, "t.csv", "step", "kind", "Top1") == [Published("act", "ReLU", 90.6)]


NO_NUMBER = "not a number; write an accuracy in %, or nothing"
CELLS = "quote cells that contain the separator"
MARKED = "value,accuracy,reference"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n \n", ": empty; give a header and rows such as: ReLU,90.60"),
        ("value,accuracy\n", ": a header without rows"),
        ("value,note\nReLU,good\n", ": no column of accuracies in %; the columns are value, note"),
        ("accuracy,reference\n90,x\n", ": no column of values beside accuracy, reference"),
        ("value,accuracy,Value\nReLU,90,1\n", ": 2 columns are called value"),
        ("value,accuracy\nReLU,90\n\nELU,9O.1\n", f", row 4, column accuracy: 9O.1: {NO_NUMBER}"),
        ("value,accuracy\nReLU,nan\n", f", row 2, column accuracy: nan: {NO_NUMBER}"),
        ("value,accuracy\nReLU,90.6 ± 0.1\n", f", row 2, column accuracy: 90.6 ± 0.1: {NO_NUMBER}"),
        ("value,accuracy\nReLU,906\n", ", row 2, column accuracy: 906: must be from 0 to 100%"),
        ("value,accuracy\nReLU,-1\n", ", row 2, column accuracy: -1: must be from 0 to 100%"),
        ("ReLU,0.906\nELU,0.9\n", ", row 1, column B: 0.906: no accuracy is above 1; write them in %"),
        ("value,accuracy\n,90\n", ", row 2, column value: empty; name the value"),
        ("factor,value,accuracy\n,ReLU,90\n", ", row 2, column factor: empty; name the factor"),
        ("depth,accuracy\n3,90\n4,91\n3,92\n", ", row 4, column depth: 3: row 2 has it too; name them apart"),
        ("value,accuracy\n[2, 2],90\n", f", row 2: 3 cells for 2 columns; {CELLS}"),
        ("factor,value,accuracy\nReLU,90\n", f", row 2: 2 cells for 3 columns; {CELLS}"),
        (f"{MARKED}\nReLU,90,maybe\n", ", row 2, column reference: maybe: mark a reference with x, yes or *"),
        (f"{MARKED}\n3,90,x\n4,91,*\n", ", row 3, column reference: row 2 is the reference of value already"),
        ('value,accuracy\nReLU,90\n"ELU,90\n', ", row 3: unexpected end of data; check the quotes"),
    ],
)
def test_bad_tables(text, message):
    with pytest.raises(UserError) as error:
        read_table(text, "t.csv")
    assert str(error.value) == f"t.csv{message}"


def test_an_unknown_column():
    with pytest.raises(UserError) as error:
        read_table("value,accuracy\nReLU,90\n", "t.csv", factor="step")
    assert str(error.value) == "t.csv, column=step: unknown; choose one of value, accuracy"
