"""How fast a trained run predicts: as torch runs it, as ONNX, as ONNX in 8 bits, and in the page's JavaScript.

    python benchmarks/latency.py RUN… [--rounds 15]

Every contender takes uint8 images and returns probabilities. Python's have the same number of threads; JavaScript, in
node if it is there, has one thread, takes image by image, and draws a heat map of each. They are timed in turn, so that
whatever else the machine does slows all of them alike. The run's images have to be where they were, for
8 bits are calibrated on them.
"""

import argparse
import json
import shutil
import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from emnist.errors import UserError
from emnist.inference import page
from emnist.inference.cost import seconds_of, side_by_side
from emnist.inference.deployed import trace
from emnist.inference.device import describe_device
from emnist.inference.images import images_of
from emnist.inference.load import load_run
from emnist.inference.onnx import load_onnx, to_onnx
from emnist.inference.page import describe_network
from emnist.inference.quantization import quantize, some_of
from emnist.reporting.wording import model_name, threads
from emnist.runs.folder import RunFolder

BATCHES = (1, 512)  # images


def timers(run: Path) -> tuple[dict[str, Callable[[int], float]], str]:
    """Of each contender, what measures the seconds of one batch of so many images; and what they run, in words."""
    classifier, result = load_run(run), RunFolder(run).read_result()
    if result is None:
        raise UserError(f"{run}: the run is unfinished")
    data = images_of(result)
    images = data.dataset.test_images
    model = to_onnx(trace(classifier))
    small = quantize(model, data.dataset.train_images[some_of(data.train_indices)])

    def measure(predict: Callable[[Tensor], Tensor], batch: int) -> float:
        return seconds_of(partial(predict, images[:batch]))

    contenders = {
        "eager": partial(measure, classifier.predict),
        "ONNX": partial(measure, load_onnx(model)),
        "ONNX, int8": partial(measure, load_onnx(small)),
    }
    if shutil.which("node"):
        contenders["JavaScript, with heat map"] = partial(javascript, describe_network(classifier), images[:16])
    return contenders, f"{model_name(result.config['model']['name'])}, {result.parameters:,} parameters"


def javascript(network: dict[str, Any], images: Tensor, batch: int) -> float:
    """Seconds that the JavaScript of the page takes for a batch in node, on one thread."""
    scripts = [str(Path(page.__file__).with_suffix("") / "network.js")]
    given = {"scripts": scripts, "network": network, "images": images.flatten(1).tolist(), "batch": batch}
    command = ["node", str(Path(__file__).with_suffix(".js"))]
    return float(subprocess.run(command, input=json.dumps(given), capture_output=True, text=True, check=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    device = describe_device(torch.device("cpu"))
    for run in arguments.runs:
        contenders, network = timers(run)
        table = Table(title=f"{network}, {device['name']}, {threads(device)}")
        table.add_column("")
        columns = []
        for batch in BATCHES:
            timed = {name: partial(timer, batch) for name, timer in contenders.items()}
            columns.append((batch, side_by_side(timed, arguments.rounds)))
            for what in ("ms", "images/s", "× eager"):
                table.add_column(f"batch {batch}\n{what}", justify="right")
        for name in contenders:
            cells = []
            for batch, seconds in columns:
                own = seconds[name]
                cells += [f"{1000 * own:.3f}", f"{batch / own:,.0f}", f"{seconds['eager'] / own:.2f}"]
            table.add_row(name, *cells)
        Console(width=110).print(table)


if __name__ == "__main__":
    main()
