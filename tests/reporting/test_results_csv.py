import csv
import io

import pytest

from emnist.analysis.collection import collect
from emnist.analysis.comparison import compare
from emnist.reporting.results_csv import results_csv
from emnist.runs.folder import RunFolder
from tests.fixtures.runs import make_study


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> str:
    collection = collect([make_study(tmp_path_factory.mktemp("study"))])
    return results_csv([compare(plan, folder, collection) for plan, folder in collection.studies], [], [])


def test_a_row_per_run_whatever_its_state(text):
    rows = list(csv.DictReader(io.StringIO(text)))
    states = [row["state"] for row in rows]
    assert states.count("finished") == 11
    assert {state: states.count(state) for state in ("diverged", "failed", "unfinished")} == {
        "diverged": 1,
        "failed": 1,
        "unfinished": 1,
    }
    assert states.count("missing") == 5  # 1 each of half, wild, broken and stopped, and the value to come
    assert all(row["fold"] in "01" and row["seed"] == "0" for row in rows if row["cell"])
    assert next(row for row in rows if row["state"] == "failed")["reason"] == "no | space"
    worse = next(row for row in rows if row["settings"] == "the factor worse" and row["fold"] == "1")
    assert float(worse["test_accuracy"]) == pytest.approx(0.84)


def test_the_same_bytes_as_version_0_1(text):
    lines = text.splitlines()
    assert lines[0] == (
        "study,settings,cell,model,fold,seed,state,val_accuracy,test_accuracy,test_top3_accuracy,test_macro_f1,test_ece,"
        "test_loss,best_epoch,epochs,stopped,parameters,data,commit,reason"
    )
    assert lines[1] == (
        "mlp,reference,mlp/start,mlp,0,0,finished,0.9,0.9,0.9,0.9,0.9,0.9,2,2,max_epochs,123,made-up characters,abc,"
    )
    assert "mlp,the factor half,mlp/half,,1,0,missing,,,,,,,,,,,,," in lines
    assert lines[-1] == "mlp,the_factor: later,,,,,missing,,,,,,,,,,,,,"
    assert text.endswith("\n")


def test_balanced_accuracy_where_a_run_states_it(tmp_path):
    folder = make_study(tmp_path)
    run = RunFolder(folder / "mlp" / "better" / "fold0_seed0")
    result = run.read_result()
    assert result is not None
    run.write_result(result.model_copy(update={"test_balanced_accuracy": 0.75}))
    collection = collect([folder])
    rows = csv.DictReader(io.StringIO(results_csv([], [], collection.others(set()))))
    stated = {row["test_balanced_accuracy"] for row in rows}
    assert stated == {"", "0.75"}
