"""What distinguishes cells that are in no study."""

from collections.abc import Sequence

from emnist.analysis.collection import Cell
from emnist.runs.config import flatten
from emnist.runs.identity import LATER

NOT_OF_A_CELL = {"data.root", "data.fold", "seed", "init.sha256", "loss.sha256"}  # a run says more than 64 digits


def differing_settings(cells: Sequence[Cell]) -> list[str]:
    """For each cell the keys, with its values, that are not the same in all cells of its model."""
    flat = [flatten(LATER) | flatten(cell.config) for cell in cells]
    varied: dict[str, list[str]] = {}
    for model in {cell.model for cell in cells}:
        configs = [config for cell, config in zip(cells, flat, strict=True) if cell.model == model]
        keys = sorted({key for config in configs for key in config} - NOT_OF_A_CELL)
        varied[model] = [key for key in keys if len({str(config.get(key)) for config in configs}) > 1]
    return [
        ", ".join(f"{key}={config[key]}" for key in varied[cell.model] if key in config) or "–"
        for cell, config in zip(cells, flat, strict=True)
    ]
