"""What a run costs beside its training: start-up, a further job of a multirun, memory.

    python benchmarks/overhead.py

Start-up is the fastest of three. The overhead of a job is the time from the end of the job before to its
own end, less its epochs. Memory is the peak of a process that trains on a set of EMNIST Balanced's full
size (112,800 + 18,800 images).
"""

import gzip
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

TRAIN = [sys.executable, "-m", "emnist.train"]


def start_up(argument: list[str]) -> float:
    def once() -> float:
        start = time.perf_counter()
        subprocess.run([*TRAIN, *argument], check=True, capture_output=True)
        return time.perf_counter() - start

    return min(once() for _ in range(3))


def further_jobs(folder: Path) -> list[float]:
    """Seconds beside training of the second to fifth job of a multirun of the MLP."""
    arguments = ["-m", "data=glyphs", f"data.root={folder}", "model=mlp", "trainer.max_epochs=3", "seed=0,1,2,3,4"]
    subprocess.run([*TRAIN, *arguments, f"hydra.sweep.dir={folder}/jobs"], check=True, capture_output=True)
    results = [folder / "jobs" / str(job) / "result.json" for job in range(5)]
    ends = [result.stat().st_mtime for result in results]
    training = [json.loads(result.read_text())["duration_s"] for result in results]
    return [ends[job] - ends[job - 1] - training[job] for job in range(1, 5)]


def write_full_size(root: Path) -> None:
    """EMNIST Balanced's files in its full size, of noise: 112,800 + 18,800 images, 100 MB."""
    folder = root / "EMNIST" / "raw"
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for part, count in (("train", 112_800), ("test", 18_800)):
        images, labels = random.integers(0, 256, (count, 28, 28), np.uint8), np.arange(count, dtype=np.uint8) % 47
        for kind, array in (("images-idx3", images), ("labels-idx1", labels)):
            header = bytes([0, 0, 8, array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape)
            path = folder / f"emnist-balanced-{part}-{kind}-ubyte.gz"
            path.write_bytes(gzip.compress(header + array.tobytes(), compresslevel=1))


def peak_memory(model: str, root: Path) -> float:
    """GB of a process that trains one epoch of the model on the full-size set."""
    arguments = [f"data.root={root}", f"model={model}", "trainer.max_epochs=1", f"hydra.run.dir={root}/{model}"]
    done = subprocess.run([sys.executable, __file__, "--child", *arguments], check=True, capture_output=True, text=True)
    return float(done.stdout.splitlines()[-1])


def child() -> None:
    subprocess.run([*TRAIN, *sys.argv[2:]], check=True, capture_output=True)
    print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for argument in (["--help"], ["--cfg", "job"]):
            print(f"python -m emnist.train {' '.join(argument)}: {start_up(argument):.2f} s")
        seconds = " ".join(f"{value:.2f}" for value in further_jobs(folder))
        print(f"a further job of a multirun, beside its epochs: {seconds} s")
        write_full_size(folder)
        for model in ("mlp", "cnn"):
            print(f"peak memory, {model}, 112,800 + 18,800 images: {peak_memory(model, folder):.2f} GB")


if __name__ == "__main__":
    child() if "--child" in sys.argv[:2] else main()
