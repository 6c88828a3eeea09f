import re

import pytest
from omegaconf import OmegaConf

from emnist.command import CONF
from emnist.data.augmentation import build_augmentation
from emnist.data.module import DataModule
from emnist.errors import UserError
from emnist.runs.identity import cell_id
from emnist.study.overrides import merge
from emnist.study.spec import read_study
from emnist.training.fit import build_classifier
from tests.fixtures.configuration import configure

FACTORS = {"neurons": {"16": {"set": "model.neurons=16"}, 8: {"set": ["model.neurons=8", "threads=1"], "rank": 2}}}


def read(**given):
    config = {
        "mode": "around",
        "reference": ["model=mlp"],
        "folds": [0],
        "seeds": [0],
        "only": None,
        "factors": FACTORS,
    }
    return read_study("tiny", {**config, **given}, 5)


def test_values():
    values = read().factors["neurons"]
    assert list(values) == ["16", "8"]
    assert values["16"].set == ["model.neurons=16"]
    assert (values["8"].set, values["8"].rank) == (["model.neurons=8", "threads=1"], 2)


def test_no_folds_means_all():
    assert read(folds=None).folds == [0, 1, 2, 3, 4]
    assert read(folds=[None]).folds == [None]


@pytest.mark.parametrize(
    ("only", "labels"),
    [(None, ["16", "8"]), ("neurons", ["16", "8"]), (["neurons/8"], ["8"]), (["width"], [])],
)
def test_wanted(only, labels):
    study = read(only=only, factors={**FACTORS, "width": {"1": {"set": "a=1"}}})
    assert study.wanted("neurons") == labels


@pytest.mark.parametrize(
    ("only", "labels"),
    [(["wide"], [["16", "8"], []]), (["neurons/8"], [["8"], ["8"]]), (["wide", "neurons/8"], [["8"], []])],
)
def test_wanted_in_a_setting(only, labels):
    study = read(only=only, settings={"wide": "threads=1", 3: []})
    assert study.settings == {"wide": ["threads=1"], "3": []}
    assert [study.wanted("neurons", setting) for setting in ("wide", "3")] == labels


def test_values_of_some_settings():
    values = {
        "a": {"set": "a=1"},
        "b": {"init": "few", "settings": ["wide", "s*"]},
        "c": {"set": "c=1", "settings": "x"},
    }
    settings: dict[str, list[str]] = {"wide": [], "small": [], "x": []}
    study = read(sources={"few": []}, settings=settings, factors={"start": values})
    assert [list(study.values("start", setting)) for setting in settings] == [["a", "b"], ["a", "b"], ["a", "c"]]
    assert study.wanted("start", "x") == ["a", "c"]
    assert study.factors["start"]["b"].set == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"mode": "random"}, "study.mode=random: must be 'around' or 'greedy'"),
        ({"only": ["neuron"]}, "study.only=neuron: unknown; choose one of neurons"),
        ({"only": ["neurons/9"]}, "study.only=neurons/9: unknown; choose one of neurons/16, neurons/8"),
        ({"only": []}, "study.only=[]: give at least one, and each once"),
        ({"folds": [0, 7]}, "study.folds=7: must be from 0 to 4"),
        ({"folds": []}, "study.folds=[]: give at least one, and each once"),
        ({"folds": [1, 1]}, "study.folds=[1, 1]: give at least one, and each once"),
        ({"folds": 1}, "study.folds=1: must be a valid list"),
        ({"folds": [None], "mode": "greedy"}, "study.folds=null: a greedy study needs validation accuracies"),
        ({"seeds": [2**32]}, "study.seeds[0]=4294967296: must be less than or equal to 4294967295"),
        ({"fold": 3}, "study.fold: no such key; the keys are mode, reference, folds"),
        ({"reference": ["mlp"]}, "study.reference[0]=mlp: not an override; write key=value"),
        ({"settings": {"wide": "neurons"}}, "study.settings.wide=neurons: not an override; write key=value"),
        ({"settings": {"wide": ["seed=1"]}}, "study.settings.wide[0]=seed=1: not for a study's values"),
        ({"settings": ["wide"]}, "study.settings=['wide']: must be a valid dictionary"),
        ({"settings": {"wide": []}, "mode": "greedy"}, "study.settings: a greedy study has one start"),
        ({"settings": {"wide": []}, "decide": True}, "study.settings: a study that decides has one reference"),
        ({"settings": {"neurons": []}}, "study.settings.neurons: also the name of a factor"),
        ({"settings": {"wide": []}, "only": ["big"]}, "study.only=big: unknown; choose one of wide, neurons"),
        ({"factors": {}}, "study=tiny: factors={}: write factors as {factor: {value: {set: key=value}}}"),
        ({"factors": {"a": {}}}, "study=tiny: factors.a={}: write factors as"),
        ({"factors": {"a": {"b": 3}}}, "study=tiny: a/b=3: write factors as"),
    ],
)
def test_invalid_studies(given, message):
    with pytest.raises(UserError, match=re.escape(message)):
        read(**given)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"set": "neurons"}, "set=neurons: not an override; write key=value"),
        ({"set": "seed=1"}, "set=seed=1: not for a study's values; folds and seeds are set by study.folds"),
        ({"set": "hydra.sweep.dir=x"}, "set=hydra.sweep.dir=x: not for a study's values"),
        ({"put": "neurons=1", "set": "a=1"}, "put: no such key; the keys are set, published, rank, claim"),
        ({"published": 3}, "set is missing"),
        ({"set": "a=1", "published": "much"}, "published=much: must be a valid number"),
        ({"set": "a=1", "rank": 0}, "rank=0: must be greater than or equal to 1"),
        ({"set": "a=1", "claim": "great"}, "claim=great: must be 'better', 'worse', 'not better' or 'no different'"),
    ],
)
def test_invalid_values(value, message):
    with pytest.raises(UserError, match=re.escape(f"study=tiny: a/b: {message}")) as error:
        read(factors={"a": {"b": value}})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(("name", "best"), [("mlp", 86.14), ("cnn", 89.70), ("resnet", 90.84)])
def test_studies_of_the_reference_report(name, best):
    config = OmegaConf.load(CONF / "study" / f"{name}.yaml")
    study = read_study(name, {"only": None, **OmegaConf.to_container(config.study)}, 5)
    published = {
        f"{f}/{label}": value.published for f, values in study.factors.items() for label, value in values.items()
    }
    assert max(accuracy for accuracy in published.values() if accuracy is not None) == best
    assert study.folds == [0, 1, 2, 3, 4]
    assert study.reference[0] == f"experiment={config.defaults[0]['override /experiment']}"
    if name == "cnn":
        assert study.mode == "greedy"
        order = "layers kernel_sizes activation optimizer scheduler batch_norm dropout regularization"
        assert list(study.factors) == order.split()
        assert published["optimizer/SGD 0.001"] == 77.50
    else:
        assert study.mode == "around"
        common = {"batch_norm", "regularization", "dropout", "augmentation", "optimizer", "scheduler"}
        assert common < set(study.factors)


def test_the_study_of_augmentation():
    """Its settings and values compose, three strengths of each kind, and no run is stopped early."""
    config = OmegaConf.load(CONF / "study" / "augmentation.yaml")
    study = read_study("augmentation", OmegaConf.to_container(config.study), 5)
    settings = [configure(*merge(study.reference, overrides)) for overrides in study.settings.values()]
    assert len({(one.model.name, one.data.per_class, one.trainer.max_epochs) for one in settings}) == len(settings) == 8
    assert {(one.patience, one.augmentation.name) for one in settings} == {(None, "none")}
    for values in study.factors.values():
        composed = [configure(*merge(study.reference, value.set)).augmentation for value in values.values()]
        assert len(composed) == 3
        assert len({str(one) for one in composed}) == 3
        for one in composed:
            assert build_augmentation(47, **OmegaConf.to_container(one)) is not None


def test_the_study_of_the_record(glyphs):
    """Its values can be trained; the first of each factor is the reference, and every other one differs from it."""
    config = OmegaConf.load(CONF / "study" / "record.yaml")
    study = read_study("record", OmegaConf.to_container(config.study), 5)
    reference = OmegaConf.to_container(configure(*study.reference), resolve=True)
    assert (reference["model"]["name"], reference["patience"]) == ("compact", None)
    for values in study.factors.values():
        settings = [merge(study.reference, value.set) for value in values.values()]
        cells = [cell_id(OmegaConf.to_container(configure(*one), resolve=True)) for one in settings]
        assert cells[0] == cell_id(reference)
        assert len(set(cells)) == len(cells)
        for one in settings[1:]:
            config = OmegaConf.to_container(configure(*merge(one, glyphs)), resolve=True)
            data = DataModule(**config["data"], augmentation=config["augmentation"], seed=0)
            build_classifier(config, data).start_schedule(2)
