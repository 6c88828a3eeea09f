"""What happens to one run folder before and after training."""

import json

import pytest

from emnist.errors import UserError
from emnist.runs.folder import RunFolder
from emnist.training.job import JobFailed
from tests.fixtures.jobs import train_in


def test_a_finished_run_is_not_run_again(small, finished):
    folder = RunFolder(finished)
    result, before = folder.read_result(), folder.last.stat().st_mtime_ns
    assert train_in(finished, *small, resume=True) == result
    assert folder.last.stat().st_mtime_ns == before


def test_a_failure_is_recorded_until_the_run_is_resumed(small, tmp_path):
    folder = RunFolder(tmp_path)
    with pytest.raises(JobFailed, match="model.activation=tan: unknown"):
        train_in(tmp_path, *small, "model.activation=tan")
    failure = folder.read_failure()
    assert "model.activation=tan: unknown" in failure.error
    assert failure.config["model"]["activation"] == "tan"
    train_in(tmp_path, *small, "trainer.max_epochs=1")
    assert not folder.failure.exists()


def test_a_folder_that_holds_a_run_is_left_as_it_is(small, finished):
    def contents() -> dict:
        return {path: path.read_bytes() for path in finished.rglob("*") if path.is_file() and path.name != "train.log"}

    before = contents()
    with pytest.raises(UserError, match="already holds a run: resume it with resume="):
        train_in(finished, *small, "seed=3")
    assert contents() == before  # also no failure.json: the run in the folder did not fail
    RunFolder(finished).result.unlink()  # as if it had been interrupted
    with pytest.raises(UserError, match="already holds a run"):
        train_in(finished, *small, "seed=3")
    assert contents() == {path: content for path, content in before.items() if path.name != "result.json"}


def test_a_result_of_version_0_1_is_recognised(small, finished):
    folder = RunFolder(finished)
    result = folder.read_result()
    content = json.loads(folder.result.read_text())
    del content["format"]
    folder.result.write_text(json.dumps(content, indent=2))
    assert train_in(finished, *small, resume=True) == result


def test_a_log_that_cannot_be_written_is_one_line(small, tmp_path):
    (tmp_path / "train.log").mkdir()  # a read-only folder stops no test that runs as root
    with pytest.raises(UserError, match="train.log: can't be written"):
        train_in(tmp_path, *small)
