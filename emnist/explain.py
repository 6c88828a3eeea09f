"""Show what a network looks at: python -m emnist.explain RUN --mistakes 40"""

import argparse
from pathlib import Path

from emnist.command import one_line_errors


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m emnist.explain",
        description="Heat maps of the pixels that speak for the predicted class, as a sheet of pictures and as arrays: "
        "of pictures of characters, or of the most confident mistakes on the test set.",
    )
    add = parser.add_argument
    add("run", metavar="RUN", help="folder of a run")
    add("pictures", nargs="*", metavar="PICTURE", help="image files, folders, or -; default: mistakes")
    add("--mistakes", type=int, metavar="N", help="the most confident mistakes on the test set (default: 40)")
    help_ink = "whether the ink is darker or lighter than the paper (default: auto)"
    add("--ink", choices=["auto", "dark", "light"], default="auto", help=help_ink)
    add("--out", type=Path, metavar="FOLDER", help="default: explanations/ in the folder of the run")
    arguments = parser.parse_intermixed_args()
    with one_line_errors():
        from emnist.reporting.explanation import explain  # imports torch, which --help can do without

        explain(Path(arguments.run), arguments.pictures, arguments.mistakes, arguments.ink, arguments.out)


if __name__ == "__main__":
    main()
