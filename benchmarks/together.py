"""What a run of the MLP study costs when many are trained together, beside a bare loop over one network.

    python benchmarks/together.py [--rounds 3] [--data emnist]

Every contender trains the configuration experiment=mlp_best on one fold in batches of 128, and is timed in turn, once a
round; the table has the median. The bare loop is one network with torch's own ELU and dropout, SGD and the L1 penalty
by autograd, on images in memory, without evaluation, metrics or files. A stack does all that runs of a study do:
training, evaluation on validation and test images, metrics, checkpoints and logs after every epoch, and at their end,
shared out over 50 epochs, the test of the best epoch and the figures. Two processes with a thread each are what
hydra/launcher=joblib hydra.launcher.n_jobs=2 starts.

The second table is why only MLPs are stacked: a step of several small CNNs as one grouped convolution, and by
torch.func.vmap, against one after another.
"""

import argparse
import copy
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from emnist.command import CONF
from emnist.data.module import DataModule
from emnist.runs.folder import RunFolder
from emnist.training import together
from emnist.training.fit import finish, prepare, set_up_process
from emnist.training.hardware import choose_precision

EPOCHS = 50  # of a run, over which its end is shared out
STACKS = (5, 10, 25)
NETWORKS = 5  # CNNs side by side
CPU = torch.device("cpu")


def configure(data: list[str], number: int = 0) -> dict:
    """The configuration of one run of many: five folds, each with other seeds."""
    run = [f"data.fold={number % 5}", f"seed={number}", "trainer.accelerator=cpu", "patience=null"]
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = OmegaConf.to_container(compose("train", ["experiment=mlp_best", *data, *run]), resolve=True)
    return config  # type: ignore[return-value]


def bare(data: DataModule, bf16: bool) -> float:
    """Seconds of an epoch of the bare loop, the second of two."""
    layers: list[nn.Module] = [nn.Flatten()]
    for width, p in ((784, 0.25), (128, 0.25), (128, 0.0)):
        layers += [nn.Linear(width, 128, bias=False), nn.BatchNorm1d(128), nn.ELU()]
        layers += [nn.Dropout(p)] if p else []
    network = nn.Sequential(*layers, nn.Linear(128, len(data.dataset.classes)))
    weights = [layer.weight for layer in network if isinstance(layer, nn.Linear)]
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    seconds = 0.0
    for _ in range(2):
        start = time.perf_counter()
        for index in data.train_indices[torch.randperm(len(data.train_indices))].split(data.batch_size):
            images = (data.dataset.train_images[index].unsqueeze(1).float() / 255 - data.mean) / data.std
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
                loss = F.cross_entropy(network(images).float(), data.dataset.train_labels[index])
            loss = loss + 1e-5 * torch.stack([weight.abs().sum() for weight in weights]).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        seconds = time.perf_counter() - start
    return seconds


def stacked(data: list[str], count: int, threads: int | None, epochs: int = 2) -> float:
    """Seconds per run and epoch of so many runs: of the epochs after the first, and a share of their end."""
    configs = [configure(data, number) for number in range(count)]
    set_up_process({**configs[0], "threads": threads})
    precision = choose_precision("auto", "cpu")
    with tempfile.TemporaryDirectory() as root:
        folders = [RunFolder(Path(root) / str(number)) for number in range(count)]
        trainings = [prepare(config, folder) for config, folder in zip(configs, folders, strict=True)]
        members = [together.Member(training, CPU) for training in trainings]
        networks = [member.classifier.network for member in members]
        stack = together.StackedMLP(networks, [member.generator for member in members])  # type: ignore[arg-type]
        clock = together.train_epoch(members, stack, precision, time.perf_counter())  # warms up
        start = time.perf_counter()
        for _ in range(epochs):
            clock = together.train_epoch(members, stack, precision, clock)
        trained = time.perf_counter()
        for training in trainings:
            finish(training, "max_epochs", CPU, precision, count)
        ended = time.perf_counter()
    return ((trained - start) / epochs + (ended - trained) / EPOCHS) / count


def side_by_side(data: list[str], count: int, processes: int = 2) -> float:
    """Seconds per run and epoch of two processes with a thread each, with so many runs in each."""
    command = [sys.executable, __file__, "--child", json.dumps([data, count])]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(processes)]
    seconds = [float(process.communicate()[0].splitlines()[-1]) for process in started]
    return statistics.mean(seconds) / processes


def child(arguments: str) -> None:
    data, count = json.loads(arguments)
    print(stacked(data, count, threads=1))


class SmallCNN(nn.Module):
    """Two convolutions with batch norm, for `groups` networks at once: [B, groups, 28, 28] → [B, groups, classes]."""

    def __init__(self, groups: int = 1, classes: int = 47):
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for filters in (32, 64):
            conv = nn.Conv2d(groups * channels, groups * filters, 3, padding=1, bias=False, groups=groups)
            norm = nn.BatchNorm2d(groups * filters, track_running_stats=False)  # which vmap can't update
            layers += [conv, norm, nn.ReLU(), nn.MaxPool2d(2)]
            channels = filters
        self.features, self.groups = nn.Sequential(*layers), groups
        self.weight = nn.Parameter(torch.randn(groups, channels * 7 * 7, classes) / 100)

    def forward(self, images: Tensor) -> Tensor:
        features = self.features(images).reshape(len(images), self.groups, -1)
        return torch.einsum("bgi,gic->bgc", features, self.weight)


def train_cnn(logits_of: Callable[[Tensor], Tensor], parameters: list[Tensor], data: DataModule, steps: int) -> float:
    """Seconds per step; `logits_of` turns images [B, 1, 28, 28] into logits [B, networks, classes]."""
    optimizer = torch.optim.SGD(parameters, lr=0.01)
    index = data.train_indices[torch.randperm(len(data.train_indices))]
    start = 0.0
    for step in range(steps + 2):
        if step == 2:  # warm
            start = time.perf_counter()
        batch = index.roll(-step * data.batch_size)[: data.batch_size]
        images = (data.dataset.train_images[batch].unsqueeze(1).float() / 255 - data.mean) / data.std
        logits = logits_of(images)
        labels = data.dataset.train_labels[batch].unsqueeze(1).expand(-1, logits.shape[1])
        loss = F.cross_entropy(logits.flatten(0, 1).float(), labels.flatten(), reduction="sum") / data.batch_size
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return (time.perf_counter() - start) / steps


def cnn_alone(data: DataModule, steps: int, bf16: bool) -> float:
    network = SmallCNN().to(memory_format=torch.channels_last)
    return train_cnn(autocast(network, bf16), list(network.parameters()), data, steps)


def cnn_grouped(data: DataModule, steps: int, bf16: bool) -> float:
    network = SmallCNN(NETWORKS).to(memory_format=torch.channels_last)
    return train_cnn(
        autocast(lambda x: network(x.expand(-1, NETWORKS, -1, -1)), bf16), [*network.parameters()], data, steps
    )


def cnn_vmap(data: DataModule, steps: int, bf16: bool) -> float:
    parameters, buffers = torch.func.stack_module_state([SmallCNN() for _ in range(NETWORKS)])
    base = copy.deepcopy(SmallCNN()).to("meta")

    def logits(images: Tensor) -> Tensor:
        def one(own: dict[str, Tensor], state: dict[str, Tensor]) -> Tensor:
            return torch.func.functional_call(base, (own, state), (images,))[:, 0]

        return torch.func.vmap(one, out_dims=1)(parameters, buffers)

    return train_cnn(autocast(logits, bf16), list(parameters.values()), data, steps)


def autocast(logits_of: Callable[[Tensor], Tensor], bf16: bool) -> Callable[[Tensor], Tensor]:
    def run(images: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            return logits_of(images)

    return run


def measure(contenders: dict[str, Callable[[], float]], rounds: int) -> dict[str, list[float]]:
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, once in contenders.items():
            seconds[name].append(once())
    return seconds


def report(title: str, unit: str, seconds: dict[str, list[float]], bare: str) -> None:
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    base = min(median for name, median in medians.items() if name.startswith(bare))
    table = Table("", f"{unit} (median)", f"{unit} (all rounds)", f"of the faster {bare}", title=title)
    for column in table.columns[1:]:
        column.justify = "right"
    for name, median in medians.items():
        every = " ".join(f"{one:.3g}" for one in seconds[name])
        table.add_row(name, f"{median:.3g}", every, f"{median / base:.2f} ×")
    Console(width=120).print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--data", default="emnist", help="emnist (from $EMNIST_ROOT) or glyphs; overrides may follow")
    parser.add_argument("--stacks", type=int, nargs="+", default=STACKS)
    parser.add_argument("--steps", type=int, default=200, help="of the CNNs")
    arguments, overrides = parser.parse_known_args()
    chosen = [f"data={arguments.data}", *overrides]
    config = configure(chosen)
    set_up_process(config)
    data = DataModule(**config["data"], augmentation={"name": "none"}, seed=0)
    largest = max(arguments.stacks)
    contenders: dict[str, Callable[[], float]] = {
        "bare loop, 32-bit": lambda: bare(data, bf16=False),
        "bare loop, bf16": lambda: bare(data, bf16=True),
        **{f"{n} together": lambda n=n: stacked(chosen, n, threads=None) for n in arguments.stacks},  # type: ignore[misc]
        f"2 processes × {largest} together": lambda: side_by_side(chosen, largest),
    }
    images = f"{len(data.train_indices):,} images, {torch.get_num_threads()} threads, {choose_precision('auto', 'cpu')}"
    title = f"A run of the MLP study: an epoch of {images}\n{data.dataset.describe()}"
    report(title, "s per run and epoch", measure(contenders, arguments.rounds), "bare loop")
    epoch = len(data.train_indices) / data.batch_size  # steps
    ways = {
        "one after another": (cnn_alone, 1),
        "grouped convolution": (cnn_grouped, NETWORKS),
        "vmap": (cnn_vmap, NETWORKS),
    }
    contenders = {
        f"{name}, {'bf16' if bf16 else '32-bit'}": lambda way=way, n=n, bf16=bf16: (  # type: ignore[misc]
            epoch * way(data, max(arguments.steps // n, 1), bf16) / n
        )
        for name, (way, n) in ways.items()
        for bf16 in (False, True)
    }
    title = f"{NETWORKS} small CNNs ([32, 64] filters, 3 × 3): an epoch of {images}"
    report(title, "s per network and epoch", measure(contenders, arguments.rounds), "one after another")


if __name__ == "__main__":
    child(sys.argv[2]) if "--child" in sys.argv[1:2] else main()
