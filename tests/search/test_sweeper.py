"""Searches through the command line, on a few drawn characters."""

import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import optuna
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from emnist.command import CONF
from emnist.runs.folder import RunFolder
from emnist.runs.plan import Plan
from emnist.search.space import read_space
from emnist.search.sweeper import parameters_of, value_in
from tests.fixtures.commands import environment, error_line, run_command
from tests.fixtures.configuration import configure
from tests.fixtures.searching import outcomes, search_of, write_search
from tests.fixtures.studies import write_study


@pytest.fixture(scope="module")
def searched(tmp_path_factory, glyphs) -> tuple[Path, str, str]:
    """A folder with a finished search of six trials and its final, and what it printed. Read it, don't change it."""
    folder = tmp_path_factory.mktemp("searched")
    final = {"folds": [2, 3], "seeds": [1]}
    arguments = write_search(folder, folds=[0, 1], trials=6, final=final)
    code, out, err = run_command(folder, *arguments, *glyphs)
    assert code == 0, err
    return folder, out, err


@pytest.fixture
def search(searched, tmp_path, glyphs):
    """Writes a search in tmp_path, where the trials of `searched` are, and returns the arguments that run it."""
    shutil.copytree(searched[0] / "study", tmp_path / "study")
    final = {"folds": [2, 3], "seeds": [1]}
    return lambda **rest: [*write_search(tmp_path, **{"folds": [0, 1], "trials": 6, "final": final, **rest}), *glyphs]


@pytest.fixture
def untried(tmp_path, glyphs):
    """Writes a search in tmp_path and returns the arguments that run it."""
    return lambda *given, **rest: [*write_search(tmp_path, *given, **rest), *glyphs]


def test_a_trial_is_a_cell_whose_repeats_are_runs(searched):
    folder, out, err = searched
    found = search_of(folder)
    assert [trial.number for trial in found.trials] == list(range(6))
    for trial in found.trials:
        runs = [
            RunFolder(folder / "study" / trial.cell / name).read_result() for name in ("fold0_seed0", "fold1_seed1")
        ]
        values = [result.val_accuracy for result in runs if result is not None]
        assert trial.values == pytest.approx(values)
        assert runs[0].config["model"]["neurons"] == trial.parameters["model.neurons"]
        assert trial.state == ("complete" if len(values) == 2 else "pruned")
    complete = [trial for trial in found.trials if trial.state == "complete"]
    assert complete
    assert found.best.value == max(trial.value for trial in complete)
    for trial in found.trials:
        assert sum(f"tiny_tpe_0: trial {trial.number} of 6, " in line for line in err.splitlines()) == 1
    assert f"{found.best.value:.2%}" in out
    assert "Traceback" not in err


def test_the_hand_tuned_configuration_is_measured_like_a_trial(searched):
    reference = search_of(searched[0]).reference
    assert len(reference.values) == 2
    assert reference.parameters["model.neurons"] == 16
    assert reference.parameters["optimizer"] == "adam"
    assert "optimizer.momentum" not in reference.parameters


def test_the_final_trains_the_winner_and_the_reference_afresh(searched):
    folder, out, _ = searched
    found = search_of(folder)
    plan = Plan.read(folder / "study" / f"{found.final}.json")
    assert plan.runs == ["fold2_seed7", "fold3_seed8"]
    hand_tuned, winner = plan.factors[0].values
    assert (hand_tuned.label, winner.label) == ("hand-tuned", "searched")
    assert winner.overrides == found.best.overrides
    assert found.winner == found.best.number
    for cell in (hand_tuned.cell, winner.cell):
        for name in plan.runs:
            assert RunFolder(folder / "study" / cell / name).result.exists()
    assert "study tiny_tpe_0_final" in out


def test_optunas_storage_has_the_same_trials(searched):
    folder, *_ = searched
    found = search_of(folder)
    storage = f"sqlite:///{folder / 'study' / 'search' / 'tiny_tpe_0' / 'optuna.db'}"
    study = optuna.load_study(study_name="tiny_tpe_0", storage=storage)
    assert [trial.user_attrs["cell"] for trial in study.trials] == [trial.cell for trial in found.trials]
    assert study.best_trial.number == found.best.number
    assert all(trial.state.is_finished() for trial in study.trials)


def test_tensorboard_has_the_same_trials(searched):
    folder, *_ = searched
    for trial in search_of(folder).trials:
        events = EventAccumulator(str(folder / "study" / "search" / "tiny_tpe_0" / "trials" / f"{trial.number:03}"))
        events.Reload()
        assert events.Scalars("val_accuracy")[0].value == pytest.approx(trial.value)
        assert "_hparams_/session_start_info" in events.summary_metadata


def test_a_finished_search_trains_nothing(command, search, tmp_path):
    arguments = search()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "study").rglob("*.ckpt")}
    code, out, err = command(*arguments)
    assert code == 0
    assert "trial" not in err
    assert "tiny_tpe_0" in out
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "study").rglob("*.ckpt")}


def test_a_finished_search_asked_for_more_trials(command, search, tmp_path):
    arguments = search(trials=8, final=None)
    before = outcomes(search_of(tmp_path))
    code, _, err = command(*arguments)
    assert code == 0, err
    after = outcomes(search_of(tmp_path))
    assert after[:6] == before
    assert len(after) == 8
    assert "trial 5 of" not in err
    assert "trial 6 of 8" in err


def test_a_final_of_another_trial_than_the_best_is_out_of_date(command, search, tmp_path):
    """More trials found a better one, whose final has not been asked for."""
    storage = f"sqlite:///{tmp_path / 'study' / 'search' / 'tiny_tpe_0' / 'optuna.db'}"
    study = optuna.load_study(study_name="tiny_tpe_0", storage=storage)
    about, best = study.user_attrs["about"], study.best_trial.number
    for winner, final in ((best, about["final"]), ((best + 1) % 6, None)):
        study.set_user_attr("about", {**about, "winner": winner})
        assert command(*search(final=None))[0] == 0
        assert search_of(tmp_path).final == final
        assert (tmp_path / "study" / "tiny_tpe_0_final.json").exists() == (final is not None)


def test_other_settings_need_another_name(command, search):
    code, _, err = (
        command(*search(seed=0), "search.space.model\\.neurons=range(4,9)")
        if False
        else command(*search(pruner="none"))
    )
    assert code == 1
    assert error_line(err).startswith("error: search.name=tiny_tpe_0: ")
    assert "was started with other settings (search.pruner: was median, now none)" in err
    code, _, err = command(*search(folds=[0, 2]))
    assert "(search.folds: was [0, 1], now [0, 2])" in error_line(err)
    code, _, err = command(*search(), "trainer.max_epochs=3")
    assert "(was trainer.max_epochs=2, now trainer.max_epochs=3)" in error_line(err)
    code, _, err = command(*search(), "model.activation=relu")
    assert "(search.space.model.activation: was {" in error_line(err)


def test_the_same_seed_gives_the_same_trials_whatever_is_trained(command, searched, search, untried, tmp_path):
    """Once with all runs of the first search in place, once with none."""
    assert command(*search(final=None), "search.name=again")[0] == 0
    shutil.rmtree(tmp_path / "study" / "mlp")
    assert command(*search(final=None), "search.name=afresh")[0] == 0
    expected = outcomes(search_of(searched[0]))
    assert outcomes(search_of(tmp_path, "again")) == expected
    assert outcomes(search_of(tmp_path, "afresh")) == expected


def test_runs_are_shared_with_studies(command, untried, tmp_path, glyphs):
    space = {"model.neurons": "choice(8, 16)"}
    assert command(*untried(space, sampler="grid", trials=None))[0] == 0
    cells = {trial.cell for trial in search_of(tmp_path, "tiny_grid_0").trials}
    study = write_study(tmp_path, {"neurons": {"8": {"set": "model.neurons=8"}}}, folds=[0])
    code, _, err = command(*study, *glyphs, "trainer.max_epochs=2", "patience=null")
    assert code == 0, err
    assert err.splitlines() == ["tiny: 2 of 2 runs done, 0 running, 0 failed"]
    assert {path.name for path in (tmp_path / "study" / "mlp").iterdir()} == {cell.split("/")[1] for cell in cells}


def test_a_grid_ends_by_itself(command, untried, tmp_path):
    code, _, err = command(
        *untried({"model.neurons": "range(4, 13, 4)", "optimizer": "choice(adam, sgd)"}, trials=None, sampler="grid")
    )
    assert code == 0, err
    found = {tuple(trial.parameters.values()) for trial in search_of(tmp_path, "tiny_grid_0").trials}
    assert found == {(neurons, optimizer) for neurons in (4, 8, 12) for optimizer in ("adam", "sgd")}


@pytest.mark.parametrize("sampler", ["gp", "cmaes"])
def test_other_samplers(command, untried, tmp_path, sampler):
    code, _, err = command(*untried(trials=2, sampler=sampler, epochs=1))
    assert code == 0, err
    assert [trial.state for trial in search_of(tmp_path, f"tiny_{sampler}_0").trials] == ["complete"] * 2
    assert "arn" not in err  # no warnings of Optuna


def test_only_some_parameters(command, untried, tmp_path):
    code, _, err = command(*untried(trials=2, epochs=1), "search.only=[optimizer.lr]")
    assert code == 0, err
    assert list(search_of(tmp_path).space) == ["optimizer.lr"]


def test_a_winner_that_is_the_hand_tuned_configuration_needs_no_final(command, untried, tmp_path):
    arguments = untried(
        {"model.neurons": "choice(16)"}, trials=None, sampler="grid", final={"folds": [2], "seeds": [1]}
    )
    code, out, err = command(*arguments)
    assert code == 0, err
    assert "the best trial is the hand-tuned configuration itself" in out
    assert search_of(tmp_path, "tiny_grid_0").final is None


def test_parameters_on_the_command_line(command, untried, tmp_path):
    arguments = [*untried(trials=3), "optimizer=adam", "model.neurons=range(4,9)", "model.dropout=interval(0.1,0.2)"]
    code, _, err = command(*arguments)
    assert code == 0, err
    found = search_of(tmp_path)
    assert found.space.keys() == {"model.neurons", "model.dropout", "model.activation", "optimizer.lr"}
    for trial in found.trials:
        assert 4 <= trial.parameters["model.neurons"] <= 8
        assert 0.1 <= trial.parameters["model.dropout"] <= 0.2


def test_a_failing_trial_is_told_and_the_search_goes_on(command, untried, tmp_path):
    space = {"model.dropout": "choice(0, 2)"}
    code, out, err = command(*untried(space, trials=None, sampler="grid"))
    assert code == 0, err
    states = {trial.parameters["model.dropout"]: trial for trial in search_of(tmp_path, "tiny_grid_0").trials}
    assert states["0"].state == "complete"
    assert states["2"].state == "failed"
    assert states["2"].reason == "model.dropout=2: must be less than 1"
    assert "failed: model.dropout=2: must be less than 1" in err
    assert "1 failed" in out


def test_a_search_without_a_complete_trial_is_an_error(command, untried):
    code, _, err = command(*untried({"model.dropout": "choice(2, 3)"}, trials=None, sampler="grid"))
    assert code == 1
    assert err.splitlines()[-1].startswith("error: search=tiny: no trial was completed (model.dropout=")
    assert "Traceback" not in err


def test_a_diverging_trial_counts_as_bad(command, untried, tmp_path):
    space = {"optimizer.lr": "choice(0.001, 1e30)"}
    code, _, err = command(*untried(space, trials=None, sampler="grid"), "optimizer=sgd")
    assert code == 0, err
    trials = {trial.parameters["optimizer.lr"]: trial for trial in search_of(tmp_path, "tiny_grid_0").trials}
    assert (trials["1e+30"].state, trials["1e+30"].reason) == ("pruned", "diverged")
    assert trials["0.001"].state == "complete"


def test_the_loss_is_minimised(command, untried, tmp_path):
    code, _, err = command(*untried(trials=3, metric="val_loss", direction="minimize"))
    assert code == 0, err
    found = search_of(tmp_path)
    assert found.best.value == min(trial.value for trial in found.trials if trial.state == "complete")


def test_a_budget_of_training_time_ends_it(command, untried, tmp_path):
    code, _, err = command(*untried(trials=50, budget="1s"))
    assert code == 0, err
    found = search_of(tmp_path)
    assert 0 < len(found.trials) < 50
    assert sum(trial.seconds for trial in found.trials) >= 1
    assert sum(trial.seconds for trial in found.trials[:-1]) < 1


@pytest.mark.parametrize("pruner", ["median", "hyperband"])
def test_pruning_by_learning_curve(command, untried, tmp_path, pruner):
    pruners = {
        "median": {"n_startup_trials": 2, "n_warmup_steps": 1},
        "hyperband": {"min_resource": 1, "reduction_factor": 2},
    }
    arguments = untried({"optimizer.lr": "tag(log, interval(1e-6, 0.1))"}, trials=12, pruner=pruner, pruners=pruners)
    code, _, err = command(*arguments, "trainer.max_epochs=4", "search.sampler=random")
    assert code == 0, err
    found = search_of(tmp_path, "tiny_random_0")
    pruned = [trial for trial in found.trials if trial.state == "pruned"]
    assert pruned
    for trial in pruned:
        epochs = int(trial.reason.removeprefix(f"{pruner} after epoch "))
        assert len(trial.curve) == epochs < 4
        folder = RunFolder(tmp_path / "study" / trial.cell / "fold0_seed0")
        assert len(folder.read_metrics()) == epochs
        assert not folder.has_ended  # resumed by whoever needs it
        assert max(trial.curve) < found.best.value


def test_pruning_by_images(command, untried, tmp_path):
    space = {"optimizer.lr": "choice(0.01, 1e-6)"}
    code, _, err = command(*untried(space, trials=None, sampler="grid", folds=[0, 1, 2], pruner="none"))
    assert code == 0, err
    trials = {trial.parameters["optimizer.lr"]: trial for trial in search_of(tmp_path, "tiny_grid_0").trials}
    assert trials["0.01"].state == "complete"
    lost = trials["1e-06"]
    assert (trials["0.01"].number, lost.state, len(lost.values)) == (0, "pruned", 1)
    assert lost.reason.endswith("points behind trial 0 after 1 of 3 runs")
    behind = trials["0.01"].values[0] - lost.values[0]
    assert lost.reason.startswith(f"{100 * behind:.1f} ± ")
    assert lost.value == pytest.approx(trials["0.01"].value - behind)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["search.metric=test_accuracy"], "search.metric=test_accuracy: the test set must not choose anything"),
        (["search.metric=accuracy"], "search.metric=accuracy: unknown; choose one of val_accuracy"),
        (
            ["search.direction=minimize"],
            "search.direction=minimize: val_accuracy is better the other way",
        ),
        (["search.sampler=genetic"], "search.sampler=genetic: must be"),
        (["search.trials=null"], "search=tiny: give search.trials=60 or search.budget=2h"),
        (["search.budget=soon"], "search.budget=soon: must be a time such as 4h"),
        (["search.folds=[7]"], "search.folds=7: must be from 0 to 4"),
        (["search.final={folds: [0], seeds: [0]}"], "search.final: fold 0 with seed 0 is one of the trials'"),
        (["search.sampler=grid"], "search.space.model.neurons: an interval has no grid"),
        (["seed=3"], r"seed=3: use search.folds=\[…\] or search.seeds=\[…\] with a search"),
        (["model.depth=range(1,4)"], "search.space.model.depth: no such key"),
        (["model.neurons=interval(5,3)"], r"model.neurons=interval\(5,3\): the first number must be less"),
        (["model.activation=glob(*)"], "model.activation=glob(*): not a set of values"),
        (["model.neurons=range(1,5,0)"], "model.neurons=range(1,5,0): an empty range"),
        (["model.activation=shuffle(relu,elu)"], "choices have no order"),
        (["search.reference=['seed=3']"], "search.reference[0]=seed=3: not for all trials"),
        (["search.name=a/b"], "search.name=a/b: must be the name of a folder"),
        (["model.dropout=2"], "search=tiny: invalid reference: model.dropout=2: must be less than 1"),
        (["search.pruners.median.n_startup_trials=-1"], "search.pruners.median="),
        (
            ["search.metric=val_loss", "search.direction=minimize", "search.folds=[0,1]"],
            "search.images: tests accuracies",
        ),
    ],
)
def test_wrong_searches_are_one_line(command, untried, arguments, error):
    code, _, err = command(*untried(), *arguments)
    assert code == 1
    line = error_line(err)
    assert error.replace("\\", "") in line


def test_a_hand_tuned_configuration_that_fails_ends_it(command, untried, tmp_path):
    code, _, err = command(*untried(), "trainer.devices=2", "trainer.strategy=ddp")
    assert code == 1
    line = err.splitlines()[-1]
    assert line.startswith("error: search=tiny: the hand-tuned configuration failed: trainer.devices=2")
    assert search_of(tmp_path).trials == []  # they are not used up


def test_without_optuna(tmp_path):
    code = "import sys; sys.modules['optuna'] = None; from emnist.train import main; main()"
    run = subprocess.run(
        [sys.executable, "-c", code, "-m", "search=mlp"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment(),
    )
    assert run.returncode == 1
    assert error_line(run.stderr) == "error: a search needs Optuna; pip install 'emnist[search]'"


def test_without_m(command, untried):
    code, _, err = command(*(argument for argument in untried() if argument != "-m"))
    assert code == 1
    assert error_line(err) == "error: search=tiny: a search is many runs; add -m"


@pytest.mark.parametrize("name", ["mlp", "cnn", "resnet"])
def test_the_spaces_that_ship_reach_every_value_of_the_reference_reports_study(name):

    space = read_space(OmegaConf.to_container(OmegaConf.load(CONF / "search" / f"{name}.yaml"))["search"]["space"])
    study = OmegaConf.load(CONF / "study" / f"{name}.yaml").study
    searched = {parameter.key for parameter in space.values()}
    for values in study.factors.values():
        for value in values.values():
            for override in [value.set] if isinstance(value.set, str) else value.set:
                key, _, text = override.partition("=")
                assert key in searched
                assert any(reaches(parameter, text) for parameter in space.values() if parameter.key == key), override


@pytest.mark.parametrize("experiment", ["mlp_baseline", "mlp_best", "cnn_baseline", "cnn_best", "resnet_best"])
def test_the_spaces_that_ship_reach_the_reference_reports_configurations(experiment):
    """With conditions: each key that is searched has a parameter whose condition holds and that reaches its value."""
    model = experiment.partition("_")[0]
    space = read_space(OmegaConf.to_container(OmegaConf.load(CONF / "search" / f"{model}.yaml"))["search"]["space"])
    config = OmegaConf.to_container(configure(f"experiment={experiment}"), resolve=True)
    with initialize_config_dir(str(CONF), version_base="1.3"):
        composed = compose("train", [f"experiment={experiment}"], return_hydra_config=True)
    found = parameters_of(space, {}, partial(value_in, config, composed.hydra.runtime.choices))
    assert {space[name].key for name in found} >= {"optimizer", "optimizer.lr", "scheduler", "regularization"}
    reached = {space[name].key for name, value in found.items() if reaches(space[name], str(value))}
    assert reached == {space[name].key for name in found}
    assert not [key for key in {one.key for one in space.values() if one.when is None} if key not in reached]


def reaches(parameter, text: str) -> bool:
    if parameter.kind == "categorical":
        return text in parameter.choices
    return parameter.low <= float(text) <= parameter.high


def test_a_study_and_a_search_at_once(command, untried, tmp_path):
    write_study(tmp_path, {"neurons": {"8": {"set": "model.neurons=8"}}})
    code, _, err = command(*untried(), "study=tiny")
    assert code == 1
    assert error_line(err) == "error: give a study or a search, not both"
