"""A card of a data set: python -m emnist.data data=emnist data.split=letters --out=outputs/data"""

import argparse
from pathlib import Path

from emnist.command import one_line_errors


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m emnist.data",
        description="Describe a data set: classes, examples, equal and nearly equal images in training and test set, "
        "and labels that look wrong to networks trained on the other images. Nothing is trained.",
    )
    add = parser.add_argument
    add("keys", nargs="*", metavar="KEY=VALUE", help="the data, as for emnist.train: data=emnist data.split=letters")
    help_runs = "runs of one configuration on this data, which show labels that look wrong; best with all folds"
    add("--runs", type=Path, nargs="+", default=[], metavar="FOLDER", help=help_runs)
    help_near = "leave out the search for nearly equal images, which takes minutes for 100,000 images and more"
    add("--no-near", dest="near", action="store_false", help=help_near)
    add("--out", type=Path, default="outputs/data", metavar="FOLDER", help="folder of the card (default: outputs/data)")
    arguments = parser.parse_intermixed_args()
    with one_line_errors():
        from emnist.reporting.data_card import write_data_card  # imports torch, which --help can do without

        write_data_card(arguments.keys, arguments.runs, arguments.near, arguments.out)


if __name__ == "__main__":
    main()
