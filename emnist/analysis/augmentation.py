"""What goes with the gain of an augmentation: a study of kinds and strengths in one or several settings."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from emnist.analysis.collection import Cell, Run
from emnist.analysis.statistics import LEVEL, holm
from emnist.analysis.study_result import Row, StudyResult

LOOKALIKES = (("6", "9"), ("n", "u"), ("p", "q"))  # by rotation; each also in the other case, as in EMNIST's "U"


@dataclass(frozen=True)
class Tried:
    """One kind at one strength, beside the runs without augmentation of the same setting."""

    setting: str  # empty in a study without settings
    kind: str
    strength: str
    rank: int  # of the strength among those of its kind, from 0, in the order of the study
    row: Row
    plain: Cell

    @property
    def gain(self) -> float:
        """Difference in test accuracy from the plain runs, as a fraction of 1."""
        assert self.row.difference is not None
        return self.row.difference.estimate.mean

    @property
    def pairs(self) -> list[tuple[Run, Run]]:
        """Its tested runs, each with the plain run of the same fold and seed."""
        plain = {(run.fold, run.seed): run for run in self.plain.tested}
        return [(run, plain[run.fold, run.seed]) for run in self.row.cell.tested if (run.fold, run.seed) in plain]


def tried_of(study: StudyResult) -> list[Tried]:
    """The comparisons of a study whose values differ from a start without augmentation in `augmentation` alone.

    None for any other study.
    """
    found = []
    for rows in study.factors.values():
        labels = [row.label for row in rows if not row.is_start]
        for row in rows:
            if row.is_start or not row.cell.runs:
                continue
            plain = study.starts[row.setting]
            if not plain.runs or plain.config["augmentation"]["name"] != "none" or _rest(row.cell) != _rest(plain):
                return []
            if row.difference is not None:
                found.append(Tried(row.setting or "", row.factor, row.label, labels.index(row.label), row, plain))
    return found


def _rest(cell: Cell) -> dict[str, Any]:
    """The configuration apart from fold, seed and augmentation."""
    config = {key: value for key, value in cell.config.items() if key not in ("seed", "augmentation")}
    return {**config, "data": {key: value for key, value in config["data"].items() if key != "fold"}}


def strength_names(count: int) -> list[str]:
    """What so many strengths of a kind are called, in the order of the study."""
    return ["weak", "medium", "strong"] if count == 3 else [f"number {i + 1}" for i in range(count)]


def by_setting(tried: Iterable[Tried]) -> dict[str, list[Tried]]:
    groups: dict[str, list[Tried]] = defaultdict(list)
    for one in tried:
        groups[one.setting].append(one)
    return dict(groups)


def by_kind(tried: Iterable[Tried]) -> dict[str, list[Tried]]:
    groups: dict[str, list[Tried]] = defaultdict(list)
    for one in tried:
        groups[one.kind].append(one)
    return dict(groups)


def chosen(tried: Iterable[Tried]) -> list[Tried]:
    """Of each kind in each setting, the strength with the highest validation accuracy; all, if there is no validation.

    So the test accuracy, by which gains are measured, chooses nothing.
    """
    best: dict[tuple[str, str], Tried] = {}
    tried = list(tried)
    for one in tried:
        if one.row.val is not None:
            before = best.setdefault((one.setting, one.kind), one)
            if before.row.val is not None and one.row.val.mean > before.row.val.mean:
                best[one.setting, one.kind] = one
    return list(best.values()) or tried


def contrasted(tried: Iterable[Tried], group: str, key: str) -> list[tuple[str, str]]:
    """Pairs of settings that differ in one key of the configuration alone: with its smallest and largest value.

    `data.per_class=null` means all images, which is the most. A cosine schedule that ends with the training is not
    another key.
    """
    alike: dict[str, list[tuple[float, str]]] = defaultdict(list)
    for setting, some in by_setting(tried).items():
        rest = _rest(some[0].plain)
        value = rest[group].get(key)
        rest[group] = {name: other for name, other in rest[group].items() if name != key}
        if key == "max_epochs" and rest["scheduler"].get("T_max") == value:
            rest["scheduler"] = {**rest["scheduler"], "T_max": None}
        alike[repr(rest)].append((float("inf") if value is None else float(value), setting))
    return [(min(some)[1], max(some)[1]) for some in alike.values() if min(some)[0] < max(some)[0]]


def generalization_gap(cell: Cell) -> float | None:
    """Training minus validation accuracy in the best epoch, averaged over the runs; None without both."""
    gaps = []
    for run in cell.tested:
        epoch = run.result.best_epoch if run.result is not None else None
        row = run.epochs[epoch - 1] if epoch is not None and epoch <= len(run.epochs) else {}
        if "train_accuracy" in row and "val_accuracy" in row:
            gaps.append(row["train_accuracy"] - row["val_accuracy"])
    return fmean(gaps) if gaps else None


class Correlation(NamedTuple):
    """Pearson's, with its 95% interval (Fisher, 1921)."""

    r: float
    low: float
    high: float
    points: int


def correlation(x: Sequence[float], y: Sequence[float]) -> Correlation | None:
    """None of fewer than four points, which allow no interval, or of equal values."""
    if len(x) < 4 or len(set(x)) < 2 or len(set(y)) < 2:
        return None
    result = stats.pearsonr(x, y)
    low, high = result.confidence_interval(1 - LEVEL)
    return Correlation(float(result.statistic), float(low), float(high), len(x))


class Passing(NamedTuple):
    """When the validation accuracy of augmented runs passes the best one of the plain runs."""

    epoch: int | None  # None: never
    epochs: int  # trained
    plain_best: int  # the epoch of the plain runs' best


def passing(one: Tried) -> Passing | None:
    """By the curves averaged over the runs of the same folds and seeds; None without validation."""
    augmented = mean_validation([run for run, _ in one.pairs])
    plain = mean_validation([run for _, run in one.pairs])
    if not len(augmented) or not len(plain):
        return None
    above = np.flatnonzero(augmented > plain.max())
    return Passing(int(above[0]) + 1 if len(above) else None, len(augmented), int(plain.argmax()) + 1)


def mean_validation(runs: Sequence[Run]) -> np.ndarray:
    """Validation accuracy by epoch, float [epochs of the shortest run], averaged over runs; empty without any."""
    curves = [[row["val_accuracy"] for row in run.epochs if "val_accuracy" in row] for run in runs]
    length = min(map(len, curves), default=0)
    return np.mean([curve[:length] for curve in curves], axis=0) if length else np.zeros(0)


class Moved(NamedTuple):
    """How far an augmentation moves training images; see emnist/runs/augmentation.py."""

    relative: float  # distance to itself augmented over that to the nearest of the class, median
    strayed: float  # by how much the share rises whose nearest other image is of another class


def moved(one: Tried) -> Moved | None:
    """Averaged over the runs; None if none has measured it."""
    known = []
    for run in one.row.cell.tested:
        if (m := run.movement) is not None and m.relative is not None:
            known.append((m.relative, m.other_class_augmented - m.other_class))
    return Moved(*map(fmean, zip(*known, strict=True))) if known else None


class Calibration(NamedTuple):
    """Changes from the plain runs."""

    ece: float  # expected calibration error with the temperature
    temperature: float


def calibration(one: Tried) -> Calibration | None:
    """Averaged over pairs of runs; None without temperatures."""
    ece, temperature = [], []
    for run, plain in one.pairs:
        a, b = run.result, plain.result
        if a is None or b is None or a.tested_temperature is None or b.tested_temperature is None:
            continue
        if a.test_calibrated_ece is not None and b.test_calibrated_ece is not None:
            ece.append(a.test_calibrated_ece - b.test_calibrated_ece)
            temperature.append(a.tested_temperature - b.tested_temperature)
    return Calibration(fmean(ece), fmean(temperature)) if ece else None


@dataclass(frozen=True)
class Confusion:
    """How often two classes are taken for each other, both ways, with and without a kind at its strongest."""

    kind: str
    strength: str
    classes: tuple[str, str]
    plain: int  # times, over the test images and all plain networks
    augmented: int
    networks: int  # pairs of them
    p: float  # of no difference between these networks, corrected for all pairs of classes and kinds

    @property
    def grew(self) -> bool:
        return self.augmented > self.plain and self.p < LEVEL


def confusions(tried: Iterable[Tried], classes: Sequence[str]) -> list[Confusion]:
    """The pairs of classes that are confused more often with the strongest of a kind, those that grew most first.

    Those that grew beyond chance and, of kinds that rotate, the lookalikes in any case. A sign test over the test
    images (McNemar's, where there is one pair of networks): an image counts for the side on which more networks confuse
    it. So it is about other images and these networks. Corrected by Holm's method.
    """
    found: list[tuple[Confusion, bool]] = []
    always = lookalikes(classes)
    for kind, some in by_kind(tried).items():
        last = max(one.rank for one in some)
        strongest = [one for one in some if one.rank == last]
        pairs = [pair for one in strongest for pair in one.pairs if all(run.predictions is not None for run in pair)]
        if not pairs:
            continue
        shown = always if any(_rotates(one.row.cell.config["augmentation"]) for one in strongest) else []
        for names, plain, augmented, p in _changes(pairs, classes, shown):
            about = Confusion(kind, strongest[0].strength, names, plain, augmented, len(pairs), p)
            found.append((about, names in shown))
    corrected = holm([one.p for one, _ in found])
    with_p = [(Confusion(**{**vars(one), "p": p}), shown) for (one, shown), p in zip(found, corrected, strict=True)]
    kept = [one for one, shown in with_p if shown or one.grew]
    kinds = list(dict.fromkeys(one.kind for one in kept))
    return sorted(kept, key=lambda one: (kinds.index(one.kind), one.plain - one.augmented))


def _changes(
    pairs: Sequence[tuple[Run, Run]], classes: Sequence[str], shown: Sequence[tuple[str, str]]
) -> Iterable[tuple[tuple[str, str], int, int, float]]:
    """Classes, times without and with, and p, of each pair of classes that any network confuses, and those `shown`."""
    counts = np.zeros((2, len(classes) ** 2), int)  # plain, augmented; by pair of classes
    net: dict[tuple[int, int], int] = defaultdict(int)  # pair of classes, image → networks that confuse it, net
    for augmented, plain in pairs:
        for side, run in enumerate((plain, augmented)):
            assert run.predictions is not None
            label, predicted = run.predictions
            wrong = np.flatnonzero(label != predicted)
            low, high = np.minimum(label, predicted)[wrong], np.maximum(label, predicted)[wrong]
            codes = low * len(classes) + high
            counts[side] += np.bincount(codes, minlength=len(classes) ** 2)
            for code, image in zip(codes.tolist(), wrong.tolist(), strict=True):
                net[code, image] += 2 * side - 1
    more, fewer = np.zeros(len(classes) ** 2, int), np.zeros(len(classes) ** 2, int)
    for (code, _), difference in net.items():
        more[code] += difference > 0
        fewer[code] += difference < 0
    p = np.minimum(1, 2 * stats.binom.cdf(np.minimum(more, fewer), more + fewer, 0.5))  # as mcnemar_p, for all at once
    index = {name: i for i, name in enumerate(classes)}
    wanted = {min(index[a], index[b]) * len(classes) + max(index[a], index[b]): (a, b) for a, b in shown}
    for code in np.flatnonzero(counts.any(0)).tolist() + [code for code in wanted if not counts[:, code].any()]:
        names = wanted.get(code, (classes[code // len(classes)], classes[code % len(classes)]))
        yield names, int(counts[0, code]), int(counts[1, code]), float(p[code])


def lookalikes(classes: Sequence[str]) -> list[tuple[str, str]]:
    """Those of LOOKALIKES that these classes have."""
    known = set(classes)
    pairs = [tuple(name if name in known else name.swapcase() for name in pair) for pair in LOOKALIKES]
    return [(a, b) for a, b in pairs if {a, b} <= known]


def _rotates(augmentation: dict[str, Any]) -> bool:
    return bool(augmentation.get("rotation")) or any(map(_rotates, augmentation.get("kinds", {}).values()))
