"""Report what runs and studies show: python -m emnist.report outputs --out=outputs/report"""

import argparse
from pathlib import Path

from emnist.command import one_line_errors


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m emnist.report",
        description="Compare runs and studies: report.html, report.md and results.csv. Nothing is trained.",
    )
    parser.add_argument("folders", nargs="*", default=["outputs"], help="folders with runs (default: outputs)")
    parser.add_argument("--out", default="outputs/report", help="folder of the report (default: outputs/report)")
    arguments = parser.parse_args()
    with one_line_errors():
        from emnist.reporting.write import write_report  # imports torch and scipy, which --help can do without

        write_report([Path(folder) for folder in arguments.folders], Path(arguments.out))


if __name__ == "__main__":
    main()
