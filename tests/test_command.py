import pytest

from emnist.command import one_line_errors
from emnist.errors import Reported, UserError


def exit_code(error: BaseException | None):
    with pytest.raises(SystemExit) as end, one_line_errors():
        raise error
    return end.value.code


@pytest.fixture(autouse=True)
def no_traceback(monkeypatch):
    monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)


def test_errors_are_one_line():
    assert exit_code(UserError("seed=-1: too low")) == "error: seed=-1: too low"
    assert exit_code(ZeroDivisionError("division\nby zero")) == "error: ZeroDivisionError: division by zero"
    assert exit_code(Reported("told before")) == 1
    assert exit_code(KeyboardInterrupt()) == "interrupted"


def test_a_traceback_on_request(monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(UserError), one_line_errors():
        raise UserError("wrong")
    with pytest.raises(UserError), one_line_errors():
        raise SystemExit(1) from UserError("wrong")
    monkeypatch.setenv("LOCAL_RANK", "1")  # a secondary process of a distributed run
    assert exit_code(UserError("wrong")) == "error: wrong"
