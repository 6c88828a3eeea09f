import optuna
import pytest
from omegaconf import OmegaConf

from emnist.command import CONF
from emnist.errors import UserError
from emnist.search.samplers import PRUNERS, SAMPLERS, build_pruner, build_sampler
from emnist.search.space import read_space, suggest

PINNED = OmegaConf.to_container(OmegaConf.load(CONF / "hydra" / "sweeper" / "search.yaml").search)
SPACE = read_space(
    {
        "optimizer": "choice(adam, sgd)",
        "lr": "tag(log, interval(1e-4, 1))",
        "momentum": {"values": "interval(0, 0.9)", "when": "optimizer=sgd"},
    }
)


def ask(name: str, seed: int, trials: int, options: dict) -> list[dict]:
    """The parameters of so many trials, where the value is the learning rate."""
    study, found = optuna.create_study(direction="maximize"), []
    for number in range(trials):
        study.sampler = build_sampler(name, options, seed, number)
        trial = study.ask()
        found.append(suggest(trial, SPACE, {}))
        study.tell(trial, found[-1]["lr"])
    return found


@pytest.mark.parametrize("name", sorted(SAMPLERS))
def test_trials_depend_on_the_seed_alone(name):
    options = PINNED["samplers"][name]
    assert ask(name, 0, 14, options) == ask(name, 0, 14, options)
    assert ask(name, 0, 3, options) != ask(name, 1, 3, options)


@pytest.mark.parametrize("name", ["tpe", "gp"])
def test_a_sampler_that_learns_finds_better_ones(name):
    trials, random = ask(name, 0, 30, PINNED["samplers"][name]), ask("random", 0, 30, {})
    assert sum(trial["lr"] for trial in trials) > 2 * sum(trial["lr"] for trial in random)


@pytest.mark.parametrize("name", sorted(SAMPLERS))
def test_all_options_of_the_configuration_exist(name):
    assert isinstance(build_sampler(name, PINNED["samplers"][name], 0, 0), SAMPLERS[name])


@pytest.mark.parametrize("name", sorted(PRUNERS))
def test_all_pruners_of_the_configuration_exist(name):
    assert isinstance(build_pruner(name, PINNED["pruners"][name], epochs=10), PRUNERS[name])


@pytest.mark.parametrize(
    ("build", "error"),
    [
        (
            lambda: build_sampler("tpe", {"startup": 3}, 0, 0),
            "search.samplers.tpe.startup: no such option of TPE",
        ),
        (
            lambda: build_pruner("median", {"n_startup_trials": -1}, 5),
            "search.pruners.median=.*Number of startup trials",
        ),
    ],
)
def test_wrong_options(build, error):
    with pytest.raises(UserError, match=error):
        build()
