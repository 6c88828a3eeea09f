"""Studies that decide, on made-up answers whose truth is known: no Hydra, no launcher, no training."""

import copy
import zlib
from pathlib import Path

import numpy as np
import pytest

from emnist.analysis.collection import collect
from emnist.analysis.comparison import compare
from emnist.errors import UserError
from emnist.runs.folder import RunFolder
from emnist.runs.plan import Plan
from emnist.study.deciding import DecidingPlanner
from emnist.study.spec import read_study
from tests.fixtures.runs import configured
from tests.fixtures.studies import made_up_result

IMAGES = 4000
LABELS = np.arange(IMAGES) % 10
EASE = np.random.RandomState(0).standard_normal(IMAGES)
RATES = {f"{rate}": {"set": f"optimizer.lr={rate}"} for rate in (0.1, 0.2, 0.3, 0.4)}
THRESHOLDS = {0.1: -0.84, 0.2: -0.4, 0.3: -0.9, 0.4: -0.84}  # of ease: 80%, 66%, 82%, 80% are right


def compose(overrides: tuple[str, ...]) -> dict:
    config = copy.deepcopy(configured())
    for override in overrides:
        key, _, value = override.partition("=")
        if key == "optimizer.lr":
            config["optimizer"]["lr"] = float(value)
    return config


class Deciding:
    """A study in `folder` around a rate of 0.1, with the answers of its runs made up."""

    def __init__(self, folder: Path, values=RATES, seconds: float = 60.0, **given):
        self.folder, self.seconds = folder, seconds
        self.config = {"mode": "around", "reference": [], "folds": None, "seeds": [0], "only": None}
        self.config |= {"factors": {"rate": values}, "decide": True, "looks": [3, 6, 12], "reference_times": 2, **given}
        self.trained: list[str] = []

    def planner(self) -> DecidingPlanner:
        study = read_study("tiny", self.config, 5)
        start = ("optimizer.lr=0.1",)
        return DecidingPlanner("tiny", study, start, self.folder, compose, lambda data: "f", test_images=IMAGES)

    def train(self, stop_after: int | None = None) -> "Deciding":
        """Give the runs that the study asks for their answers; a study that is killed stops after so many."""
        self.plans = self.planner()
        for step in self.plans.steps():
            for run in step.missing:
                if len(self.trained) == stop_after:
                    return self
                self.answer(run.path, run.config)
                self.trained.append(f"{run.config['optimizer']['lr']}/{run.path.name}")
        return self

    def answer(self, path: Path, config: dict) -> None:
        rate = config["optimizer"]["lr"]
        random = np.random.RandomState(zlib.crc32(f"{rate} {path.name}".encode()))
        noise = 0.3 * random.standard_normal(IMAGES) + 0.01 * random.standard_normal()
        right = EASE + noise > THRESHOLDS[rate]
        predicted = np.where(right, LABELS, (LABELS + 1) % 10)
        folder = RunFolder(path)
        folder.write_config(config)
        folder.write_predictions(LABELS, predicted, np.eye(10, dtype=np.float32)[predicted])
        result = made_up_result(config, test_accuracy=float(right.mean()))
        result.duration_s = self.seconds
        folder.write_result(result)

    @property
    def plan(self) -> Plan:
        plan = Plan.read(self.folder / "tiny.json")
        assert plan is not None
        return plan

    def runs(self) -> dict[str, int]:
        """How many runs of each value the last look used."""
        return {value.label: len(self.plan.runs_of(value)) for value in self.plan.factors[0].values}

    def verdicts(self) -> dict[str, str]:
        """Those of the report."""
        collection = collect([self.folder])
        ((plan, folder),) = collection.studies
        rows = compare(plan, folder, collection).factors["rate"]
        return {row.label: row.difference.verdict for row in rows if row.difference}


@pytest.fixture
def study(tmp_path) -> Deciding:
    return Deciding(tmp_path)


def test_what_is_settled_stops_and_what_is_open_goes_on(study, capsys):
    study.train()
    runs = study.runs()
    assert runs["0.2"] == 3  # 14 points worse: the first look sees it
    assert runs["0.3"] == 6  # 2 points better: the second does
    assert runs["0.4"] == 3  # equal, which so few images can't show: given up
    assert study.verdicts() == {"0.2": "worse", "0.3": "better", "0.4": "undecided"}
    trained = [name for name in study.trained if name.startswith("0.2/")]
    assert trained == ["0.2/fold0_seed0", "0.2/fold1_seed1", "0.2/fold2_seed2"]
    reference = [name for name in study.trained if name.startswith("0.1/")]
    assert len(reference) == 12
    assert len(set(study.trained)) == len(study.trained)
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("tiny: 3 comparisons, expected to take about ")
    assert said[0].endswith("; at least 15, at most 60")
    assert said[1].startswith("tiny: after 15 runs ")


def test_the_verdicts_of_the_study_are_those_of_the_report(study):
    closed = {}
    planner = study.planner()
    original = planner.look

    def look(one, reference, prior):
        original(one, reference, prior)
        closed[one.planned.label] = one.verdict

    planner.look = look
    for step in planner.steps():
        for run in step.missing:
            study.answer(run.path, run.config)
    assert study.verdicts() == closed
    assert set(closed) == {"0.2", "0.3", "0.4"}


@pytest.mark.parametrize("killed", [0, 1, 7, 15, 16, 20])
def test_killed_and_started_again_it_trains_the_same_runs(study, tmp_path, killed):
    whole = Deciding(tmp_path / "whole").train()
    part = Deciding(tmp_path / "part").train(stop_after=killed)
    assert len(part.trained) == killed
    part.train()
    assert sorted(part.trained) == sorted(whole.trained)
    assert part.plan == whole.plan
    assert part.verdicts() == whole.verdicts()


def test_a_finished_study_trains_nothing(study):
    study.train()
    before = list(study.trained)
    plan = study.plan
    assert study.train().trained == before
    assert study.plan == plan


def test_a_number_of_runs_as_the_budget(tmp_path):
    study = Deciding(tmp_path, max_runs=20).train()
    assert 15 <= len(study.trained) <= 20
    assert study.plans.not_reached > 0
    study = Deciding(tmp_path, max_runs=12).train()  # 9 for the first look at one value, 12 for two
    assert study.plans.not_reached == 2  # the third, and the second look at another
    more = Deciding(tmp_path).train()
    assert more.plans.not_reached == 0
    assert more.plan == Deciding(tmp_path / "at once").train().plan


def test_a_time_as_the_budget(tmp_path):
    study = Deciding(tmp_path, budget="16m", seconds=60.0).train()
    assert study.trained[0] == "0.1/fold0_seed0"  # first one run, to know how long a run takes
    assert len(study.trained) == 15
    assert study.plans.not_reached > 0


def test_a_run_that_failed_leaves_its_value_incomplete(study):
    planner = study.planner()
    for step in planner.steps():
        for run in step.missing:
            if run.config["optimizer"]["lr"] == 0.3 and run.path.name.startswith("fold1"):
                run.path.mkdir(parents=True)
                RunFolder(run.path).write_failure("no memory", run.config)
            else:
                study.answer(run.path, run.config)
    assert study.verdicts()["0.3"] == "incomplete"
    assert study.runs()["0.3"] == 3
    assert study.verdicts()["0.2"] == "worse"


def test_greedy_decides_a_factor_before_the_next(tmp_path):
    factors = {
        "rate": {"0.1": {"set": "optimizer.lr=0.1"}, "0.2": {"set": "optimizer.lr=0.2"}},
        "again": {"0.1": {"set": "optimizer.lr=0.1"}, "0.3": {"set": "optimizer.lr=0.3"}},
    }
    study = Deciding(tmp_path, mode="greedy", factors=factors)
    study.train()
    first, second = study.plan.factors
    assert first.chosen == "0.1"
    assert second.reference == first.reference
    lasts = [max(i for i, name in enumerate(study.trained) if name.startswith(rate)) for rate in ("0.2/", "0.3/")]
    firsts = [study.trained.index(f"{rate}/fold0_seed0") for rate in ("0.2", "0.3")]
    assert lasts[0] < firsts[1]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"looks": [1, 3]}, "study.looks=[1, 3]: give numbers of runs in ascending order, from 2"),
        ({"looks": [5, 3]}, "study.looks=[5, 3]: give numbers of runs in ascending order, from 2"),
        ({"budget": "soon"}, "study.budget=soon: must be a time such as 4h, 30m or 90s"),
        ({"max_runs": 0}, "study.max_runs=0: must be greater than or equal to 1"),
        ({"decide": False, "budget": "4h"}, "study.budget=4h: a limit for studies that decide; add study.decide=true"),
        ({"delta": -1.0}, "study.delta=-1.0: must be greater than or equal to 0"),
    ],
)
def test_wrong_values(tmp_path, given, message):
    with pytest.raises(UserError) as error:
        Deciding(tmp_path, **given).planner()
    assert str(error.value) == message


def test_a_budget_in_words(tmp_path):
    for text, seconds in [("4h", 14400), ("30m", 1800), ("90s", 90), ("1.5h", 5400), (60, 60)]:
        assert Deciding(tmp_path, budget=text).planner().study.budget == seconds
