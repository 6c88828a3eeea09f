"""Searches whose process ends at some write to the storage: a file of its own, for another process of the tests."""

import itertools
import os
import shutil

import pytest
from optuna.storages import RDBStorage

from tests.fixtures.commands import run_command
from tests.fixtures.searching import outcomes, search_of, write_search

WRITES = ("create_new_trial", "set_trial_user_attr", "set_trial_intermediate_value", "set_trial_state_values")


@pytest.mark.parametrize("write", [3, 12, 21, 39])
def test_killed_at_a_write_to_the_storage_it_finds_the_same(tmp_path, glyphs, write):
    """The process ends just before the n-th write, in the middle of asking for a trial, reporting or ending it."""
    medians = {"median": {"n_startup_trials": 1, "n_warmup_steps": 1}}
    arguments = [*write_search(tmp_path, trials=3, pruners=medians), *glyphs, "trainer.max_epochs=3"]
    assert run_command(tmp_path, *arguments, "search.name=whole")[0] == 0
    shutil.rmtree(tmp_path / "study" / "mlp")
    child = os.fork()
    if child == 0:
        left = itertools.count(write, -1)
        for name in WRITES:
            plain = getattr(RDBStorage, name)

            def counted(self, *given, plain=plain, **rest):
                if next(left) == 0:
                    os._exit(9)
                return plain(self, *given, **rest)

            setattr(RDBStorage, name, counted)
        run_command(tmp_path, *arguments)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 9
    code, _, err = run_command(tmp_path, *arguments)
    assert code == 0, err
    assert outcomes(search_of(tmp_path)) == outcomes(search_of(tmp_path, "whole"))
