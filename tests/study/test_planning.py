"""Plans of made-up studies: no Hydra, no launcher, no training."""

import copy
import json
from pathlib import Path

import pytest
import yaml

from emnist.errors import UserError
from emnist.runs.folder import RunFolder
from emnist.runs.identity import fold_and_seed
from emnist.runs.plan import Plan
from emnist.study.planning import Planner
from emnist.study.spec import read_study
from tests.fixtures.studies import ACTIVATION, NEURONS, cells_of, made_up_result

CONFIG = {
    "data": {"name": "glyphs", "root": "here", "fold": 0},
    "model": {"name": "mlp", "neurons": 16, "activation": "elu", "dropout": 0.1},
    "optimizer": {"lr": 0.1},
    **{key: {} for key in ("scheduler", "regularization", "augmentation", "trainer")},
    **dict.fromkeys(("seed", "patience", "threads"), 0),
}


def compose(overrides: tuple[str, ...]) -> dict:
    """CONFIG with these overrides."""
    config = copy.deepcopy(CONFIG)
    for override in overrides:
        name, _, value = override.partition("=")
        group, _, key = name.partition(".")
        if group not in config:
            raise UserError(f"{name}: no such key")
        target, key = (config[group], key) if key else (config, group)
        target[key] = yaml.safe_load(value)
    return config


class MadeUpStudy:
    """A study in `folder` whose runs can be given results."""

    def __init__(self, folder: Path, factors: dict, mode="around", start=(), images="images", **given):
        config = {"mode": mode, "reference": [], "folds": [0, 1], "seeds": [0], "only": None, "factors": factors}
        study = read_study("tiny", {**config, **given}, 5)
        self.folder = folder
        self.planner = Planner("tiny", study, tuple(start), folder, compose, lambda data: images)

    @property
    def plan(self) -> Plan:
        """The plan as stored."""
        plan = Plan.read(self.folder / "tiny.json")
        assert plan is not None
        return plan

    def train(self, accuracy=lambda model: 0.8) -> "MadeUpStudy":
        """Give all missing runs a result, whose validation accuracy follows from the model."""
        self.steps = []
        for step in self.planner.steps():
            self.steps.append((len(step.missing), len(step.runs), step.later))
            for run in step.missing:
                config = compose(run.overrides)
                run.path.mkdir(parents=True, exist_ok=True)
                RunFolder(run.path).write_result(made_up_result(config, accuracy(config["model"])))
        return self

    def runs(self) -> set[str]:
        """The runs that have a result, as cell/run."""
        return {str(path.parent.relative_to(self.folder)) for path in self.folder.rglob("result.json")}


def runs_of(cell: str, *names: str) -> list[Path]:
    return [Path(cell) / name for name in names]


def wide(model: dict) -> float:
    """More neurons are better, ReLU is worse."""
    return model["neurons"] / 100 - 0.01 * (model["activation"] == "relu")


def narrow(model: dict) -> float:
    return 1 - wide(model)


def test_around_trains_each_cell_once(tmp_path):
    study = MadeUpStudy(tmp_path, {"neurons": NEURONS, "activation": ACTIVATION}).train()
    assert study.steps == [(6, 6, 0)]
    cells = cells_of(study.plan)
    assert cells["16"] == cells["ELU"] == study.plan.reference
    assert len(set(cells.values())) == 3
    assert study.runs() == {f"{cell}/{run}" for cell in cells.values() for run in ("fold0_seed0", "fold1_seed1")}
    activation = study.plan.factors[1]
    assert (activation.reference, activation.chosen) == (study.plan.reference, None)
    assert activation.values[1].published == 80
    study.train()
    assert study.steps == [(0, 6, 0)]


def test_the_overrides_of_a_run(tmp_path):
    factors = {"neurons": {"8": {"set": ["model.neurons=8"]}}}
    study = MadeUpStudy(tmp_path, factors, start=["model.activation=relu"], folds=[None, 1], seeds=[3])
    (step,) = study.planner.steps()
    overrides = {run.path.name: run.overrides for run in step.runs if run.path.parent.name in cells_of(study.plan)["8"]}
    assert overrides == {
        "all_seed3": ("model.activation=relu", "model.neurons=8", "data.fold=null", "seed=3"),
        "fold1_seed16": ("model.activation=relu", "model.neurons=8", "data.fold=1", "seed=16"),
    }
    assert [fold_and_seed(name) for name in overrides] == [(None, 3), (1, 16)]


def test_a_run_without_a_result_is_missing(tmp_path):
    study = MadeUpStudy(tmp_path, {"neurons": NEURONS}).train()
    run = RunFolder(tmp_path / cells_of(study.plan)["8"] / "fold1_seed1")
    run.result.unlink()
    run.write_failure("no memory", CONFIG)
    (step,) = MadeUpStudy(tmp_path, {"neurons": NEURONS}).planner.steps()
    assert [missing.path for missing in step.missing] == [run.path]


def test_studies_share_cells(tmp_path):
    MadeUpStudy(tmp_path, {"neurons": NEURONS}).train()
    width = {"wide": {"set": "model.neurons=16"}, "32": {"set": "model.neurons=32"}}
    assert MadeUpStudy(tmp_path, {"width": width}).train().steps == [(2, 4, 0)]


@pytest.mark.parametrize(
    ("start", "images", "new"),
    [
        (["data.root=elsewhere"], "images", 0),  # the same images in another folder
        (["model.dropout=0.10"], "images", 0),
        ([], "others", 4),
        (["optimizer.lr=0.01"], "images", 4),
    ],
)
def test_a_cell_is_its_configuration_and_its_images(tmp_path, start, images, new):
    MadeUpStudy(tmp_path, {"neurons": NEURONS}).train()
    assert MadeUpStudy(tmp_path, {"neurons": NEURONS}, start=start, images=images).train().steps == [(new, 4, 0)]


def test_greedy_starts_each_factor_from_the_best_by_validation(tmp_path):
    factors = {"neurons": NEURONS, "activation": ACTIVATION}
    study = MadeUpStudy(tmp_path, factors, mode="greedy").train(narrow)  # test accuracies are all the same
    assert study.steps == [(4, 4, 2), (2, 4, 0)]  # one cell of the second factor is known after the first
    neurons, activation = study.plan.factors
    cells = cells_of(study.plan)
    assert (neurons.chosen, neurons.reference) == ("8", study.plan.reference)
    assert (activation.chosen, activation.reference) == ("ReLU", cells["8"])
    assert cells["ELU"] == cells["8"]
    result = RunFolder(tmp_path / cells["ReLU"] / "fold0_seed0").read_result()
    assert result is not None
    assert (result.config["model"]["neurons"], result.config["model"]["activation"]) == (8, "relu")

    # Another outcome on validation, another choice.
    for path in runs_of(cells["16"], "fold0_seed0", "fold1_seed1"):
        RunFolder(tmp_path / path).write_result(made_up_result(compose(()), 1.0, test_accuracy=0.0))
    study.train(narrow)
    neurons, activation = study.plan.factors
    assert (neurons.chosen, activation.reference) == ("16", cells["16"])

    # One factor alone starts from what has been trained of the others.
    before, runs = study.plan, study.runs()
    part = MadeUpStudy(tmp_path, factors, mode="greedy", only=["activation"]).train()
    assert part.plan == before
    assert part.runs() == runs

    # On other folds it might choose otherwise, so its plan names only those.
    assert MadeUpStudy(tmp_path, factors, mode="greedy", folds=[1]).train().plan.runs == ["fold1_seed1"]


def test_of_equal_values_greedy_keeps_the_one_before(tmp_path):
    study = MadeUpStudy(tmp_path, {"neurons": dict(reversed(NEURONS.items()))}, mode="greedy").train()
    assert study.plan.factors[0].chosen == "16"


def test_a_diverged_value_is_not_chosen(tmp_path):
    factors = {"dropout": {"wild": {"set": "model.dropout=9"}}}
    study = MadeUpStudy(tmp_path, factors, mode="greedy").train(lambda model: None if model["dropout"] == 9 else 0.1)
    (factor,) = study.plan.factors
    assert factor.chosen == "as before"
    assert [value.label for value in factor.values] == ["as before", "wild"]
    assert factor.values[0].cell == factor.reference == study.plan.reference


def test_greedy_needs_one_validation_accuracy(tmp_path):
    study = MadeUpStudy(tmp_path, {"neurons": NEURONS}, mode="greedy")
    with pytest.raises(UserError, match="study=tiny: neurons: no value has a validation accuracy in every run"):
        study.train(lambda model: None)


def test_greedy_passes_over_what_was_never_trained(tmp_path):
    factors = {"neurons": NEURONS, "activation": ACTIVATION}
    study = MadeUpStudy(tmp_path, factors, mode="greedy", only=["activation"]).train(wide)
    assert [(factor.name, factor.chosen) for factor in study.plan.factors] == [("neurons", None), ("activation", "ELU")]
    assert study.steps == [(0, 0, 2), (4, 4, 0)]


def test_only_some_values(tmp_path):
    study = MadeUpStudy(tmp_path, {"neurons": NEURONS, "activation": ACTIVATION}, only=["activation/ReLU"]).train()
    cells = cells_of(study.plan)
    assert {Path(run).parent for run in study.runs()} == {Path(cells[label]) for label in ("ELU", "ReLU")}


def test_folds_trained_one_after_another_are_one_study(tmp_path):
    MadeUpStudy(tmp_path, {"neurons": NEURONS}, folds=[1]).train()
    study = MadeUpStudy(tmp_path, {"neurons": NEURONS}, folds=[0]).train()
    assert study.plan.runs == ["fold0_seed0", "fold1_seed1"]
    run = RunFolder(tmp_path / cells_of(study.plan)["8"] / "fold1_seed1")
    run.result.unlink()
    assert study.train().plan.runs == ["fold0_seed0"]  # a cell lacks fold 1
    run.write_failure("no memory", CONFIG)
    assert study.train().plan.runs == ["fold0_seed0", "fold1_seed1"]  # it has failed there
    for other in ({"start": ["optimizer.lr=0.2"]}, {"images": "others"}):
        assert MadeUpStudy(tmp_path, {"neurons": NEURONS}, folds=[1], **other).train().plan.runs == ["fold1_seed1"]


def test_seeds(tmp_path):
    study = MadeUpStudy(tmp_path, {"neurons": NEURONS}, folds=[0], seeds=[0, 3]).train()
    assert study.plan.runs == ["fold0_seed0", "fold0_seed15"]
    assert len(study.runs()) == 4


def test_no_two_folds_share_a_seed(tmp_path):
    study = MadeUpStudy(tmp_path, {"neurons": NEURONS}, seeds=[0, 1]).train()
    assert study.plan.runs == ["fold0_seed0", "fold1_seed1", "fold0_seed5", "fold1_seed6"]


def test_every_seed_in_every_fold(tmp_path):
    study = MadeUpStudy(tmp_path, {"neurons": NEURONS}, seeds=[0, 3], seeding="crossed").train()
    assert study.plan.runs == ["fold0_seed0", "fold1_seed0", "fold0_seed3", "fold1_seed3"]


def test_the_reference_gets_more_runs(tmp_path):
    study = MadeUpStudy(tmp_path, {"neurons": NEURONS}, reference_times=3).train()
    assert study.steps == [(8, 8, 0)]
    cells, plan = cells_of(study.plan), study.plan
    assert plan.runs == ["fold0_seed0", "fold1_seed1"]
    assert plan.reference_runs == [*plan.runs, "fold0_seed5", "fold1_seed6", "fold0_seed10", "fold1_seed11"]
    reference = {f"{cells['16']}/{run}" for run in plan.reference_runs}
    assert study.runs() == reference | {f"{cells['8']}/{run}" for run in plan.runs}


def test_a_run_has_the_configuration_of_its_overrides(tmp_path):
    (step,) = MadeUpStudy(tmp_path, {"neurons": NEURONS}, reference_times=2).planner.steps()
    assert [run.config for run in step.runs] == [compose(run.overrides) for run in step.runs]


def test_an_invalid_value_is_named(tmp_path):
    with pytest.raises(UserError, match="^study=tiny: a/b: neurons: no such key$"):
        MadeUpStudy(tmp_path, {"a": {"b": {"set": "neurons=3"}}})
    with pytest.raises(UserError, match="^study=tiny: neurons: no such key$"):
        MadeUpStudy(tmp_path, {"neurons": NEURONS}, start=["neurons=3"], only="neurons")


def test_a_plan_of_version_0_1_is_updated(tmp_path):
    study = MadeUpStudy(tmp_path, {"neurons": NEURONS}).train()
    content = json.loads((tmp_path / "tiny.json").read_text())
    assert content.pop("format") == "emnist.plan/1"
    (tmp_path / "tiny.json").write_text(json.dumps(content))
    before = study.plan
    assert study.train().plan == before
    assert "format" in json.loads((tmp_path / "tiny.json").read_text())


def test_a_study_in_a_subfolder(tmp_path):
    study = MadeUpStudy(tmp_path, {"neurons": NEURONS})
    study.planner.name = "mine/tiny"
    next(study.planner.steps())
    assert (tmp_path / "mine_tiny.json").exists()


SETTINGS = {"narrow": ["optimizer.lr=0.2"], "wide": ["model.neurons=32", "optimizer.lr=0.2"]}


def test_every_factor_is_varied_in_every_setting(tmp_path):
    factors = {"dropout": {"none": {"set": "model.dropout=0"}}, "activation": ACTIVATION}
    start = ["optimizer.lr=0.3", "model.dropout=0.5"]  # the first also a key of the settings
    study = MadeUpStudy(tmp_path, factors, start=start, settings=SETTINGS, reference_times=2).train()
    assert study.steps == [(2 * (4 + 2 + 2), 16, 0)]
    plan = study.plan
    assert [(factor.setting, factor.name) for factor in plan.factors] == [
        (setting, factor) for setting in SETTINGS for factor in factors
    ]
    narrow, wide = plan.factors[0].reference, plan.factors[2].reference
    assert plan.reference == narrow != wide
    assert [factor.reference for factor in plan.factors] == [narrow, narrow, wide, wide]
    assert [value.label for value in plan.factors[2].values] == ["as before", "none"]
    assert plan.overrides == start
    assert [len(list((tmp_path / cell).glob("*"))) for cell in (narrow, wide)] == [4, 4]
    models = {factor.setting: factor.values[1].cell for factor in plan.factors if factor.name == "dropout"}
    for setting, neurons in (("narrow", 16), ("wide", 32)):
        result = RunFolder(tmp_path / models[setting] / "fold0_seed0").read_result()
        assert result is not None
        assert (result.config["model"]["neurons"], result.config["model"]["dropout"]) == (neurons, 0)
        assert result.config["optimizer"]["lr"] == 0.2
    study.train()
    assert study.steps == [(0, 16, 0)]


def test_the_first_runs_of_all_settings_come_first(tmp_path):
    (step,) = MadeUpStudy(tmp_path, {"activation": ACTIVATION}, settings=SETTINGS).planner.steps()
    assert [run.path.name for run in step.runs] == 4 * ["fold0_seed0"] + 4 * ["fold1_seed1"]


@pytest.mark.parametrize(
    ("only", "trained"),
    [
        (["wide"], {(32, "elu"), (32, "relu")}),
        (["activation"], {(16, "elu"), (16, "relu"), (32, "elu"), (32, "relu")}),
        (["wide", "activation/ELU"], {(32, "elu")}),
    ],
)
def test_only_some_settings(tmp_path, only, trained):
    factors = {"activation": ACTIVATION}
    (step,) = MadeUpStudy(tmp_path, factors, settings=SETTINGS, folds=[0], only=only).planner.steps()
    models = [run.config["model"] for run in step.runs]
    assert {(model["neurons"], model["activation"]) for model in models} == trained


def test_an_invalid_setting_is_named(tmp_path):
    with pytest.raises(UserError, match="^study=tiny: wide: neurons: no such key$"):
        MadeUpStudy(tmp_path, {"neurons": NEURONS}, settings={"wide": ["neurons=3"]})
    with pytest.raises(UserError, match="^study=tiny: wide: a/b: neurons: no such key$"):
        MadeUpStudy(tmp_path, {"a": {"b": {"set": "neurons=3"}}}, settings={"wide": []})
