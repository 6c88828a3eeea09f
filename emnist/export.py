"""Carry a trained run elsewhere: python -m emnist.export RUN --format=onnx"""

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from emnist.command import one_line_errors
from emnist.errors import UserError

if TYPE_CHECKING:
    from torch import Tensor

WIDTH = 120  # where there is no terminal
INT8 = "model.int8.onnx"
SPEED_BATCHES = (1, 512)  # images


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m emnist.export",
        description="Write the classifier of a finished run as one file, from images (uint8 [N, 28, 28], or the shape"
        " that it was trained on) to probabilities, and a model card. The file is written only if it predicts what the"
        " run predicts.",
    )
    add = parser.add_argument
    add("run", type=Path, help="folder of the run")
    add("--format", choices=["onnx", "torch"], default="onnx", help="ONNX, or torch.export (default: onnx)")
    add("--int8", action="store_true", help="also a smaller ONNX model in 8 bits; needs the images of the run")
    add("--out", type=Path, metavar="FOLDER", help="default: export/ in the folder of the run")
    arguments = parser.parse_args()
    with one_line_errors():
        export(arguments.run, arguments.format, arguments.int8, arguments.out or arguments.run / "export")


def export(run: Path, format: str, int8: bool, out: Path) -> None:
    """Write the files and print what they are. Raises UserError for a run or options that can't be exported."""
    from emnist.atomic import write_bytes, write_text
    from emnist.inference import deployed, onnx, quantization
    from emnist.inference.images import images_of
    from emnist.inference.load import load_run
    from emnist.reporting.card import model_card
    from emnist.runs.folder import RunFolder

    if int8 and format != "onnx":
        raise UserError(f"--int8 with --format={format}: only ONNX models are quantised; leave one of them out")
    if format == "onnx":
        onnx.require_onnx()
    classifier, folder = load_run(run), RunFolder(run)
    result = folder.read_result()
    if result is None:
        raise UserError(f"{run}: the run is unfinished; finish it with python -m emnist.train resume={run}")
    data = images_of(result) if int8 else None  # before anything is written
    about, program = deployed.metadata(classifier, result), deployed.trace(classifier)
    if format == "onnx":
        name, model = "model.onnx", onnx.with_metadata(onnx.to_onnx(program), about)
        predict = onnx.load_onnx(model)
    else:
        name, model = "model.pt2", deployed.to_pt2(program, about)
        predict = deployed.load_pt2(model)
    difference = deployed.largest_difference(predict, classifier, str(out / name))
    write_bytes(out / name, model)
    print(
        f"{out / name}: {len(model) / 1e6:.2f} MB, probabilities within {difference:.0e} of the run's"
        f" at batches of {deployed.BATCHES_IN_WORDS}"
    )
    accuracies = {name: result.test_accuracy or 0.0}
    if data is not None:
        images, labels = data.dataset.test_images, data.dataset.test_labels
        some = quantization.some_of(data.train_indices)
        small = quantization.quantize(model, data.dataset.train_images[some])
        predictors = {name: predict, INT8: onnx.load_onnx(small)}
        accuracies = {each: quantization.accuracy(call, images, labels) for each, call in predictors.items()}
        small = onnx.with_metadata(small, {**about, "layers": "int8", "test_accuracy": f"{accuracies[INT8]:.4f}"})
        write_bytes(out / INT8, small)
        print(f"{out / INT8}: {len(small) / 1e6:.2f} MB, calibrated on {len(some):,} training images")
        compare(predictors, accuracies, images, result.data.description)
    write_text(out / "README.md", model_card(folder, result, classifier.classes, format, accuracies))
    print(f"{out / 'README.md'}: the model card")


def compare(
    predictors: dict[str, Callable[["Tensor"], "Tensor"]], accuracies: dict[str, float], images: "Tensor", data: str
) -> None:
    """Print accuracy and speed of the models side by side."""
    import torch

    from emnist.inference.cost import seconds_of, side_by_side
    from emnist.inference.device import describe_device
    from emnist.reporting.wording import threads

    device = describe_device(torch.device("cpu"))
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("file")
    table.add_column("test accuracy", justify="right")
    columns = []
    for batch in SPEED_BATCHES:
        some = images[:batch]
        timers = {name: partial(seconds_of, partial(call, some)) for name, call in predictors.items()}
        columns.append({name: len(some) / seconds for name, seconds in side_by_side(timers).items()})
        table.add_column(f"images/s, batch {batch}", justify="right")
    for name in predictors:
        table.add_row(name, f"{accuracies[name]:.2%}", *(f"{column[name]:,.0f}" for column in columns))
    console = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)
    console.print(Text(f"On the test images of {data}; {device['name']}, {threads(device)}:"), table)


if __name__ == "__main__":
    main()
