"""Read pictures of characters: python -m emnist.predict RUN image.png folder/ --out=predictions.csv"""

import argparse
import sys
from pathlib import Path

from emnist.command import one_line_errors


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m emnist.predict",
        description="Read pictures of single characters, or with --sheet pages full of them, with one or more runs. "
        "Prints a table, or writes it as CSV, with the most probable classes of each picture.",
    )
    add = parser.add_argument
    add("arguments", nargs="+", metavar="RUN|PICTURE", help="folders of runs, then image files, folders, or -")
    add("--sheet", action="store_true", help="each picture is a page: find all characters, in reading order")
    help_ink = "whether the ink is darker or lighter than the paper (default: auto)"
    add("--ink", choices=["auto", "dark", "light"], default="auto", help=help_ink)
    add("--top", type=int, default=5, metavar="N", help="classes of each character (default: 5)")
    help_augment = "average over as many shifted or turned views of each character, 8 at most (default: 0)"
    add("--augment", type=int, default=0, metavar="N", help=help_augment)
    add("--out", type=Path, metavar="FILE", help="write the table as CSV; default: print it")
    arguments = parser.parse_intermixed_args()
    with one_line_errors():
        from emnist.inference.predictions import predict_files  # imports torch, which --help can do without

        table, problems = predict_files(
            arguments.arguments, arguments.sheet, arguments.ink, arguments.top, arguments.augment
        )
        table.write(arguments.out) if arguments.out else table.print()
        for problem in problems:
            print(f"error: {problem}", file=sys.stderr)
        if problems:
            sys.exit(1)


if __name__ == "__main__":
    main()
