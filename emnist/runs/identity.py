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
    content = json.dumps(_one_way({**rest, "data": {**data, "fingerprint": fingerprint}}), sort_keys=True)
    return f"{config['model']['name']}/{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def _one_way(value: Any) -> Any:
    """With 1 in place of 1.0, which mean the same."""
    if isinstance(value, dict):
        return {key: _one_way(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_one_way(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def run_name(fold: int | None, seed: int) -> str:
    """The name of a run within its cell."""
    return f"{'all' if fold is None else f'fold{fold}'}_seed{seed}"


def fold_and_seed(name: str) -> tuple[int | None, int]:
    """Those of the run of that name."""
    fold, _, seed = name.partition("_seed")
    return None if fold == "all" else int(fold.removeprefix("fold")), int(seed)


def flatten(config: dict[str, Any], prefix: str = "") -> dict[str, bool | int | float | str]:
    """{"model": {"name": "cnn"}} → {"model.name": "cnn"}, with what TensorBoard can't show as text."""
    flat: dict[str, bool | int | float | str] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value if isinstance(value, bool | int | float | str) else str(value)
    return flat
