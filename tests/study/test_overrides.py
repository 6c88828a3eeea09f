import re
from pathlib import Path

import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser

from emnist.command import CONF
from emnist.errors import UserError
from emnist.study.overrides import key_of, merge, quoted, shared_overrides
from tests.fixtures.configuration import configure


@pytest.mark.parametrize("override", ["model.neurons=8", "+model.neurons=8", "++model.neurons=a=b", "~model.neurons"])
def test_key_of(override):
    assert key_of(override) == "model.neurons"


def test_the_later_override_of_a_key_wins():
    assert merge(["model=mlp", "seed=1"], ["+seed=2", "threads=1"]) == ("model=mlp", "+seed=2", "threads=1")


@pytest.mark.parametrize("path", ["out", "with blanks", "a=b", "it's", "back\\slash", "back\\\\'both\\"])
def test_any_path_can_be_quoted(path):
    override = OverridesParser.create().parse_override(f"hydra.sweep.dir={quoted(Path(path))}")
    assert override.value() == path


def shared(*arguments: str) -> list[str]:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return shared_overrides(arguments, GlobalHydra.instance().config_loader())


def test_overrides_of_the_command_line_apply_to_every_cell():
    assert shared("study=mlp", "study.folds=[0]", "optimizer.lr=0.1", "data=glyphs") == [
        "optimizer.lr=0.1",
        "data=glyphs",
    ]


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("seed=1", "seed=1: use study.folds=[…] or study.seeds=[…]"),
        ("data.fold=1", "data.fold=1: use study.folds"),
        ("model.neurons=8,16", "model.neurons=8,16: give one value"),
    ],
)
def test_what_a_study_decides_is_rejected(argument, message):
    with pytest.raises(UserError, match=re.escape(message)):
        shared("study=mlp", argument)


@pytest.mark.parametrize(
    ("name", "override"),
    [("mlp", "model.hidden_layers=2"), ("mlp", "optimizer.lr=0.05"), ("resnet", "model.blocks=[1,1,1]")],
)
def test_the_command_line_is_read_against_the_reference(name, override):
    """A key that the default model lacks is accepted, and a value keeps what its label says."""
    config = configure(f"study={name}", override)
    for values in config.study.factors.values():
        for label, value in values.items():
            own = [value.set] if isinstance(value.set, str) else value.set
            if rate := re.fullmatch(r"(\w+) (0\.\d+)", label):
                composed = configure(*merge(merge(config.study.reference, [override]), own))
                assert (composed.optimizer.name.lower(), composed.optimizer.lr) == (rate[1].lower(), float(rate[2]))
