"""What starting from a trained network is worth, counted in labelled images.

A network that starts from another one with m labelled images a class reaches an accuracy for which n a class are needed
from scratch. n is read off the curve of the accuracies from scratch, between its points in a straight line over log n;
where the curve falls, which only chance does, it counts as level. The interval of n is from draws of all accuracies of
a target: test images make them vary together, trainings each for itself, with the variances of `variance.py`.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from emnist.analysis.collection import Cell
from emnist.analysis.comparison import prior_of, sample_of, test_accuracy
from emnist.analysis.statistics import LEVEL
from emnist.analysis.study_result import Estimate, Row, StudyResult
from emnist.analysis.variance import NO_PRIOR, Prior, Sample, moderated, training_variance

DRAWS = 4000  # of the accuracies of a target: its 2.5% quantiles are then the 2.0 to 3.0% ones


@dataclass
class Point:
    """Runs that start in one way, with so many labelled images a class."""

    images: float  # 0: its learning rate is 0
    row: Row
    test: Estimate | None
    worth: Estimate | None = None  # images a class from scratch: ∞ more than the most tried, 0 fewer than the fewest


@dataclass
class Line:
    """One way to start."""

    label: str
    source: str | None  # None: fresh weights
    points: list[Point]  # fewest images first


@dataclass
class Target:
    """What all these runs were tested on."""

    name: str
    data: str  # its description
    scratch: Line
    others: list[Line]

    @property
    def lines(self) -> list[Line]:
        return [self.scratch, *self.others]

    @property
    def fewest(self) -> float:
        """Labelled images a class, from scratch."""
        return self.scratch.points[0].images

    @property
    def most(self) -> float:
        return self.scratch.points[-1].images


def transfer_targets(study: StudyResult) -> list[Target]:
    """What the runs of a study were tested on, and how accurate they are with every value, from fewest images on."""
    found: dict[str, list[Row]] = defaultdict(list)
    for _, row in study.rows:
        if row.cell.tested:
            found[row.cell.fingerprint].append(row)
    targets = [_target(rows) for rows in found.values() if any(row.is_start for row in rows)]
    for target in targets:
        _enter_worth(target)
    return targets


def images_a_class(cell: Cell) -> float:
    """Labelled images a class that a tested cell was trained on; 0 if its learning rate is 0."""
    if cell.config["optimizer"]["lr"] == 0:
        return 0
    if (given := cell.config["data"].get("per_class")) is not None:
        return given
    result, classes = cell.tested[0].result, cell.tested[0].num_classes
    return result.data.train / classes if result and classes else 0


def needed(accuracy: float, images: ArrayLike, accuracies: ArrayLike) -> float:
    """Images a class from scratch that reach `accuracy`, from the curve of `accuracies` over `images`, fewest first.

    ∞ beyond the curve, 0 before it.
    """
    curve = np.maximum.accumulate(np.asarray(accuracies))
    if accuracy > curve[-1]:
        return math.inf
    if accuracy < curve[0]:
        return 0.0
    after = int(np.searchsorted(curve, accuracy))  # the fewest that reach it
    logs = np.log(images)
    if curve[after] == accuracy:
        return float(np.asarray(images)[after])
    share = (accuracy - curve[after - 1]) / (curve[after] - curve[after - 1])
    return float(np.exp(logs[after - 1] + share * (logs[after] - logs[after - 1])))


def _target(rows: Sequence[Row]) -> Target:
    lines: dict[str | None, Line] = {}
    for row in rows:
        line = lines.setdefault(None if row.is_start else row.label, Line(row.label, row.init, []))
        images = images_a_class(row.cell)
        # Without learning all runs are one network, whatever the other cells of the setting say of their variance.
        line.points.append(Point(images, row, row.test if images > 0 else test_accuracy(row.cell)))
    for line in lines.values():
        # The same cell may be the start of several factors.
        line.points = sorted({p.row.cell.id: p for p in line.points}.values(), key=lambda point: point.images)
    result = rows[0].cell.tested[0].result
    data = result.data.description if result else ""
    settings = list(dict.fromkeys(row.setting for row in rows if row.setting is not None))
    scratch = lines.pop(None)
    return Target(common_words(settings) or data, data, scratch, list(lines.values()))


def common_words(labels: Sequence[str]) -> str:
    """The words that all labels begin with: "digits" of "digits, 5 a class" and "digits, 10 a class"."""
    first, *others = [label.split() for label in labels] or [[]]
    count = next((i for i, word in enumerate(first) if any(other[i : i + 1] != [word] for other in others)), len(first))
    return " ".join(first[:count]).rstrip(",:;–")


def _enter_worth(target: Target) -> None:
    """Enter how many images from scratch each point is worth, where there is a curve to read it off."""
    points = [point for line in target.lines for point in line.points]
    samples = [sample_of(point.row.cell) for point in points]
    known = [(point, sample) for point, sample in zip(points, samples, strict=True) if sample is not None]
    curve = [i for i, (point, _) in enumerate(known) if point.row.is_start and point.images > 0]
    if len(curve) < 2:
        return
    images = [known[i][0].images for i in curve]
    cells: dict[str | None, list[Cell]] = defaultdict(list)
    for point, _ in known:
        cells[point.row.setting].append(point.row.cell)
    priors = {setting: prior_of(own) for setting, own in cells.items()}
    means = np.array([sample.shares.mean() for _, sample in known])
    drawn = drawn_accuracies(
        [(sample, priors[point.row.setting] if point.images > 0 else NO_PRIOR) for point, sample in known]
    )
    for i, (point, _) in enumerate(known):
        if not point.row.is_start:
            draws = [needed(one[i], images, one[curve]) for one in drawn]
            low, high = np.quantile(draws, [LEVEL / 2, 1 - LEVEL / 2], method="inverted_cdf")
            point.worth = Estimate(needed(means[i], images, means[curve]), float(low), float(high))


def drawn_accuracies(samples: Sequence[tuple[Sample, Prior]]) -> np.ndarray:
    """Accuracies on other test images and after other trainings, float [DRAWS, samples].

    They are nearly normal, with the variances of `accuracy_interval`, but for a sample of one run, where other
    trainings are unknown and left out. Test images are common to all samples, trainings are each one's own.
    """
    random = np.random.RandomState(0)
    shares = np.stack([sample.shares for sample, _ in samples])
    images = np.atleast_2d(np.cov(shares)) / shares.shape[1]
    drawn = np.tile(shares.mean(1), (DRAWS, 1))
    for i, (sample, prior) in enumerate(samples):
        if sample.runs > 1:
            images[i, i] = max(images[i, i] - sample.noise / sample.runs / shares.shape[1], 0.0)
            variance, df = moderated(sample, prior)
            drawn[:, i] += random.standard_t(df, DRAWS) * training_variance(sample, variance, sample.runs) ** 0.5
    values, vectors = np.linalg.eigh(images)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    return drawn + random.standard_normal((DRAWS, len(samples))) @ root
