"""Say what runs and studies show: python -m emnist.report outputs --out=outputs/report"""

import argparse
import os
import sys
from pathlib import Path

from emnist.errors import describe


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m emnist.report",
        description="Compare what runs and studies found: report.html, report.md and results.csv. Nothing is trained.",
    )
    parser.add_argument("folders", nargs="*", default=["outputs"], help="folders that hold runs (default: outputs)")
    parser.add_argument("--out", default="outputs/report", help="where the report goes (default: outputs/report)")
    arguments = parser.parse_args()
    try:
        from emnist.reporting.write import write_report  # torch and scipy come in here, so that --help answers at once

        write_report([Path(folder) for folder in arguments.folders], Path(arguments.out))
    except Exception as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        sys.exit(f"error: {describe(error)}")
    except KeyboardInterrupt:
        sys.exit("interrupted")


if __name__ == "__main__":
    main()
