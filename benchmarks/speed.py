"""How fast this project trains beside the plain way and beside a bare loop, as ratios from one process.

    python benchmarks/speed.py [--models mlp cnn] [--rounds 3] [--data glyphs]

Every round times one warm epoch of each contender in turn on the same images (the whole training set,
batches of 128, Adam); the table has the median of the rounds. An epoch is all from the start of its first
step to the start of the next epoch, training metrics included where a contender has them; evaluation on
other images is left out. "Fused" is this project's setting of Adam; the others have torch's default.
"""

import argparse
import logging
import statistics
import tempfile
import time
import warnings
from pathlib import Path

import lightning as L
import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table
from torch.utils.data import DataLoader
from torchmetrics.classification import MulticlassAccuracy, MulticlassCalibrationError, MulticlassF1Score
from torchvision.datasets import EMNIST
from torchvision.transforms import Compose, Normalize, ToTensor

from emnist.command import CONF
from emnist.data.dataset import Dataset
from emnist.data.module import DataModule
from emnist.models import build_model
from emnist.training.classifier import Classifier
from emnist.training.console import quiet_lightning
from emnist.training.hardware import choose_precision, hide_absent_gpu

BATCH_SIZE, MEAN, STD = 128, 0.17, 0.33
MODELS = {
    "mlp": {"hidden_layers": 3, "neurons": 128, "activation": "elu", "dropout": [0.25, 0.25, 0]},
    "cnn": {"filters": [32, 64, 128], "kernel_sizes": [5, 5, 3], "activation": "leaky"},
}


class Timer(L.Callback):
    """When each training epoch starts."""

    def __init__(self):
        self.starts: list[float] = []

    def on_train_epoch_start(self, *_) -> None:
        self.starts.append(time.perf_counter())


def warm_epoch(module: L.LightningModule, data, precision: str) -> float:
    """Seconds of the second epoch of a Trainer.fit, which has warmed up in the first."""
    timer = Timer()
    trainer = L.Trainer(
        max_epochs=3,
        accelerator="cpu",
        precision=precision,
        callbacks=[timer],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
    )
    trainer.fit(module, data)
    return timer.starts[2] - timer.starts[1]


class Plain(L.LightningModule):
    """As tutorials write it."""

    def __init__(self, network: torch.nn.Module):
        super().__init__()
        self.network = network
        self.metrics = torch.nn.ModuleDict(
            {
                "accuracy": MulticlassAccuracy(47, average="micro"),
                "top3": MulticlassAccuracy(47, average="micro", top_k=3),
                "f1": MulticlassF1Score(47),
                "ece": MulticlassCalibrationError(47),
            }
        )

    def training_step(self, batch, _):
        images, labels = batch
        logits = self.network(images)
        loss = F.cross_entropy(logits, labels)
        self.log("loss", loss)
        for name, metric in self.metrics.items():
            metric(logits, labels)
            self.log(name, metric, on_step=False, on_epoch=True)
        return loss

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters())


def plain(name: str, root: str) -> float:
    transform = Compose([ToTensor(), Normalize((MEAN,), (STD,))])
    data = EMNIST(root, "balanced", train=True, transform=transform)
    return warm_epoch(Plain(build(name)), DataLoader(data, BATCH_SIZE, shuffle=True), "32-true")


def bare(name: str, data: Dataset, bf16: bool, fused: bool) -> float:
    network = build(name)
    if bf16:
        network = network.to(memory_format=torch.channels_last)
    network.train()
    optimizer = torch.optim.Adam(network.parameters(), fused=fused or None)
    seconds = 0.0
    for _ in range(2):
        start = time.perf_counter()
        for index in torch.randperm(len(data.train_labels)).split(BATCH_SIZE):
            images = (data.train_images[index].unsqueeze(1).float() / 255 - MEAN) / STD
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                loss = F.cross_entropy(network(images).float(), data.train_labels[index])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        seconds = time.perf_counter() - start
    return seconds


def ours(name: str, data: DataModule, optimizer: dict, precision: str) -> float:
    classifier = Classifier(
        build(name), 47, optimizer, {"name": None}, {"name": "none", "strength": 0}, evaluated=[], seed=0, about={}
    )
    return warm_epoch(classifier, data, precision)


def build(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return build_model(name, 47, **MODELS[name])


def write_for_torchvision(data: Dataset, root: Path) -> None:
    """The uncompressed idx files that torchvision reads."""
    folder = root / "EMNIST" / "raw"
    folder.mkdir(parents=True)
    for part in ("train", "test"):
        images, labels = getattr(data, f"{part}_images"), getattr(data, f"{part}_labels")
        for kind, array in (("images-idx3", images.transpose(1, 2)), ("labels-idx1", labels.to(torch.uint8))):
            sizes = b"".join(n.to_bytes(4, "big") for n in array.shape)
            content = bytes([0, 0, 8, array.ndim]) + sizes + array.contiguous().numpy().tobytes()
            (folder / f"emnist-balanced-{part}-{kind}-ubyte").write_bytes(content)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", choices=["emnist", "glyphs"], default="emnist")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.INFO)
    quiet_lightning()
    hide_absent_gpu()  # for all contenders

    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = OmegaConf.to_container(compose("train", [f"data={arguments.data}", "data.fold=null"]), resolve=True)
    data = DataModule(**config["data"], augmentation={"name": "none"}, seed=0)
    precision = choose_precision("auto", "cpu")
    with tempfile.TemporaryDirectory() as root:
        write_for_torchvision(data.dataset, Path(root))
        for name in arguments.models:
            contenders = {
                "plain, 32-bit": lambda name=name: plain(name, root),
                "bare loop, 32-bit": lambda name=name: bare(name, data.dataset, bf16=False, fused=False),
            }
            if precision == "bf16-mixed":
                contenders |= {
                    "bare loop, bf16": lambda name=name: bare(name, data.dataset, bf16=True, fused=False),
                    "bare loop, bf16, fused": lambda name=name: bare(name, data.dataset, bf16=True, fused=True),
                }
            contenders[f"this project, {precision}"] = lambda name=name: ours(
                name, data, config["optimizer"], precision
            )
            seconds: dict[str, list[float]] = {contender: [] for contender in contenders}
            for _ in range(arguments.rounds):
                for contender, epoch in contenders.items():
                    seconds[contender].append(epoch())
            report(name, data.dataset, seconds)


def report(name: str, data: Dataset, seconds: dict[str, list[float]]) -> None:
    medians = {contender: statistics.median(times) for contender, times in seconds.items()}
    project = medians[next(contender for contender in medians if contender.startswith("this"))]
    threads = torch.get_num_threads()
    table = Table(title=f"{name}: an epoch of {len(data.train_labels):,} images, {threads} threads\n{data.describe()}")
    for column in ("", "seconds (median)", "seconds (all rounds)", "this project is"):
        table.add_column(column, justify="right")
    for contender, median in medians.items():
        ratio = f"{median / project:.2f} × as fast" if median != project else ""
        table.add_row(contender, f"{median:.2f}", " ".join(f"{t:.2f}" for t in seconds[contender]), ratio)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
