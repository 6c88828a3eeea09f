"""What each augmentation adds to a training step of the CNN, as a share of it.

    python benchmarks/augmentation.py [--rounds 40] [--threads 2]

Every round times a step of the CNN of the study on a batch of 128 images (bf16 where the hardware has it), then each
kind, with the strengths of its file in conf/augmentation, on the same batch. On a busy machine single times mean
nothing, so the table has the median of the ratios within a round; with one thread, times are those of the CPU.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table

from emnist.command import CONF
from emnist.data.augmentation import Mixing, build_augmentation
from emnist.data.batches import normalize
from emnist.data.sources.glyphs import draw
from emnist.models import build_model
from emnist.training.hardware import choose_precision, hide_absent_gpu

BATCH_SIZE, REPEATS = 128, 3
CNN = {"filters": [32, 64, 128], "kernel_sizes": [5, 5, 3], "activation": "leaky"}


def training_step(images: torch.Tensor, labels: torch.Tensor) -> Callable[[], None]:
    network = build_model("cnn", 47, **CNN).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.Adam(network.parameters(), fused=True)
    bf16 = choose_precision("auto", "cpu") == "bf16-mixed"

    def step() -> None:
        inputs = normalize(images, 0.17, 0.33)
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = F.cross_entropy(network(inputs).float(), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def augmenting(name: str, images: torch.Tensor, labels: torch.Tensor) -> Callable[[], None]:
    with initialize_config_dir(str(CONF), version_base="1.3"):
        config = OmegaConf.to_container(compose("train", [f"augmentation={name}"]).augmentation)
    augment, generator = build_augmentation(47, **config), torch.Generator().manual_seed(0)

    def step() -> None:
        batch = images.float().unsqueeze(1)
        if isinstance(augment, Mixing):
            augment(batch, labels, generator)
        else:
            augment(batch, generator)

    return step


def seconds(step: Callable[[], None]) -> float:
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    start = clock()
    for _ in range(REPEATS):
        step()
    return (clock() - start) / REPEATS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    hide_absent_gpu()

    drawn = draw(-(-BATCH_SIZE // 47), seed=0).flatten(0, 1)[:BATCH_SIZE]
    labels = torch.randint(47, (BATCH_SIZE,))
    names = sorted(path.stem for path in (CONF / "augmentation").glob("*.yaml") if path.stem != "none")
    steps = {name: augmenting(name, drawn, labels) for name in names}
    train = training_step(drawn, labels)
    times: dict[str, list[float]] = {name: [] for name in names}
    shares: dict[str, list[float]] = {name: [] for name in names}
    for round in range(-2, arguments.rounds):  # two to warm up
        whole = seconds(train)
        for name, step in steps.items():
            own = seconds(step)
            if round >= 0:
                times[name].append(own)
                shares[name].append(own / whole)

    table = Table(title=f"A batch of {BATCH_SIZE}, beside a step of the CNN, {arguments.threads} threads")
    for column in ("augmentation", "ms (median)", "share of the step (median)", "half of the rounds"):
        table.add_column(column, justify="right")
    for name in names:
        low, middle, high = statistics.quantiles(shares[name], n=4)
        table.add_row(name, f"{1000 * statistics.median(times[name]):.2f}", f"{middle:.1%}", f"{low:.1%} to {high:.1%}")
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
