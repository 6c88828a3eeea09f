"""How fast this project trains on a GPU, beside the plain way and a bare loop, and how many runs one card takes.

    python benchmarks/gpu.py [--models mlp_best cnn_best resnet_best] [--rounds 3] [--processes 1 2 4 8]
    python benchmarks/gpu.py --tiny    # on the CPU, to see that all of it works; its numbers mean nothing

The data are random pixels in the official size of EMNIST Balanced, 112,800 images to train on; accuracy is not looked
at. Every round times one warm epoch of each contender in turn; the table has the median. An epoch is all from the start
of its first step to the start of the next epoch, training metrics included where a contender has them; evaluation is
left out. The share of the peak counts a step as three forward passes, of two operations per multiply-accumulate.

The second table is a study: runs of the command in processes side by side on the card, with evaluation, checkpoints and
metrics. Its throughput is all images that the runs trained on, by the time of the slowest run without its start.
"""

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table
from speed import write_for_torchvision
from torch.utils.data import DataLoader
from torchvision.datasets import EMNIST
from torchvision.transforms import Compose, Normalize, ToTensor

from emnist.command import CONF
from emnist.data.module import DataModule
from emnist.inference.cost import multiply_accumulates
from emnist.inference.device import describe_device
from emnist.models import build_model
from emnist.training.captured import capture_steps, train_whole_epochs
from emnist.training.classifier import Classifier
from emnist.training.console import quiet_lightning
from emnist.training.fit import build_classifier
from emnist.training.hardware import choose_precision
from emnist.training.optimization import build_optimizer

IMAGES, TEST = 112_800, 18_800
# Dense bf16 operations per second of the data sheets, by a part of the card's name; the first that fits counts.
PEAKS = {"H200": 989e12, "H100 PCIe": 756e12, "H100": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12}
TINY = {
    "mlp_best": ["model.neurons=8"],
    "cnn_best": ["model.filters=[4,4,4]"],
    "resnet_best": ["model.filters=[4,4,4]"],
}


class Bench:
    """The data, the device and the configurations of all contenders."""

    def __init__(self, folder: Path, tiny: bool):
        self.folder, self.tiny = folder, tiny
        self.device = torch.device("cpu" if tiny else "cuda", None if tiny else torch.cuda.current_device())
        write_random(folder / "random.npz", *((70, 32) if tiny else (IMAGES, TEST)))
        write_for_torchvision(self.data("mlp_best").dataset, folder)

    def overrides(self, model: str) -> list[str]:
        data = ["data=npz", f"data.root={self.folder}", "data.file=random.npz", "data.fold=null"]
        small = [*TINY[model], "data.batch_size=32", "trainer.accelerator=cpu"] if self.tiny else []
        return [f"experiment={model}", *data, "patience=null", *small]

    def config(self, model: str) -> dict[str, Any]:
        with initialize_config_dir(str(CONF), version_base="1.3"):
            return OmegaConf.to_container(compose("train", self.overrides(model)), resolve=True)  # type: ignore

    def data(self, model: str) -> DataModule:
        return DataModule(**self.config(model)["data"], augmentation={"name": "none"}, seed=0)

    def now(self) -> float:
        """The time when the device has done all it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    def network(self, model: str) -> torch.nn.Module:
        torch.manual_seed(0)
        return build_model(num_classes=47, **self.config(model)["model"]).to(self.device).train()


def write_random(path: Path, images: int, test: int) -> None:
    random = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", images), ("test", test)):
        arrays[f"{part}_images"] = random.integers(0, 256, (count, 28, 28), np.uint8)
        arrays[f"{part}_labels"] = np.arange(count) % 47
    np.savez(path, classes=np.array([str(i) for i in range(47)]), **arrays)


def second_epoch(bench: Bench, epoch: Callable[[], None]) -> float:
    """Seconds of the second of two epochs."""
    epoch()
    start = bench.now()
    epoch()
    return bench.now() - start


def plain(bench: Bench, model: str) -> float:
    """A file reader and transforms for each image, worker processes, 32-bit, a loop as tutorials have it."""
    config, data = bench.config(model), bench.data(model)
    transform = Compose([ToTensor(), Normalize((data.mean,), (data.std,))])
    images = EMNIST(str(bench.folder), "balanced", train=True, transform=transform)
    workers = 0 if bench.tiny else min(16, os.cpu_count() or 1)
    loader = DataLoader(
        images,
        data.batch_size,
        shuffle=True,
        num_workers=workers,
        pin_memory=not bench.tiny,
        persistent_workers=workers > 0,
    )
    network = bench.network(model)
    optimizer = build_optimizer(network.parameters(), **config["optimizer"])

    def epoch() -> None:
        for batch, own in loader:
            loss = F.cross_entropy(network(batch.to(bench.device)), own.to(bench.device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return second_epoch(bench, epoch)


def bare(bench: Bench, model: str) -> float:
    """A loop in bf16 over images that are on the device, without metrics."""
    config, data = bench.config(model), bench.data(model)
    images, labels, *_ = data.dataset.on(bench.device)
    network = bench.network(model).to(memory_format=torch.channels_last)
    optimizer = build_optimizer(network.parameters(), **config["optimizer"])

    def epoch() -> None:
        for index in torch.randperm(len(labels), device=bench.device).split(data.batch_size):
            batch = (images[index].unsqueeze(1).float() / 255 - data.mean) / data.std
            with torch.autocast(bench.device.type, torch.bfloat16):
                loss = F.cross_entropy(network(batch).float(), labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return second_epoch(bench, epoch)


class Timer(L.Callback):
    def __init__(self, bench: Bench):
        self.bench = bench
        self.starts: list[float] = []

    def on_train_epoch_start(self, *_: Any) -> None:
        self.starts.append(self.bench.now())


def ours(bench: Bench, model: str, captured: bool) -> float:
    """This project's Trainer and classifier."""
    config, data, timer = bench.config(model), bench.data(model), Timer(bench)
    classifier = build_classifier(config, data)
    trainer = L.Trainer(
        max_epochs=3,
        accelerator=bench.device.type,
        devices=1,
        precision=choose_precision("auto", bench.device.type),  # type: ignore[arg-type]
        callbacks=[timer],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
    )
    if captured:
        use_captured(bench, config, trainer, classifier, data)
    trainer.fit(classifier, data)
    return timer.starts[2] - timer.starts[1]


def use_captured(bench: Bench, config: dict[str, Any], trainer: L.Trainer, classifier: Classifier, data: DataModule):
    if bench.tiny:
        train_whole_epochs(trainer, classifier, data)  # by plain calls
    else:
        capture_steps(config, trainer, classifier, data)


def side_by_side(bench: Bench, model: str, count: int, epochs: int) -> tuple[float, float]:
    """Images per second of so many runs together, and seconds of the slowest."""
    folders = [bench.folder / f"{model}_{count}_{number}" for number in range(count)]
    started = []
    for number, folder in enumerate(folders):
        run = [f"trainer.max_epochs={epochs}", f"seed={number}", f"hydra.run.dir={folder}"]
        command = [sys.executable, "-m", "emnist.train", *bench.overrides(model), *run]
        started.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True))
    errors = [process.communicate()[1] for process in started]
    for process, error in zip(started, errors, strict=True):
        if process.returncode:
            sys.exit(f"a run failed: {error.strip().splitlines()[-1]}")
    results = [json.loads((folder / "result.json").read_text()) for folder in folders]
    seconds = max(result["duration_s"] for result in results)
    return sum(result["data"]["train"] * epochs for result in results) / seconds, seconds


def measure(bench: Bench, model: str, rounds: int, peak: float | None) -> Table:
    contenders: dict[str, Callable[[], float]] = {
        "plain, 32-bit": lambda: plain(bench, model),
        "bare loop, bf16": lambda: bare(bench, model),
        "this project, compile=off": lambda: ours(bench, model, captured=False),
        "this project, compile=auto": lambda: ours(bench, model, captured=True),
    }
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, epoch in contenders.items():
            seconds[name].append(epoch())
    images = len(bench.data(model).train_indices)
    operations = 6 * multiply_accumulates(bench.config(model)["model"], 47)  # of a step, per image
    table = Table(title=f"{model}: an epoch of {images:,} images")
    for column in ("", "seconds (median)", "seconds (all rounds)", "images / s", "of the bf16 peak"):
        table.add_column(column, justify="right")
    for name, times in seconds.items():
        median = statistics.median(times)
        share = "" if peak is None else f"{operations * images / median / peak:.1%}"
        table.add_row(name, f"{median:.3f}", " ".join(f"{t:.3f}" for t in times), f"{images / median:,.0f}", share)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=list(TINY), default=list(TINY))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processes", type=int, nargs="*", default=[1, 2, 4, 8], help="runs side by side")
    parser.add_argument("--epochs", type=int, default=10, help="of each run side by side")
    parser.add_argument("--tiny", action="store_true", help="tiny networks and data on the CPU")
    arguments = parser.parse_args()
    if not arguments.tiny and not torch.cuda.is_available():
        sys.exit("no CUDA device: this benchmark is one of a GPU; --tiny runs all of it on the CPU")
    warnings.filterwarnings("ignore")
    logging.basicConfig(format="%(message)s", level=logging.INFO)  # one line where nothing is captured
    quiet_lightning()
    console = Console(width=110)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), arguments.tiny)
        card = str(describe_device(bench.device)["name"])
        peak = next((peak for name, peak in PEAKS.items() if name in card), None)
        console.print(f"{card}, torch {torch.__version__}" + (f", {peak / 1e12:.0f} TFLOP/s in bf16" if peak else ""))
        for model in arguments.models:
            console.print(measure(bench, model, arguments.rounds, peak))
        for model in arguments.models if arguments.processes else []:
            table = Table(title=f"{model}: runs of {arguments.epochs} epochs side by side")
            for column in ("processes", "images / s together", "seconds of the slowest", "against one"):
                table.add_column(column, justify="right")
            one = None
            for count in arguments.processes:
                speed, slowest = side_by_side(bench, model, count, arguments.epochs)
                one = one or speed
                table.add_row(str(count), f"{speed:,.0f}", f"{slowest:.2f}", f"{speed / one:.2f} ×")
            console.print(table)


if __name__ == "__main__":
    main()
