"""Train and study classifiers of handwritten characters."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emnist.inference.load import load_run as load_run

__all__ = ["load_run"]
__version__ = "0.7.0"


def __getattr__(name: str) -> Any:
    if name == "load_run":  # not earlier: it imports torch, which takes seconds and --help does not need
        from emnist.inference.load import load_run

        return load_run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
