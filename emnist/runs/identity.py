"""What makes two runs the same, wherever they are stored and whenever they were trained."""

import hashlib
import json
from typing import Any

# Keys that earlier versions lack, with the value that changes nothing.
LATER: dict[str, dict[str, Any]] = {
    "data": {"sampling": "natural", "per_class": None, "classes": None},
    "scheduler": {"interval": "epoch"},
    "loss": {"name": "cross_entropy", "label_smoothing": 0},
    "averaging": {"name": "none"},
    "evaluation": {"views": 0},
    "trainer": {"compile": "auto"},  # off changes rounding on a GPU, and is part of a cell as `threads` is
}


def cell_id(config: dict[str, Any], fingerprint: str = "") -> str:
    """Model and 12 hex digits: the same for all runs of one resolved configuration on the same images.

    Fold and seed distinguish the runs of a cell and are left out; so are the location of the data, for which
    `fingerprint` stands, and those of networks to start or to learn from, for which their sha256 does.
    """
    config = _without_neutral(config)
    data = {key: value for key, value in config["data"].items() if key not in ("root", "fold")}
    rest = {key: value for key, value in config.items() if key not in ("data", "seed", "init")}
    if init := config.get("init"):
        rest["init"] = {key: value for key, value in init.items() if key != "run"}
    if loss := rest.get("loss"):
        rest["loss"] = {key: value for key, value in loss.items() if key != "teachers"}
    content = json.dumps(_canonical({**rest, "data": {**data, "fingerprint": fingerprint}}), sort_keys=True)
    return f"{config['model']['name']}/{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def _without_neutral(config: dict[str, Any]) -> dict[str, Any]:
    """Without the keys of LATER that have their neutral value; a group that holds nothing else goes with them."""
    groups = {}
    for name, group in config.items():
        neutral = LATER.get(name, {})
        kept = group if not neutral else {k: v for k, v in group.items() if k not in neutral or v != neutral[k]}
        if kept or not neutral:
            groups[name] = kept
    return groups


def _canonical(value: Any) -> Any:
    """With 1 in place of 1.0, which mean the same."""
    if isinstance(value, dict):
        return {key: _canonical(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_canonical(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def run_name(fold: int | None, seed: int) -> str:
    """The name of a run within its cell."""
    return f"{'all' if fold is None else f'fold{fold}'}_seed{seed}"


def fold_and_seed(name: str) -> tuple[int | None, int]:
    """The fold and seed of the run with that name."""
    fold, _, seed = name.partition("_seed")
    return None if fold == "all" else int(fold.removeprefix("fold")), int(seed)
