import pytest
from omegaconf import OmegaConf

from emnist.analysis.collection import collect
from emnist.analysis.comparison import difference
from emnist.analysis.selection import Candidate, select
from emnist.analysis.settings import differing_settings
from tests.fixtures.configuration import configure
from tests.fixtures.runs import first, images, make_run


def selection_of(folder, planned=None):
    cells = collect([folder]).others(set())
    return select([Candidate(cell, cell.id, planned or len(cell.distinct)) for cell in cells], ["mlp", "cnn"])


def test_the_best_of_each_model_has_all_its_runs_and_the_highest_validation_accuracy(tmp_path):
    for fold in (0, 1):
        make_run(tmp_path / f"good{fold}", first(100), 0.9, (f"data.fold={fold}",))
        make_run(tmp_path / f"worse{fold}", first(10), 0.8, (f"data.fold={fold}", "optimizer=sgd"))
    make_run(tmp_path / "incomplete", first(1), 0.99, ("optimizer=rmsprop",))
    (best,) = selection_of(tmp_path, planned=2).best
    assert best.cell.config["optimizer"]["name"] == "Adam"


def make_models(folder, mlp=(100, 100), cnn=(60, 60), mlp_epochs=20, cnn_epochs=20):
    """A run per fold of each model, with so many wrong images."""
    for fold, wrong in enumerate(mlp):
        overrides = (f"data.fold={fold}", f"trainer.max_epochs={mlp_epochs}")
        make_run(folder / f"mlp{fold}", first(wrong), 0.9, overrides)
    for fold, wrong in enumerate(cnn):
        overrides = ["model=cnn", "model.filters=[4]", "model.kernel_sizes=[3]", f"data.fold={fold}"]
        config = configure(*overrides, f"trainer.max_epochs={cnn_epochs}")
        make_run(folder / f"cnn{fold}", first(wrong), 0.95, config=OmegaConf.to_container(config, resolve=True))


def test_models_are_compared(tmp_path):
    make_models(tmp_path)
    selection = selection_of(tmp_path)
    assert [candidate.cell.model for candidate in selection.best] == ["mlp", "cnn"]
    ((mlp, cnn, d),) = selection.differences
    assert (mlp.cell.model, cnn.cell.model, d.runs, d.reference_runs, d.verdict) == ("mlp", "cnn", 2, 2, "better")
    # Runs of a cell do not differ, so only images vary: 40 of 1,000 by 1, t of 999 degrees of freedom.
    half = 1.9623 * ((0.04 - 0.0016) / 999) ** 0.5
    assert tuple(d.estimate) == pytest.approx((0.04, 0.04 - half, 0.04 + half), abs=1e-5)


def test_a_model_that_might_only_need_more_epochs_is_not_worse(tmp_path):
    make_models(tmp_path, mlp_epochs=5)
    ((*_, d),) = selection_of(tmp_path).differences
    assert (d.verdict, d.reason) == ("undecided", "5 epochs against 20: more might help")


def test_a_model_that_is_better_with_fewer_epochs_is_better(tmp_path):
    make_models(tmp_path, cnn_epochs=5)
    ((*_, d),) = selection_of(tmp_path).differences
    assert (d.verdict, d.reason) == ("better", "")


def test_two_networks_give_no_verdict_about_models(tmp_path):
    make_models(tmp_path, mlp=(100,), cnn=(60,))
    ((*_, d),) = selection_of(tmp_path).differences
    assert d.of_networks
    assert d.verdict == "undecided"
    assert d.p == pytest.approx(2 * 0.5**40)  # McNemar: all 40 images that differ are right for one alone


def test_only_the_same_images_are_compared(tmp_path):
    for fold in (0, 1):
        make_run(tmp_path / f"hard{fold}", first(200), 0.8, (f"data.fold={fold}",))
    make_run(tmp_path / "easy", first(10), 0.99, data=images("easier ones", "e"))
    selection = selection_of(tmp_path)
    hard, easy = selection.best[0].cell, selection.left_out[0]
    assert hard.values("val_accuracy") == [0.8, 0.8]  # on the images that most runs were tested on
    same = difference(hard, hard)
    assert same is not None
    assert (same.runs, tuple(same.estimate)) == (2, (0, 0, 0))
    assert difference(easy, hard) is None


def test_handwriting_comes_before_generated_characters(tmp_path):
    make_run(tmp_path / "real", first(200), 0.8, ("data=emnist",))
    for fold in (0, 1):
        overrides = ("data=glyphs", f"data.fold={fold}")
        make_run(tmp_path / f"{fold}", first(10), 0.99, overrides, data=images("drawn ones", "e"))
    selection = selection_of(tmp_path)
    assert [candidate.cell.is_handwriting for candidate in selection.best] == [True]
    assert len(selection.left_out) == 1


def test_settings_are_the_keys_that_differ_within_a_model(tmp_path):
    for activation in ("relu", "elu"):
        overrides = (f"model.activation={activation}", "seed=1", f"data.fold={int(activation == 'elu')}")
        make_run(tmp_path / activation, first(50), 0.9, overrides)
    settings = differing_settings(collect([tmp_path]).others(set()))
    assert sorted(settings) == ["model.activation=elu", "model.activation=relu"]
