"""Train and study classifiers of handwritten characters."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emnist.runs.folder import load_run as load_run

__all__ = ["load_run"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name == "load_run":  # only now, since torch takes seconds to import and --help doesn't need it
        from emnist.runs.folder import load_run

        return load_run
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
