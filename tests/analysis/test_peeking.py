import pytest

from emnist.analysis.collection import collect
from emnist.analysis.peeking import gain_of, peeking
from emnist.runs.folder import RunFolder
from tests.fixtures.runs import first, images, make_run


def rows(val: list[float], test: list[float]) -> list[dict[str, float]]:
    return [
        {"epoch": i, "val_accuracy": v, "test_accuracy": t} for i, (v, t) in enumerate(zip(val, test, strict=True), 1)
    ]


def test_the_gain_is_the_best_test_accuracy_less_that_of_the_best_epoch_by_validation():
    assert gain_of(rows([0.5, 0.8, 0.7], [0.5, 0.79, 0.81])) == pytest.approx(2)
    assert gain_of(rows([0.5, 0.8, 0.7], [0.5, 0.81, 0.79])) == 0


def test_the_first_of_equally_good_epochs_counts_as_in_training():
    assert gain_of(rows([0.8, 0.8], [0.75, 0.78])) == pytest.approx(3)


def test_no_gain_without_validation():
    assert gain_of([{"epoch": 1, "test_accuracy": 0.8}]) is None
    assert gain_of([]) is None


def test_gains_by_model_and_images(tmp_path):
    for fold, test in enumerate(([0.5, 0.6, 0.62], [0.5, 0.6, 0.64])):
        make_run(tmp_path / f"{fold}", first(10), 0.9, (f"data.fold={fold}",))
        RunFolder(tmp_path / f"{fold}").write_metrics(rows([0.5, 0.7, 0.6], test))
    make_run(tmp_path / "other", first(10), 0.9, data=images("other ones", "e"))  # best in the last epoch by both
    make_run(tmp_path / "wild", None, None, ("data.fold=2",), stopped="diverged", best_epoch=None)
    ours, other = peeking(collect([tmp_path]).runs)
    assert (ours.model, ours.data) == ("mlp", "made-up characters")
    assert sorted(ours.gains) == pytest.approx([2, 4])
    assert ours.mean == pytest.approx(3)
    assert ours.sd == pytest.approx(2**0.5)
    assert (other.data, other.gains, other.sd) == ("other ones", [0], None)
