"""Draw characters and watch networks read them: python -m emnist.demo outputs/cnn/… outputs/mlp/…"""

import argparse
import webbrowser
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from emnist.atomic import write_text
from emnist.command import one_line_errors
from emnist.errors import UserError

if TYPE_CHECKING:
    from emnist.inference.page import Reader


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m emnist.demo",
        description="Open a page on which you draw a character and every network says, as you draw, what it reads.",
    )
    add = parser.add_argument
    add("runs", nargs="+", metavar="RUN", help="folder of a run")
    add("--out", type=Path, metavar="FILE", help="write the page as one file that needs no server and no network")
    add("--all", action="store_true", help="put networks into the page that are too large for it, in half precision")
    add("--port", type=int, default=0, help="default: any free one")
    add("--no-browser", action="store_true", help="don't open a browser, only print the address")
    arguments = parser.parse_args()
    with one_line_errors():
        demonstrate(arguments)


def demonstrate(arguments: argparse.Namespace) -> None:
    """Write the page, or serve it until Ctrl-C. Raises UserError for a folder without a run."""
    from emnist.inference.page import load_readers  # imports torch, which --help can do without

    readers = load_readers(arguments.runs)
    if arguments.out is None:
        serve(readers, arguments)
    else:
        write(readers, arguments)


def write(readers: Sequence["Reader"], arguments: argparse.Namespace) -> None:
    """Write the page and say what is in it. Raises UserError if no network fits into it."""
    from emnist.inference.page import pad_page

    left_out = [reader.left_out for reader in readers if not reader.is_in_page(arguments.all)]
    if len(left_out) == len(readers):
        raise UserError("; ".join(left_out))
    page = pad_page(readers, everything=arguments.all)
    write_text(arguments.out, page)
    for line in left_out:
        print(line)
    print(f"{arguments.out}: {len(page.encode()) / 1e6:.1f} MB, needs no server and no network")


def serve(readers: Sequence["Reader"], arguments: argparse.Namespace) -> None:
    """Serve the page, print its address and open it, until Ctrl-C."""
    from emnist.inference.page import pad_page
    from emnist.inference.server import build_server

    page = pad_page(readers, everything=arguments.all, served=True)
    here = [reader for reader in readers if not reader.is_in_page(arguments.all)]
    with build_server(page, here, arguments.port) as server:
        address = "http://{}:{}/".format(*server.server_address)
        print(f"{address} (Ctrl-C ends it)", flush=True)
        if not arguments.no_browser:
            webbrowser.open(address)
        with suppress(KeyboardInterrupt):
            server.serve_forever()


if __name__ == "__main__":
    main()
