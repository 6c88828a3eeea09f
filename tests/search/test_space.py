import optuna
import pytest

from emnist.errors import UserError
from emnist.runs.search import Parameter
from emnist.search.space import fit_to_command, grid, overrides_of, read_space, suggest

CONDITIONAL = {
    "optimizer": "choice(adam, sgd)",
    "optimizer.momentum": {"values": "interval(0, 0.9)", "when": "optimizer=sgd"},
    "model.filters": "choice([8], [8,16])",
    "model.kernel_sizes": [
        {"values": "choice([3], [5])", "when": "model.filters=[8]"},
        {"values": "choice([3,3], [5,3])", "when": "model.filters=[8,16]"},
    ],
}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("interval(0, 1)", {"kind": "float", "low": 0, "high": 1}),
        ("interval(1, 5)", {"kind": "float", "low": 1, "high": 5}),
        ("tag(log, interval(1e-4, 1))", {"kind": "float", "low": 1e-4, "high": 1, "log": True}),
        ("int(interval(1, 5))", {"kind": "int", "low": 1, "high": 5, "step": 1}),
        ("tag(log, int(interval(8, 64)))", {"kind": "int", "low": 8, "high": 64, "step": 1, "log": True}),
        ("range(1, 6)", {"kind": "int", "low": 1, "high": 5, "step": 1}),
        ("range(32, 129, 32)", {"kind": "int", "low": 32, "high": 128, "step": 32}),
        ("range(0, 1, 0.25)", {"kind": "float", "low": 0, "high": 0.75, "step": 0.25}),
        ("choice(adam, sgd)", {"kind": "categorical", "choices": ["adam", "sgd"]}),
        ("adam,sgd", {"kind": "categorical", "choices": ["adam", "sgd"]}),
        ("choice(true, false)", {"kind": "categorical", "choices": ["true", "false"]}),
        ("choice(0, [0.25, 0])", {"kind": "categorical", "choices": ["0", "[0.25,0]"]}),
    ],
)
def test_hydras_sweeps_as_parameters(given, expected):
    assert read_space({"key": given}) == {"key": Parameter(key="key", **expected)}


@pytest.mark.parametrize(
    ("space", "error"),
    [
        (None, "search.space=None: write it as"),
        ({}, "search.space={}: write it as"),
        ({"a": 3}, r"search.space.a=3: give interval\(low, high\)"),
        ({"a": "interval(2, 1)"}, "search.space.a: the first number must be less"),
        ({"a": "tag(log, interval(0, 1))"}, "search.space.a: a log scale starts above 0"),
        ({"a": "tag(log, range(1, 5))"}, "search.space.a: a range has no log scale"),
        ({"a": "tag(exp, interval(0, 1))"}, "search.space.a: unknown tag exp"),
        ({"a": "range(5, 1)"}, "search.space.a: an empty range"),
        ({"a": "choice(x, x)"}, "search.space.a: give each choice once"),
        ({"a": "interval(1"}, r"search.space.a=interval\(1: not in Hydra's syntax"),
        ({"a": {"values": "choice(x, y)", "if": "b=1"}}, "search.space.a=.*: write {values: "),
        ({"a": {"values": "choice(x, y)", "when": "b=interval(0, 1)"}}, "search.space.a: when=b=.*: give key=value"),
        ({"a": ["choice(x, y)", "choice(z, w)"]}, "search.space.a: two entries hold at once"),
    ],
)
def test_a_wrong_space_is_one_line_that_names_the_key(space, error):
    with pytest.raises(UserError, match=error):
        read_space(space)


def test_only_parameters_whose_condition_holds_are_suggested():
    space = read_space(CONDITIONAL)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    seen = set()
    for _ in range(30):
        trial = study.ask()
        parameters = suggest(trial, space, {})
        overrides = overrides_of(parameters, space)
        assert ("optimizer.momentum" in parameters) == (parameters["optimizer"] == "sgd")
        (kernels,) = [text for text in overrides if text.startswith("model.kernel_sizes=")]
        assert kernels.count(",") == str(parameters["model.filters"]).count(",")
        assert trial.params.keys() == parameters.keys()
        seen.add(kernels)
    assert seen == {f"model.kernel_sizes={sizes}" for sizes in ("[3]", "[5]", "[3,3]", "[5,3]")}


def test_numbers_have_four_digits_and_stay_inside():
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    wide, narrow = read_space({"lr": "interval(0, 1)"}), read_space({"lr": "interval(0.123449, 0.123451)"})
    for _ in range(10):
        lr = float(str(suggest(study.ask(), wide, {})["lr"]))
        assert float(f"{lr:.4g}") == lr
        assert 0.123449 <= suggest(study.ask(), narrow, {})["lr"] <= 0.123451


def test_a_grid_has_every_configuration_once():
    space = read_space({**CONDITIONAL, "optimizer.momentum": {"values": "range(0, 0.9, 0.5)", "when": "optimizer=sgd"}})
    points = grid(space, {}, seed=0)
    assert len(points) == len({str(sorted(point.items())) for point in points}) == (1 + 2) * (2 + 2)
    assert grid(space, {}, seed=1) != points
    assert sorted(map(str, grid(space, {}, seed=1))) == sorted(map(str, points))


def test_an_interval_has_no_grid():
    with pytest.raises(UserError, match=r"search.space.lr: an interval has no grid; use choice\(…\) or range\(…\)"):
        grid(read_space({"lr": "interval(0, 1)"}), {}, seed=0)


VALUES = {"optimizer": "sgd", "optimizer.momentum": "0", "model.filters": "[8]", "model.kernel_sizes": "[3]"}


def test_keys_on_the_command_line_are_not_searched():
    space, fixed = fit_to_command(read_space(CONDITIONAL), {"optimizer"}, [], None, VALUES.get)
    assert "optimizer" not in space
    assert "optimizer.momentum" in space  # as it is sgd
    assert fixed == {"optimizer": "sgd"}
    adam = {**VALUES, "optimizer": "adam"}
    space, _ = fit_to_command(read_space(CONDITIONAL), {"optimizer"}, [], None, adam.get)
    assert "optimizer.momentum" not in space


def test_sweeps_on_the_command_line_replace_the_files():
    swept = Parameter(key="model.filters", kind="categorical", choices=["[8]"])
    space, _ = fit_to_command(read_space(CONDITIONAL), set(), [swept], None, VALUES.get)
    assert next(iter(space)) == "model.filters"
    assert space["model.filters"] is swept


def test_only_some_parameters():
    space, fixed = fit_to_command(read_space(CONDITIONAL), set(), [], ["optimizer.momentum"], VALUES.get)
    assert list(space) == ["optimizer.momentum"]
    assert fixed == {"optimizer": "sgd"}


@pytest.mark.parametrize(
    ("space", "given", "only", "error"),
    [
        ({"optimizer": "choice(a, b)"}, {"optimizer"}, None, "search.space: nothing is left to search"),
        ({"optimizer": "choice(a, b)"}, set(), [], "search.space: nothing is left to search"),
        ({"optimizer": "choice(a, b)"}, set(), ["x"], "search.only=x: not in the space; choose from optimizer"),
        ({"depth": "choice(a, b)"}, set(), None, "search.space.depth: no such key"),
        (
            {"a": {"values": "choice(x, y)", "when": "b=1"}},
            set(),
            None,
            "search.space.a: its condition is about b",
        ),
        (
            {"a": {"values": "choice(x, y)", "when": "optimizer=sgd"}, "optimizer": "choice(sgd, adam)"},
            set(),
            None,
            "search.space.a: its condition is about optimizer: searched only after it",
        ),
    ],
)
def test_what_can_not_be_searched(space, given, only, error):
    with pytest.raises(UserError, match=error):
        fit_to_command(read_space(space), given, [], only, VALUES.get)
