"""The shared storage of a search, without any training."""

from pathlib import Path

import pytest
from hydra.core.utils import JobReturn, JobStatus
from omegaconf import OmegaConf

from emnist.command import CONF
from emnist.errors import UserError
from emnist.runs.search import COMPLETE, PRUNED, Search
from emnist.search.spec import SearchSpec, read_search
from emnist.search.sweeper import search
from emnist.search.trials import Trials
from emnist.search.worker import Worker

SPACE = {"optimizer.lr": "interval(0, 1)"}


def spec_of(**keys) -> tuple:
    defaults = OmegaConf.to_container(OmegaConf.load(CONF / "hydra" / "sweeper" / "search.yaml").search)
    return read_search("tiny", {**defaults, "reference": [], "space": SPACE, "trials": 4, **keys}, all_folds=5)


def trials_in(folder: Path, **keys) -> Trials:
    spec, space = spec_of(**keys)
    trials = Trials(folder, spec, space, fixed={}, epochs=4)
    trials.begin([], "tiny")
    return trials


def complete(trials: Trials, value: float = 0.5) -> int:
    claimed = trials.claim()
    trials.report(claimed, [value], 1.0, is_last=True)
    trials.end(claimed, COMPLETE, cell="mlp/a", values=[value], seconds=1.0)
    claimed.lock.release()
    return claimed.number


def test_two_workers_never_have_the_same_trial(tmp_path):
    one, two = trials_in(tmp_path), trials_in(tmp_path)
    first, second = one.claim(), two.claim()
    assert (first.number, second.number) == (0, 1)
    assert first.parameters != second.parameters
    assert [trial.state for trial in Search.read(one.record).trials] == ["running", "running"]


def test_a_trial_whose_worker_is_gone_is_taken_up_with_its_parameters(tmp_path):
    one, two = trials_in(tmp_path), trials_in(tmp_path)
    lost = one.claim()
    one.report(lost, [0.3, 0.4], 2.0, is_last=False)
    lost.lock.release()  # as the system does when a process ends
    again = two.claim()
    assert (again.number, again.parameters) == (lost.number, lost.parameters)
    assert (again.curve, again.asked, again.seconds) == ([0.3, 0.4], 2, 2.0)
    assert two.claim().number == 1


def test_the_number_of_trials_and_the_budget_end_it(tmp_path):
    few = trials_in(tmp_path / "few", trials=2)
    assert [complete(few), complete(few)] == [0, 1]
    assert few.claim() is None
    short = trials_in(tmp_path / "short", trials=None, budget="3s")
    assert [complete(short) for _ in range(3)] == [0, 1, 2]
    assert short.claim() is None


def test_the_pruner_is_asked_again_if_its_answer_was_lost(tmp_path, monkeypatch):
    options = {"median": {"n_startup_trials": 1, "n_warmup_steps": 0}}
    trials = trials_in(tmp_path, pruners=options)
    complete(trials, 0.9)
    claimed = trials.claim()
    with monkeypatch.context() as patch:
        patch.setattr(trials.pruner, "prune", lambda *_: (_ for _ in ()).throw(OSError("killed here")))
        with pytest.raises(OSError, match="killed here"):
            trials.report(claimed, [0.1], 1.0, is_last=False)
    claimed.lock.release()
    again = trials_in(tmp_path, pruners=options).claim()
    assert (again.number, again.curve, again.asked) == (claimed.number, [0.1], 0)


def test_one_that_lost_a_race_teaches_the_sampler_and_is_not_the_best(tmp_path):
    trials = trials_in(tmp_path)
    complete(trials, 0.5)
    lost = trials.claim()
    trials.end(lost, PRUNED, cell="mlp/b", values=[0.6], value=0.4, seconds=1.0, reason="behind")
    record = trials.as_record()
    assert (record.best.number, record.trials[1].value, record.trials[1].reason) == (0, 0.4, "behind")
    assert trials.study.trials[1].value == 0.4
    assert trials.study.best_trial.number == 0


def test_trials_that_others_put_into_the_storage(tmp_path):
    trials = trials_in(tmp_path)
    trials.study.enqueue_trial({"optimizer.lr": 0.25})
    claimed = trials.claim()
    assert claimed.parameters == {"optimizer.lr": 0.25}
    trials.study.enqueue_trial({"optimizer.lr": 0.5})
    trials.study.tell(trials.study.ask().number, 0.1)  # told by someone else
    assert [trial.number for trial in trials.as_record().trials] == [0]
    assert trials.claim().number == 2


def test_a_damaged_storage_is_one_line(tmp_path):
    (tmp_path / "optuna.db").write_text("not a database")
    with pytest.raises(UserError, match=r"optuna.db: can't be used \(.*\); delete .* to start again"):
        trials_in(tmp_path)


class DyingLauncher:
    """Two workers, whose processes both end when trial 1 kills its own, as in a pool."""

    def __init__(self, trials: Trials, deaths: int):
        self.trials, self.deaths, self.launched = trials, deaths, []

    def launch(self, jobs, initial_job_idx):
        self.launched.append((len(jobs), self.worker.only))
        while claimed := [one for _ in jobs if (one := self.trials.claim(self.worker.only)) is not None]:
            for one in claimed:
                one.lock.release()
            if any(one.number == 1 for one in claimed) and self.deaths > 0:
                self.deaths -= 1
                raise RuntimeError("A worker was terminated. It was killed")
            for one in claimed:
                self.trials.end(one, COMPLETE, cell="mlp/a", values=[0.5], seconds=1.0)
        return [JobReturn(status=JobStatus.COMPLETED, _return_value=None) for _ in jobs]


@pytest.mark.parametrize(("deaths", "state"), [(1, "complete"), (2, "failed")])
def test_a_process_that_dies_takes_only_its_own_trial_with_it(tmp_path, deaths, state):
    trials = trials_in(tmp_path, trials=4)
    launcher = DyingLauncher(trials, deaths)
    launcher.worker = worker = Worker.__new__(Worker)
    worker.only = None
    search(trials, launcher, worker, (), workers=2)
    found = trials.as_record().trials
    assert [trial.state for trial in found] == ["complete", state, "complete", "complete"]
    assert launcher.launched[:3] == [(2, None), (1, 0), (1, 1)]
    assert found[1].reason == (
        "" if state == "complete" else "its process died (RuntimeError: A worker was terminated)"
    )


def test_a_launcher_that_can_not_start_is_an_error(tmp_path):
    class Broken:
        def launch(self, jobs, initial_job_idx):
            raise FileNotFoundError("sbatch")

    with pytest.raises(UserError, match="launcher: FileNotFoundError: sbatch; the same command resumes the search"):
        search(trials_in(tmp_path), Broken(), Worker.__new__(Worker), (), workers=1)


def test_the_settings_of_a_spec_are_what_its_trials_depend_on():
    spec, _ = spec_of()
    assert isinstance(spec, SearchSpec)
    assert {"folds", "seeds", "metric", "sampler", "pruner", "images"} <= spec.settings.keys()
    assert not {"trials", "budget", "workers", "final"} & spec.settings.keys()
