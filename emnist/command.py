"""What all commands share: where conf/ is, and how they end. An error is one line, a traceback only on request."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from emnist.errors import Reported, describe

HERE = Path(__file__).resolve().parent
CONF = HERE / "conf" if (HERE / "conf").is_dir() else HERE.parent / "conf"  # in a wheel, in a checkout
TRACEBACK = "HYDRA_FULL_ERROR"  # Hydra's own variable, so one setting serves all commands


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn exceptions into `error: …` on stderr and exit code 1, and Ctrl-C into `interrupted`.

    With HYDRA_FULL_ERROR=1 they keep their traceback.
    """
    # Of a distributed run, only the process that was started by hand shows a traceback.
    traceback = os.environ.get(TRACEBACK) == "1" and "LOCAL_RANK" not in os.environ
    try:
        yield
    except SystemExit as end:
        if traceback and end.__cause__ is not None:
            raise end.__cause__ from None
        raise
    except Exception as error:
        if traceback:
            raise
        sys.exit(1 if isinstance(error, Reported) else f"error: {describe(error)}")
    except KeyboardInterrupt:
        sys.exit("interrupted")
