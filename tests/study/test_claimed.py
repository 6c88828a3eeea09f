from pathlib import Path

import pytest
from omegaconf import OmegaConf

from emnist.analysis.claims import Published, check_steps
from emnist.command import CONF
from emnist.errors import UserError
from emnist.study.claimed import known_values, overrides_of, study_path, write_study
from emnist.study.spec import read_study
from tests.fixtures.commands import error_line, run_command

KNOWN = known_values(CONF)


@pytest.mark.parametrize(
    ("factor", "label", "model", "overrides"),
    [
        ("activation", "relu", "cnn", ["model.activation=relu"]),
        ("Batch norm", "Off", "resnet", ["model.batch_norm=false"]),
        ("kernel_sizes", "[5,5,3]", "cnn", ["model.filters=[32,64,128]", "model.kernel_sizes=[5,5,3]"]),
        ("optimizer", "Adam", "cnn", ["optimizer=adam", "optimizer.lr=0.001"]),
        ("optimizer", "Adam", "mlp", None),  # 0.1 or 0.001
        ("optimizer", "SGD", "cnn", None),
        ("augmentation", "on", "cnn", ["augmentation=affine"]),  # of the studies of the other models
        ("scheduler", "ReduceLROnPlateau", "cnn", ["scheduler=plateau"]),
        ("neurons", "64", "cnn", None),  # a CNN has none
        ("dropout", "on", "cnn", None),  # the MLP's is a list
        ("learning rate", "StepLR", "cnn", ["scheduler=step"]),
        ("warm-up", "on", "cnn", None),  # of several factors
        ("kernel", "3", "mlp", None),  # not hidden layers
        ("activation", "GELU", "cnn", None),
        ("activation", "L1", "cnn", None),
    ],
)
def test_known_values(factor, label, model, overrides):
    assert overrides_of(factor, label, model, KNOWN) == overrides


def write(path: Path, rows: list[Published], model: str) -> list[str]:
    return write_study(path, check_steps(rows, 18_800), model, CONF)


def read(path: Path):
    study = OmegaConf.to_container(OmegaConf.load(path))["study"]
    return read_study(path.stem, study, 5)


def test_a_study_of_known_values(tmp_path):
    rows = [
        Published("activation", "ReLU", 90.6),
        Published("norm: 1e-3", "StepLR", None),
        Published("activation", "LeakyReLU", 90.84),
        Published("Batch Norm", "off", 13.15),
        Published("Batch Norm", "on", 90.84, marked=True),
    ]
    path = tmp_path / "study" / "mine.yaml"
    assert write(path, rows, "resnet") == []
    study = read(path)
    reference = ["experiment=resnet_best", "threads=1", "model.activation=leaky", "model.batch_norm=true"]
    assert (study.mode, study.folds, study.seeds, study.only) == ("around", [0, 1, 2, 3, 4], [0], None)
    assert study.reference == reference
    assert {factor: list(values) for factor, values in study.factors.items()} == {
        "activation": ["ReLU", "LeakyReLU"],
        "norm: 1e-3": ["StepLR"],
        "Batch Norm": ["off", "on"],
    }
    off = study.factors["Batch Norm"]["off"]
    assert (off.set, off.published) == (["model.batch_norm=false"], 13.15)
    assert study.factors["norm: 1e-3"]["StepLR"].published is None
    assert OmegaConf.load(path).defaults[0] == {"override /experiment": "resnet_best"}


def test_labels_stay_words(tmp_path):
    path = tmp_path / "study" / "mine.yaml"
    rows = [Published("on", label, None) for label in ("1e-3", "0.50", "off", "null", '"a": {b} # c')]
    missing = write(path, rows, "cnn")
    assert missing == ["on/1e-3", "on/0.50", "on/off", "on/null", 'on/"a": {b} # c']
    factors = OmegaConf.to_container(OmegaConf.load(path))["study"]["factors"]
    assert list(factors["on"]) == ["1e-3", "0.50", "off", "null", '"a": {b} # c']


def test_a_value_without_overrides_is_named_when_the_study_runs(tmp_path):
    path = tmp_path / "study" / "mine.yaml"
    rows = [Published("activation", "ReLU", 90.6), Published("activation", "GELU", 90.7)]
    assert write(path, rows, "cnn") == ["activation/GELU"]
    code, _, err = run_command(tmp_path, "--config-dir", str(tmp_path), "-m", "study=mine", "data=glyphs")
    assert code == 1
    assert error_line(err) == "error: study=mine: activation/GELU: set=???: not an override; write key=value"


def test_hydra_finds_the_study_in_a_folder_of_that_name(tmp_path):
    assert study_path(Path("mine.yaml"), CONF) == Path("study/mine.yaml")
    assert study_path(Path("a/study/mine.yaml"), CONF) == Path("a/study/mine.yaml")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mine.csv", "--out=mine.csv: give a name of letters, digits, - and _ that ends in .yaml"),
        ("a b.yaml", "--out=a b.yaml: give a name of letters, digits, - and _ that ends in .yaml"),
        ("cnn.yaml", "--out=cnn.yaml: the project has a study cnn; choose another name"),
        ("old.yaml", "--out=old.yaml: study/old.yaml exists; delete it or choose another name"),
    ],
)
def test_bad_paths(tmp_path, monkeypatch, name, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "old.yaml").write_text("")
    with pytest.raises(UserError) as error:
        study_path(Path(name), CONF)
    assert str(error.value) == message
