"""What a classifier costs: multiply-accumulates, images a second, bytes on the disk."""

import time
from dataclasses import dataclass
from functools import cache
from json import dumps, loads
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from emnist.data.batches import EVALUATION_BATCH
from emnist.models import build_model
from emnist.runs.folder import RunFolder, load_run

SECONDS = 1.0  # to measure the speed for, at least


@dataclass
class Cost:
    images_per_s: float  # at inference, in 32-bit
    megabytes: float  # of best.ckpt


def multiply_accumulates(model: dict[str, Any], classes: int) -> int:
    """Multiply-accumulates of one image: half of the floating-point operations that torch counts."""
    return _count(dumps(model, sort_keys=True), classes)


@cache
def _count(model: str, classes: int) -> int:
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.inference_mode():
        network = build_model(num_classes=classes, **loads(model)).eval()
        network(torch.empty(1, 1, 28, 28))
    return counter.get_total_flops() // 2


def measure_cost(folder: Path) -> Cost:
    """The speed on this machine, now, of the classifier of a run, and its size."""
    classifier = load_run(folder)
    images = torch.zeros(EVALUATION_BATCH, 28, 28, dtype=torch.uint8)
    batch = 16
    while True:  # warm up, and find a batch that takes long enough to be timed
        begin = time.perf_counter()
        classifier.logits(images[:batch])
        if batch == EVALUATION_BATCH or time.perf_counter() - begin > SECONDS / 2:
            break
        batch *= 2
    seen, begin = 0, time.perf_counter()
    while (seconds := time.perf_counter() - begin) < SECONDS:
        classifier.logits(images[:batch])
        seen += batch
    return Cost(seen / seconds, RunFolder(folder).best.stat().st_size / 1e6)
