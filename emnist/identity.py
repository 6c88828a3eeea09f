"""What a run is, wherever it lies and whenever it was trained."""

import hashlib
import json
from typing import Any


def cell_id(config: dict[str, Any], fingerprint: str = "") -> str:
    """Model and 12 hex digits: the same for runs of one resolved configuration on the same images.

    Fold and seed tell the runs of a cell apart and don't enter; nor does the place of the data, for which
    `fingerprint` stands.
    """
    data = {key: value for key, value in config["data"].items() if key not in ("root", "fold")}
    rest = {key: value for key, value in config.items() if key not in ("data", "seed")}
    content = json.dumps({**rest, "data": {**data, "fingerprint": fingerprint}}, sort_keys=True)
    return f"{config['model']['name']}/{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def run_name(fold: int | None, seed: int) -> str:
    """The name of a run within its cell."""
    return f"{'all' if fold is None else f'fold{fold}'}_seed{seed}"
