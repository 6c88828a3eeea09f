"""Kill trainings with SIGKILL within their writes and at random moments, resume them, compare them with one left alone.

    python benchmarks/kills.py [--kills 200] [--sweep-kills 8] [--record FILE]

With a record it goes on where it was stopped.

A run is killed eight times, then resumed to its end: first four times within a write of its training, then at a random
time or within a write of its test. Within a write is with half of the file written, before it is renamed into place, or
just after. Lost is a run that does not resume, whose
files do not have their checksums after a kill, or that ends with other weights, metrics, predictions or state of the
optimizer in any bit. A sweep of two joblib workers loses a worker and its main process by turns. Then a disk that is
full, a folder that is read-only and a clock that goes back a day, once each.

Each training is a child of a process that has imported everything, which spares it 8 s; the sweep starts as a command.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before torch: a process that has started threads can't be forked

import argparse
import contextlib
import hashlib
import io
import json
import mmap
import platform
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from emnist import atomic
from emnist.command import CONF
from emnist.errors import UserError, describe
from emnist.inference.load import read_checkpoint
from emnist.runs import folder as folders
from emnist.runs.folder import RunFolder
from emnist.training import fit
from emnist.training.job import run_job
from emnist.training.recorder import Recorder

KILLS_OF_A_RUN = 8
STAGES = ("half written", "before the rename", "after the rename")
KINDS = {
    "best.ckpt": "best.ckpt",
    "last.ckpt": "last.ckpt",
    "checksums.json": "checksums.json",
    "metrics.csv": "metrics.csv",
    "config.yaml": "config.yaml",
    "validation.npz": "predictions",
    "predictions.npz": "predictions",
    "result.json": "result.json",
}
OF_TRAINING = "best.ckpt", "last.ckpt", "checksums.json", "metrics.csv"
OF_TEST = "predictions", "figure", "metrics.csv", "result.json"
RUN = ["data=glyphs", "data.train_per_class=8", "data.test_per_class=2", "model=mlp", "model.neurons=8", "threads=1"]
RUN += ["model.dropout=0.2", "trainer.accelerator=cpu", "trainer.precision=32-true", "trainer.max_epochs=5"]


class Session:
    """One training process."""

    def __init__(self, scratch: Path, run: Path):
        self.scratch, self.run, self.config = scratch, run, compose_run(scratch)
        self.shared = mmap.mmap(-1, 64)  # what the process is doing
        self.seconds = 0.0

    @property
    def doing(self) -> str:
        return self.shared[:].rstrip(b"\0").decode()

    def does(self, what: str) -> None:
        self.shared[:] = what.encode().ljust(64, b"\0")

    def start(self, *faults: contextlib.AbstractContextManager, target: tuple[str, int, int] | None = None) -> int:
        """The process id of a child that trains or resumes the run, in a folder that may have `faults`."""
        self.does("starting")
        child = os.fork()
        if child:
            return child
        code = 1
        try:
            with (self.scratch / "output").open("w") as file, contextlib.ExitStack() as stack:
                stack.enter_context(contextlib.redirect_stdout(file))
                stack.enter_context(contextlib.redirect_stderr(file))
                for fault in (*faults, self.watching(target)):
                    stack.enter_context(fault)
                try:
                    run_job(self.config, self.run, resume=True, quiet=True)
                    code = 0
                except BaseException as error:
                    (self.scratch / "error").write_text(describe(error) if isinstance(error, Exception) else "")
        finally:
            os._exit(code)

    @contextlib.contextmanager
    def watching(self, target: tuple[str, int, int] | None) -> Iterator[None]:
        """Say what the process is doing, and kill it at the n-th write of a kind of file, at a stage of that."""
        write_atomically, finish, on_train_start = atomic.write_atomically, fit.finish, Recorder.on_train_start
        writes: Counter[str] = Counter()

        def watched(path: Path, write: Callable) -> None:
            before, kind = self.doing, "figure" if path.suffix == ".png" else KINDS.get(path.name, "another file")
            self.does(f"writing {kind}")
            writes[kind] += 1
            stage = STAGES[target[2]] if target is not None and target[:2] == (kind, writes[kind]) else ""

            def dying(file: io.BufferedWriter) -> None:
                write(file)
                file.flush()
                if stage == STAGES[0]:
                    file.truncate(file.tell() // 2)
                if stage in STAGES[:2]:
                    die()

            write_atomically(path, dying)
            if stage:
                die()
            self.does(before)

        def training(recorder, *arguments) -> None:
            self.does("training")
            on_train_start(recorder, *arguments)

        def testing(*arguments, **rest):
            self.does("testing and drawing figures")
            return finish(*arguments, **rest)

        with (
            patch.object(atomic, "write_atomically", watched),
            patch.object(folders, "write_atomically", watched),
            patch.object(fit, "finish", testing),
            patch.object(Recorder, "on_train_start", training),
        ):
            yield

    def whole(self, *faults: contextlib.AbstractContextManager) -> str | None:
        """Train to the end; why that failed, if it did."""
        begin = time.perf_counter()
        (self.scratch / "error").unlink(missing_ok=True)
        _, status = os.waitpid(self.start(*faults), 0)
        self.seconds = time.perf_counter() - begin
        if status == 0:
            return None
        error = self.scratch / "error"
        return error.read_text() if error.exists() else f"died: {(self.scratch / 'output').read_text()[-500:]}"

    def killed(self, target: tuple[str, int, int] | float) -> str | None:
        """Kill the training after so many seconds or within a write; where it hit, None if the run ended before."""
        child = self.start(target=target if isinstance(target, tuple) else None)
        if isinstance(target, float):
            time.sleep(target)
            os.kill(child, signal.SIGKILL)  # of a process that has ended it says nothing, until that is waited for
        _, status = os.waitpid(child, 0)
        if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
            return None
        stage = STAGES[target[2]] if isinstance(target, tuple) else "at a random time"
        return f"{self.doing} | {stage}"


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@cache
def compose_run(scratch: Path) -> DictConfig:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return compose("train", [*RUN, f"data.root={scratch}"])


def outcome(run: Path) -> dict[str, str]:
    """SHA-256 of all that must be equal."""
    folder = RunFolder(run)
    arrays = [folder.read_predictions("label", "predicted", "probabilities"), folder.read_validation()]
    parts: dict[str, object] = {"metrics": folder.read_metrics(), "predictions": arrays}
    parts |= {path.name: read_checkpoint(path) for path in (folder.best, folder.last)}
    return {name: sha256(part) for name, part in parts.items()}


def sha256(value: object) -> str:
    """Of nested values, but for the times in them."""
    if isinstance(value, torch.Tensor | np.ndarray):
        array = np.asarray(value)
        content = f"{array.dtype} {array.shape}".encode() + np.ascontiguousarray(array).tobytes()
    elif isinstance(value, dict):
        times = ("seconds", "train_seconds")
        content = repr([(key, sha256(part)) for key, part in value.items() if key not in times]).encode()
    elif isinstance(value, list | tuple):
        content = repr([sha256(part) for part in value]).encode()
    else:
        content = repr(value).encode()
    return hashlib.sha256(content).hexdigest()


def fault_of(run: Path, expected: dict[str, str]) -> str | None:
    """In what a finished run differs from what it should be."""
    found = outcome(run)
    differing = [name for name in expected if expected[name] != found[name]]
    return f"differs in {', '.join(differing)}" if differing else None


def kill_run(scratch: Path, kills: int, dice: random.Random, expected: dict, seconds: float) -> tuple[list, list]:
    """Kill one run so many times at most: where the kills hit, and what was lost."""
    session, hits, lost = Session(scratch, scratch / "run"), list[str](), list[str]()
    shutil.rmtree(session.run, ignore_errors=True)
    session.run.mkdir()
    while len(hits) < kills and not RunFolder(session.run).result.exists():
        early = len(hits) < KILLS_OF_A_RUN // 2  # else most would hit the figures, which take most of the time
        write = dice.choice(OF_TRAINING if early else OF_TEST), 1, dice.randrange(len(STAGES))
        where = session.killed(write if early else dice.choice([dice.uniform(0, seconds), write]))
        if where is not None:
            hits.append(where)
            lost += unverified(session.run, where)
    reason = session.whole() or fault_of(session.run, expected)
    return hits, lost + ([f"{reason} after kills {', '.join(hits)}"] if reason else [])


def unverified(run: Path, where: str) -> list[str]:
    """Checkpoints that lack their checksum after a kill."""
    folder, found = RunFolder(run), list[str]()
    for path in (folder.best, folder.last):
        try:
            if path.exists() and not folder.verify(path):
                found.append(f"{path.name} has no checksum after a kill {where}")
        except UserError as error:
            found.append(f"{error} after a kill {where}")
    return found


def kill_sweep(scratch: Path, kills: int, dice: random.Random) -> tuple[list, list]:
    """As `kill_run`, of a study that two joblib workers train."""
    hits, lost = list[str](), list[str]()
    with sweep(scratch / "whole") as process:
        process.wait()
    results = sorted((scratch / "whole").rglob("result.json"))
    expected = {path.parent.relative_to(scratch / "whole"): outcome(path.parent) for path in results}
    folder, code = scratch / "sweep", -1
    while code != 0:
        with sweep(folder) as process:
            begun = len(list(folder.rglob("train.log")))
            while process.poll() is None:
                # Not before a run trains, or a worker may be killed while it is imported, again and again.
                if len(hits) < kills and len(list(folder.rglob("train.log"))) > begun:
                    time.sleep(dice.uniform(0, 3))
                    workers = children(process.pid)
                    if process.poll() is None and workers:
                        of_master = len(hits) % 2 == 1
                        os.kill(process.pid if of_master else dice.choice(workers), signal.SIGKILL)
                        hits.append(
                            "training a sweep | its main process" if of_master else "training a sweep | a worker"
                        )
                        begun = len(list(folder.rglob("train.log")))
                time.sleep(0.05)
            code = process.returncode
            print(f"\r{len(hits)} of {kills} kills of a sweep", end="", file=sys.stderr, flush=True)
            if code > 0:
                return hits, [f"the sweep ended with code {code}: {(folder / 'output').read_text()[-500:]}"]
    print(file=sys.stderr)
    for name, of_run in expected.items():
        reason = fault_of(folder / name, of_run) if RunFolder(folder / name).result.exists() else "no result"
        lost += [f"{name}: {reason}"] if reason else []
    return hits, lost


def sweep(folder: Path) -> subprocess.Popen:
    """The command that trains a study of eight runs, or the rest of them, by two workers."""
    study = {
        "mode": "around",
        "together": "off",
        "reference": RUN[3:],
        "folds": [0, 1],
        "factors": {"neurons": {str(n): {"set": f"model.neurons={n}"} for n in (8, 12, 16, 24)}},
    }
    config = {
        "defaults": [{"override /hydra/sweeper": "study"}],
        "study": study,
        "hydra": {"sweep": {"dir": str(folder / "study")}},
    }
    path = folder / "conf" / "study" / "tiny.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("# @package _global_\n" + yaml.safe_dump(config, sort_keys=False))
    command = [sys.executable, "-m", "emnist.train", f"--config-dir={folder / 'conf'}", "-m", "study=tiny", *RUN[:3]]
    command += ["trainer.accelerator=cpu", "trainer.precision=32-true", "trainer.max_epochs=5"]
    command += [f"data.root={folder.parent}", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2"]
    with (folder / "output").open("w") as file:
        return subprocess.Popen(command, cwd=CONF.parent, stdout=file, stderr=file)


def children(pid: int) -> list[int]:
    """The workers that joblib has started from this process."""
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        command = Path(f"/proc/{child}/cmdline").read_bytes()
        if b"loky" in command and b"resource_tracker" not in command:
            found.append(int(child))
    return found


@contextlib.contextmanager
def full_disk(left: int = 20_000) -> Iterator[None]:
    """No file may become larger, as if the disk were full."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (left, resource.RLIM_INFINITY))
    yield


@contextlib.contextmanager
def read_only() -> Iterator[None]:
    """A user who may not write there."""
    if os.getuid() == 0:
        os.setuid(65534)
    yield


@contextlib.contextmanager
def clock_set_back(run: Path) -> Iterator[None]:
    """Files have the date of tomorrow."""
    now = time.time
    for path in run.rglob("*"):
        os.utime(path, (now() + 86_400,) * 2)
    with patch.object(time, "time", lambda: now() - 86_400):
        yield


def faults(scratch: Path, expected: dict[str, str]) -> list[str]:
    """Rows of the table: what happened, what the run said, whether it was lost."""
    rows = []
    for name, fault in (("full disk", full_disk), ("read-only folder", read_only), ("clock a day back", None)):
        run = scratch / name.replace(" ", "_")
        session = Session(scratch, run)
        run.mkdir()
        assert session.killed(("last.ckpt", 2, 2)) is not None  # after two of five epochs
        if fault is read_only:
            for path in (run, *run.rglob("*")):
                path.chmod(path.stat().st_mode & ~0o222)
        said = session.whole(clock_set_back(run) if fault is None else fault())
        for path in (run, *run.rglob("*")):
            path.chmod(path.stat().st_mode | 0o200)
        reason = (session.whole() if said else None) or fault_of(run, expected)
        message = (said or "went on").replace(str(scratch), "…")
        rows.append(f"| {name} | {message} | {'lost: ' + reason if reason else 'resumed, the same bits'} |")
    return rows


class Record:
    """What has been found so far: a line of JSON for each killed run, for the sweep and for the faults."""

    def __init__(self, path: Path):
        self.path = path
        lines = path.read_text().splitlines() if path.exists() else []
        self.entries: list[dict] = [json.loads(line) for line in lines]

    def add(self, what: str, begin: float, hits: list[str], lost: list[str], rows: list[str] = []) -> None:  # noqa: B006
        entry = {"what": what, "hits": hits, "lost": lost, "rows": rows, "seconds": core_seconds() - begin}
        self.entries.append(entry)
        with self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")

    def all(self, key: str, what: str = "") -> list[str]:
        return [one for entry in self.entries if what in entry["what"] for one in entry[key]]

    def table(self) -> str:
        hits, lost = Counter(self.all("hits")), self.all("lost")
        lines = ["| the process was | killed | kills |", "| --- | --- | ---: |"]
        lines += [f"| {where} | {count} |" for where, count in sorted(hits.items())]
        lines += [f"| all | | {hits.total()} |", "", f"Lost: {len(lost)}", *(f"- {line}" for line in lost), ""]
        lines += ["| fault | what the command said | afterwards |", "| --- | --- | --- |", *self.all("rows"), ""]
        minutes = sum(entry["seconds"] for entry in self.entries) / 60
        lines += [f"{minutes:.1f} minutes of one core; torch {torch.__version__}, Python {platform.python_version()}"]
        return "\n".join(lines)


def core_seconds() -> float:
    """Of this process and the children that have ended."""
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in usage)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="of single runs")
    parser.add_argument("--sweep-kills", type=int, default=8)
    parser.add_argument("--record", type=Path)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        scratch.chmod(0o777)  # for another user, too
        record = Record(arguments.record or scratch / "record")
        whole = Session(scratch, scratch / "alone")
        for _ in range(2):  # the first draws the characters
            shutil.rmtree(whole.run, ignore_errors=True)
            whole.run.mkdir()
            if error := whole.whole():
                parser.error(error)
        expected = outcome(whole.run)
        while (left := arguments.kills - len(record.all("hits", "run"))) > 0:
            dice, begin = random.Random(len(record.entries)), core_seconds()
            record.add("run", begin, *kill_run(scratch, min(left, KILLS_OF_A_RUN), dice, expected, whole.seconds))
            print(f"\r{arguments.kills - left} kills", end="", file=sys.stderr, flush=True)
        if not record.all("rows"):
            begin = core_seconds()
            record.add("faults", begin, [], [], faults(scratch, expected))
        if (left := arguments.sweep_kills - len(record.all("hits", "sweep"))) > 0:
            dice, begin = random.Random(len(record.entries)), core_seconds()
            record.add("sweep", begin, *kill_sweep(scratch, left, dice))
        print(file=sys.stderr)
        print(record.table())
        sys.exit(bool(record.all("lost")))


if __name__ == "__main__":
    main()
