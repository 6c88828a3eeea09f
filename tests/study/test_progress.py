"""The progress line on a terminal and in a log file, for runs that are made up."""

import os
import pty
import re
import sys
import threading
import time

import pytest

from emnist.runs.folder import RunFolder
from emnist.runs.plan import Plan, PlannedFactor, PlannedValue
from emnist.study import progress
from emnist.study.progress import Progress, print_summary
from tests.fixtures.studies import CONFIG, made_up_result


@pytest.fixture
def folders(tmp_path) -> list[RunFolder]:
    """Four runs; the first has ended before."""
    folders = [RunFolder(tmp_path / "mlp" / "abc" / f"fold{fold}_seed0") for fold in range(4)]
    folders[0].write_result(made_up_result(CONFIG))
    return folders


def start(folder: RunFolder) -> None:
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.log.write_text("started")


def run_all(folders: list[RunFolder]) -> Progress:
    """The second run ends, the third fails, the fourth is interrupted."""
    with Progress("tiny") as shown, shown.watch([folder.path for folder in folders], later=2):
        for folder in folders[1:]:
            start(folder)
            shown.update()
        folders[1].write_result(made_up_result(CONFIG))
        shown.update(settled=True)
        folders[2].write_failure("model.blocks=[bold]: no", CONFIG)
    return shown


def test_a_log_file_gets_a_line_when_a_run_has_ended(folders, capsys):
    shown = run_all(folders)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "tiny: 1 of about 6 runs done, 0 running, 0 failed"
    assert lines[1] == "tiny: 2 of about 6 runs done, 2 running, 0 failed, 0 s left"
    assert lines[2] == f"failed: {folders[2].path}: model.blocks=[bold]: no"
    assert lines[3] == "tiny: 2 of about 6 runs done, 1 running, 1 failed, 0 s left"
    assert len(lines) == 4
    with shown.watch([folder.path for folder in folders[:2]], later=0):
        pass
    assert capsys.readouterr().err == ""  # nothing has ended meanwhile


def test_a_retried_run_counts_once(folders, capsys):
    shown = run_all(folders)
    folders[2].failure.unlink()
    with shown, shown.watch([folder.path for folder in folders], later=0):
        folders[2].write_result(made_up_result(CONFIG))
        folders[3].write_result(made_up_result(CONFIG))
    assert capsys.readouterr().err.splitlines()[-1] == "tiny: 4 of 4 runs done, 0 running, 0 failed"
    assert not shown.failures


def test_the_folders_are_looked_at_while_runs_are_trained(folders, capsys):
    with Progress("tiny") as shown, shown.watch([folder.path for folder in folders], later=0):
        folders[1].write_result(made_up_result(CONFIG))
        deadline, err = time.monotonic() + 10 * progress.INTERVAL, ""
        while "2 of 4" not in err and time.monotonic() < deadline:
            time.sleep(0.01)
            err += capsys.readouterr().err
    assert "tiny: 2 of 4 runs done, 0 running, 0 failed, " in err


def test_a_terminal_shows_a_bar_with_failures_above(folders, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    monitor, terminal = pty.openpty()
    seen = bytearray()

    def read() -> None:
        while not seen.endswith(b"\x1b[?25h"):  # the cursor is shown again at the end
            seen.extend(os.read(monitor, 4096))

    reader = threading.Thread(target=read)
    reader.start()
    with open(terminal, "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        run_all(folders)
        reader.join(timeout=10)
    os.close(monitor)
    screen = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]", "", seen.decode())  # without colours and movements
    frames = re.split(r"[\r\n]+", screen.strip())
    assert all(len(frame) <= 100 for frame in frames if frame.startswith("tiny"))
    assert re.fullmatch("tiny [━╸╺]+ 1 of about 6 runs done, 0 running, 0 failed", frames[1])
    assert any(re.fullmatch("tiny [━╸╺]+ 2 of about 6 runs done, 2 running, 0 failed, 0 s left", f) for f in frames)
    failed = frames.index(f"failed: {folders[2].path}: model.blocks=[bold]: no")
    assert re.fullmatch("tiny [━╸╺]+ 2 of about 6 runs done, 1 running, 1 failed, 0 s left", frames[-1])
    assert failed < len(frames) - 1


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (99, "99 s"), (100, "2 min"), (5900, "98 min"), (7200, "2.0 h")]
)
def test_durations(seconds, text):
    assert progress._duration(seconds) == text


def test_summary(folders, tmp_path, capsys):
    other_fold = {**CONFIG, "data": {**CONFIG["data"], "fold": 1}}
    folders[1].write_result(made_up_result(other_fold, val_accuracy=0.9, test_accuracy=0.8))
    diverged = RunFolder(tmp_path / "mlp" / "def" / "fold0_seed0")
    diverged.write_result(made_up_result(CONFIG, val_accuracy=None, test_accuracy=None))
    for folder in (*folders[:2], diverged):
        folder.write_config(CONFIG)

    def value(label: str, cell: str | None) -> PlannedValue:
        return PlannedValue(label=label, overrides=[], published=None, rank=None, claim=None, cell=cell)

    values = [value("16", "mlp/abc"), value("8", "mlp/def"), value("4", None)]
    factor = PlannedFactor(name="neurons", reference="mlp/abc", chosen="16", values=values)
    runs = ["fold0_seed0", "fold1_seed0"]
    plan = Plan(study="tiny", mode="greedy", runs=runs, reference="mlp/abc", overrides=[], factors=[factor])
    print_summary(plan, tmp_path)
    out = capsys.readouterr().out
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines() if "│" in line]
    assert rows == [
        ["neurons", "16 * ←", "85.00%", "75.00%", "", "", "2/2"],
        ["", "8", "–", "–", "", "", "1/2"],
        ["", "4", "–", "–", "", "", "0/2"],
    ]
    assert f"python -m emnist.report {tmp_path}" in out
