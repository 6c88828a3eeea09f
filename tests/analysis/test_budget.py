import pytest

from emnist.analysis.budget import reached_after, smallest_budget
from emnist.analysis.collection import collect
from emnist.analysis.selection import Candidate
from emnist.runs.folder import RunFolder
from tests.fixtures.runs import first, make_run

VAL = [0.5, 0.7, 0.6, 0.9]
TEST = [0.4, 0.65, 0.66, 0.88]


@pytest.fixture
def best(tmp_path) -> list[Candidate]:
    """A cell with 4 epochs and two folds, whose test accuracies are 0.02 apart, and one with 2."""
    for fold in (0, 1):
        make_run(tmp_path / f"{fold}", first(10), 0.9, ("trainer.max_epochs=4", f"data.fold={fold}"))
        RunFolder(tmp_path / f"{fold}").write_metrics(
            [
                {"epoch": i, "val_accuracy": v, "test_accuracy": t + 0.02 * fold}
                for i, (v, t) in enumerate(zip(VAL, TEST, strict=True), 1)
            ]
        )
    make_run(tmp_path / "short", first(10), 0.9, ("trainer.max_epochs=2", "optimizer=sgd"))
    cells = sorted(collect([tmp_path]).others(set()), key=lambda cell: -len(cell.runs))
    return [Candidate(cell, cell.id, len(cell.runs)) for cell in cells]


def test_the_smallest_number_of_epochs_counts(best):
    assert smallest_budget(best) == 2
    assert smallest_budget(best[:1]) is None
    assert smallest_budget([]) is None


@pytest.mark.parametrize(("epochs", "val", "test"), [(1, 0.5, 0.41), (2, 0.7, 0.66), (3, 0.7, 0.66), (4, 0.9, 0.89)])
def test_accuracies_are_those_of_the_best_epoch_by_validation_so_far(best, epochs, val, test):
    reached = reached_after(best, epochs)[0]
    assert (reached.candidate, reached.runs) == (best[0], 2)
    assert (reached.val, reached.test) == pytest.approx((val, test))


def test_a_cell_without_validation_has_no_best_epoch(tmp_path):
    make_run(tmp_path / "one", first(10), None, ("data.fold=null",))
    RunFolder(tmp_path / "one").write_metrics([{"epoch": 1, "test_accuracy": 0.5}])
    (cell,) = collect([tmp_path]).others(set())
    assert reached_after([Candidate(cell, "", 1)], 1) == []
