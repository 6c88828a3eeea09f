"""What a classifier costs: multiply-accumulates, images per second, size on disk."""

import logging
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from json import dumps, loads
from pathlib import Path
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from emnist.data.batches import EVALUATION_BATCH
from emnist.inference.device import describe_device
from emnist.inference.load import load_run
from emnist.models import build_model
from emnist.models.layers import GREY_28, ImageShape
from emnist.runs.folder import RunFolder

SECONDS = 1.0  # least time of a measurement
ROUNDS = 7  # of measurements side by side


@dataclass
class Cost:
    images_per_s: float  # at inference, in 32-bit
    megabytes: float  # of best.ckpt
    device: dict[str, str | int]  # that this was measured on, see `describe_device`


def multiply_accumulates(model: dict[str, Any], classes: int, image_shape: ImageShape = GREY_28) -> int:
    """Multiply-accumulates of one image: half of the floating-point operations that torch counts."""
    return _count(dumps(model, sort_keys=True), classes, image_shape)


@cache
def _count(model: str, classes: int, image_shape: ImageShape) -> int:
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.inference_mode():
        network = build_model(num_classes=classes, image_shape=image_shape, **loads(model)).eval()
        network(torch.empty(1, *image_shape))
    return counter.get_total_flops() // 2


def measure_cost(folder: Path) -> Cost:
    """Inference speed of a run's classifier on this machine, now, and its size."""
    logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)  # imported below, warns of a missing CUDA
    from torch.utils.benchmark import Timer

    classifier = load_run(folder)
    images = torch.zeros(EVALUATION_BATCH, *classifier.array_shape, dtype=torch.uint8)
    code, names = "classifier.logits(images)", {"classifier": classifier, "images": images}
    timer = Timer(code, globals=names, num_threads=torch.get_num_threads())
    seconds = timer.blocked_autorange(min_run_time=SECONDS).median
    megabytes = RunFolder(folder).best.stat().st_size / 1e6
    return Cost(len(images) / seconds, megabytes, describe_device(torch.device("cpu")))


def seconds_of(call: Callable[[], object], least: float = 0.05) -> float:
    """Seconds that one call takes, the mean over at least `least` seconds."""
    start, calls = time.perf_counter(), 0
    while (passed := time.perf_counter() - start) < least or not calls:
        call()
        calls += 1
    return passed / calls


def side_by_side(timers: Mapping[str, Callable[[], float]], rounds: int = ROUNDS) -> dict[str, float]:
    """The median of what each timer returns, asked in turn, so that a busy machine slows all of them alike.

    A first round warms up and doesn't count.
    """
    seconds = [{name: timer() for name, timer in timers.items()} for _ in range(1 + rounds)][1:]
    return {name: statistics.median(each[name] for each in seconds) for name in timers}
