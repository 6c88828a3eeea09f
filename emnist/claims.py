"""Check a published ablation table: python -m emnist.claims table.csv --images 18800"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from emnist.analysis.claims import POWER, RUN_SD, WITHIN, Step, check_steps, read_table
from emnist.analysis.statistics import LEVEL
from emnist.command import CONF, one_line_errors
from emnist.errors import UserError
from emnist.reporting.wording import count, p_value

WIDTH = 120  # where there is no terminal


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m emnist.claims",
        description="Say which steps of a published ablation table exceed the sampling error of its test images, how "
        "many images or runs would show the others, and write a study that settles them. Nothing is trained.",
    )
    add = parser.add_argument
    add("table", help="CSV file with , ; or tab; - for standard input; or an example: mlp, cnn, resnet")
    add("--images", type=int, required=True, help="number of test images")
    add("--seeds", type=int, default=1, help="runs behind each published accuracy (default: 1)")
    add("--factor-column", metavar="NAME", help="default: factor; without it the whole table is one factor")
    add("--value-column", metavar="NAME", help="default: value, or else the first column")
    add("--accuracy-column", metavar="NAME", help="in %%; default: accuracy, or else the last numeric column")
    add("--disagreement", type=float, metavar="PERCENT", help="images that exactly one of two networks gets right")
    add(
        "--run-sd",
        type=float,
        default=RUN_SD,
        metavar="POINTS",
        help=f"standard deviation between runs (default: {RUN_SD}, measured with this project's MLP)",
    )
    add("--out", type=Path, metavar="FILE", help="write a study, such as mine/study/claims.yaml")
    add("--model", choices=["mlp", "cnn", "resnet"], default="cnn", help="of the study (default: cnn)")
    arguments = parser.parse_args()
    with one_line_errors():
        check(arguments)


def check(arguments: argparse.Namespace) -> None:
    """Raises UserError for a table or an option that makes no sense."""
    for name, low in ("images", 1), ("seeds", 1):
        if getattr(arguments, name) < low:
            raise UserError(f"--{name}={getattr(arguments, name)}: must be at least {low}")
    if not 0 < arguments.run_sd < 100:
        raise UserError(f"--run-sd={arguments.run_sd}: must be between 0 and 100 points")
    if arguments.disagreement is not None and not 0 < arguments.disagreement <= 100:
        raise UserError(f"--disagreement={arguments.disagreement}: must be above 0 and at most 100%")
    text, name = read(arguments.table)
    rows = read_table(text, name, arguments.factor_column, arguments.value_column, arguments.accuracy_column)
    steps = check_steps(rows, arguments.images, arguments.run_sd, arguments.disagreement)
    if arguments.out is not None:
        from emnist.study.claimed import study_path

        path = study_path(arguments.out, CONF)  # before the table, which an error would push out of sight
    show(steps, name, arguments)
    if arguments.out is not None:
        save(path, steps, arguments.model)


def read(table: str) -> tuple[str, str]:
    """The text of the table and its name. Raises UserError if it can't be read."""
    examples = {path.stem: path for path in sorted((CONF / "claims").glob("*.csv"))}
    path = Path(table) if Path(table).is_file() else examples.get(table, Path(table))
    name = "standard input" if table == "-" else table
    try:
        content = sys.stdin.buffer.read() if table == "-" else path.read_bytes()
        return content.decode("utf-8-sig"), name
    except FileNotFoundError as error:
        raise UserError(f"{table}: no such file; the examples are {', '.join(examples)}") from error
    except OSError as error:
        raise UserError(f"{name}: can't be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{name}: not UTF-8; save the table as CSV UTF-8") from error


def show(steps: Sequence[Step], name: str, arguments: argparse.Namespace) -> None:
    """Print the table of the steps, and what it says in a few sentences."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH, highlight=False)
    paired = arguments.disagreement is not None
    headers = ["factor", "value", "accuracy", "points", "p", "verdict", "images\nneeded", "runs\nneeded"]
    headers += ["p\npaired", "images\npaired"] if paired else []
    table = Table(box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    table.title, table.title_justify = Text(f"{name}: test accuracy in %"), "left"
    for header in headers:
        words = header in ("factor", "value", "verdict")
        wrapped = header in ("factor", "value") or (words and console.width < WIDTH)
        table.add_column(header, justify="left" if words else "right", no_wrap=not wrapped, overflow="fold")
    before = None
    for step in steps:
        row, test = step.row, step.tested
        cells = ["" if row.factor == before else row.factor, row.value]
        cells.append("–" if row.accuracy is None else f"{row.accuracy:.2f}")
        before = row.factor
        if test is None:
            cells += ["", "", step.verdict]
        else:
            cells += [f"{test.points:+.2f}", p_value(test.p), step.verdict, needed(test.images), needed(test.runs)]
            cells += [p_value(test.paired_p), needed(test.paired_images)] if paired else []
        table.add_row(*map(Text, cells))  # brackets in a Text are no markup
    console.print(table)
    for sentence in sentences(steps, arguments):
        console.print(Text(sentence))


def needed(number: int | None) -> str:
    return "–" if number is None else f"{number:,}"


def sentences(steps: Sequence[Step], arguments: argparse.Namespace) -> list[str]:
    """What the table shows, in words."""
    tested = [step.tested for step in steps if step.tested is not None]
    if not tested:
        return ["No step can be tested: no factor has an accuracy beside that of its reference."]
    hidden = [step.tested for step in steps if step.tested is not None and step.verdict == WITHIN]
    all_steps = count(len(tested), "step")
    lines = [
        f"{len(tested) - len(hidden)} of {all_steps} exceed the sampling error of"
        f" {count(arguments.images, 'test image')} (each accuracy on its own sample, {LEVEL:.0%} for all together,"
        " Holm). Each value is compared with the marked value of its factor, or else with the best.",
        f"Images needed: test images that would show the difference with {POWER:.0%} power. Runs needed: runs of each"
        " value that would show it, if predictions are compared image by image and accuracies vary from run to run with"
        f" a standard deviation of {arguments.run_sd:g} points.",
    ]
    if arguments.seeds > 1:
        enough = sum(test.runs is not None and test.runs <= arguments.seeds for test in tested)
        lines.append(f"{arguments.seeds} runs of each would show {enough} of {all_steps}.")
    if hidden:
        best = sum(test.best_p < LEVEL for test in hidden)
        lines.append(
            f"More runs without their predictions can't show the {len(hidden)} within sampling error; compared image by"
            f" image, one run of each could show {best} of them at best."
        )
    if arguments.disagreement is not None:
        shown = sum(test.paired_p is not None and test.paired_p < LEVEL for test in tested)
        lines.append(
            f"If exactly one of the two networks is right on {arguments.disagreement:g}% of the images, a paired test"
            f" shows {shown} of {all_steps}."
        )
    return lines


def save(path: Path, steps: Sequence[Step], model: str) -> None:
    """Write the study; print how to run it and what it lacks."""
    from emnist.study.claimed import write_study

    missing = write_study(path, steps, model, CONF)
    if missing:
        print(f"{path}: write the overrides of {', '.join(missing)}, then")
    print(f"python -m emnist.train --config-dir {shlex.quote(str(path.parent.parent))} -m study={path.stem}")


if __name__ == "__main__":
    main()
