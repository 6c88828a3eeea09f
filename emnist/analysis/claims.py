"""Published ablation tables: which of their steps exceed the sampling error of the test images.

A step is a value of a factor compared with the factor's reference. Published accuracies allow no paired test, which
needs the predictions: for two networks tested on the same n images the variance of the difference is
(d - difference²) / n, where d, the share of images that exactly one of them gets right, is not published. So a step is
tested as if each accuracy came from its own n images, and as a paired test only for a d that is given.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import ceil, inf, sqrt

from scipy import stats

from emnist.analysis.statistics import LEVEL, holm
from emnist.errors import UserError, unknown

POWER = 0.8  # with which a step is to be found
RUN_SD = 0.3  # points: run-to-run standard deviation of the test accuracy, measured with this project's MLP

REFERENCE, BEYOND, WITHIN = "reference", "beyond sampling error", "within sampling error"
UNPUBLISHED, NO_REFERENCE = "not published", "no reference accuracy"

DASHES = ("", "-", "–", "—", "−")  # an accuracy that is not published
MARKS, NO_MARKS = ("x", "yes", "*"), ("", "no", *DASHES)


@dataclass(frozen=True)
class Published:
    """A row of the table."""

    factor: str
    value: str
    accuracy: float | None  # in %
    marked: bool = False  # as the reference of its factor


@dataclass(frozen=True)
class Tested:
    """What two published accuracies show. The p-values are corrected for the number of steps."""

    points: float
    p: float  # unpaired
    images: int | None  # that would show this difference without pairing; None: there is no difference
    runs: int | None  # of each value that would show it on the same images with pairing; None: there is no difference
    best_p: float  # the lowest that a paired test could give
    paired_p: float | None = None  # with the given disagreement
    paired_images: int | None = None  # that would show it with the given disagreement


@dataclass(frozen=True)
class Step:
    """A value against the reference of its factor."""

    row: Published
    reference: Published | None  # the row itself if it is the reference; None: no value has an accuracy
    tested: Tested | None  # None unless both accuracies are published

    @property
    def verdict(self) -> str:
        if self.tested is not None:
            return BEYOND if self.tested.p < LEVEL else WITHIN
        if self.row is self.reference:
            return REFERENCE
        return UNPUBLISHED if self.row.accuracy is None else NO_REFERENCE


def check_steps(
    rows: Sequence[Published], images: int, run_sd: float = RUN_SD, disagreement: float | None = None
) -> list[Step]:
    """The step of each row.

    `images` is the number of test images, `run_sd` the standard deviation between runs in points, `disagreement` the
    share of images, in %, that exactly one of the two networks of a step gets right. The images and runs needed are for
    80% power at the level that Holm's procedure asks of the lowest p: 5% over the number of steps.
    """
    factors = dict.fromkeys(row.factor for row in rows)
    references = {factor: reference_of([row for row in rows if row.factor == factor]) for factor in factors}
    pairs: dict[Published, tuple[float, float]] = {}
    for row in rows:
        reference = references[row.factor]
        if reference is None or row is reference or row.accuracy is None or reference.accuracy is None:
            continue
        pairs[row] = row.accuracy / 100, reference.accuracy / 100

    def corrected(test: Callable[[float, float], float]) -> dict[Published, float]:
        return dict(zip(pairs, holm([test(a, b) for a, b in pairs.values()]), strict=True))

    level = LEVEL / max(len(pairs), 1)
    share = None if disagreement is None else disagreement / 100
    p = corrected(lambda a, b: unpaired_p(a, b, images))
    best = corrected(lambda a, b: paired_p(a, b, images, 0))
    paired = {} if share is None else corrected(lambda a, b: paired_p(a, b, images, share))
    tested = {
        row: Tested(
            points=100 * (a - b),
            p=p[row],
            images=images_needed(a, b, level),
            runs=runs_needed(100 * (a - b), run_sd, level),
            best_p=best[row],
            paired_p=paired.get(row),
            paired_images=None if share is None else paired_images_needed(a, b, share, level),
        )
        for row, (a, b) in pairs.items()
    }
    return [Step(row, references[row.factor], tested.get(row)) for row in rows]


def reference_of(rows: Sequence[Published]) -> Published | None:
    """Of the rows of a factor the marked one, or else the first with the highest accuracy; None if none has one."""
    published = [row for row in rows if row.accuracy is not None]
    best = max(published, key=lambda row: row.accuracy or 0.0, default=None)
    return next((row for row in rows if row.marked), best)


def unpaired_p(a: float, b: float, images: int) -> float:
    """Two-sided p of equal accuracies, each measured on its own sample of so many images (Wald).

    The same test as `proportions_differ`.
    """
    return _normal_p(a - b, (a * (1 - a) + b * (1 - b)) / images)


def paired_p(a: float, b: float, images: int, disagreement: float) -> float:
    """Two-sided p of equal accuracies, measured on the same images.

    `disagreement` is the share of images that exactly one of the two networks gets right. It can be neither less than
    the difference nor more than the accuracies allow; the nearest possible share is used, so 0 gives the lowest p.
    """
    return _normal_p(a - b, (_possible(disagreement, a, b) - (a - b) ** 2) / images)


def _possible(disagreement: float, a: float, b: float) -> float:
    return min(max(disagreement, abs(a - b)), a + b, 2 - a - b)


def _normal_p(difference: float, variance: float) -> float:
    if difference == 0:
        return 1.0
    return float(2 * stats.norm.sf(abs(difference) / sqrt(variance) if variance > 0 else inf))


def images_needed(a: float, b: float, level: float) -> int | None:
    """Test images of each network with which the unpaired test finds this difference with 80% power.

    n = (z(level/2) √(2 m (1-m)) + z(0.2) √(a (1-a) + b (1-b)))² / (a-b)² with m = (a+b)/2 and z(q) exceeded with
    probability q. Fleiss, Levin and Paik, Statistical Methods for Rates and Proportions, 2003, chapter 4, without the
    continuity correction, which the test doesn't make either. None if there is no difference.
    """
    m = (a + b) / 2
    return _sample_size(a - b, 2 * m * (1 - m), a * (1 - a) + b * (1 - b), level)


def paired_images_needed(a: float, b: float, disagreement: float, level: float) -> int | None:
    """Test images with which the paired test finds this difference with 80% power; `disagreement` as in `paired_p`.

    n = (z(level/2) √d + z(0.2) √(d - (a-b)²))² / (a-b)². Connor, Sample size for testing differences in proportions for
    the paired-sample design, 1987. None if there is no difference.
    """
    share = _possible(disagreement, a, b)
    return _sample_size(a - b, share, share - (a - b) ** 2, level)


def _sample_size(difference: float, variance_if_equal: float, variance: float, level: float) -> int | None:
    if difference == 0:
        return None
    width = stats.norm.isf(level / 2) * sqrt(variance_if_equal) + stats.norm.isf(1 - POWER) * sqrt(max(variance, 0))
    return ceil((width / difference) ** 2)


def runs_needed(points: float, run_sd: float, level: float) -> int | None:
    """Runs of each of two values with which a two-sided t-test finds this difference of their means with 80% power.

    The power is that of the noncentral t distribution. Cohen, Statistical power analysis for the behavioral sciences,
    1988, chapter 2. None if there is no difference.
    """
    if points == 0:
        return None
    effect = abs(points) / run_sd
    # A normal test, which knows the standard deviation, needs fewer: the search starts there.
    runs = max(2, int(2 * ((stats.norm.isf(level / 2) + stats.norm.isf(1 - POWER)) / effect) ** 2))
    while stats.nct.sf(stats.t.isf(level / 2, 2 * runs - 2), 2 * runs - 2, effect * sqrt(runs / 2)) < POWER:
        runs += 1
    return runs


def read_table(
    text: str, name: str, factor: str | None = None, value: str | None = None, accuracy: str | None = None
) -> list[Published]:
    """The rows of a table whose cells are separated by commas, semicolons or tabs.

    `factor`, `value` and `accuracy` name columns. Without them, the columns called so are taken; if there are none, the
    whole table is one factor, the first column holds the values, and the last numeric one the accuracies in %. An empty
    cell of the factor means the factor above. Raises UserError, naming the table by `name`, the row as a spreadsheet
    counts it, and the column.
    """
    table = _Table(text, name)
    factors = table.find(factor, "factor")
    marks = table.find(None, "reference")
    values = table.find(value, "value")
    accuracies = table.find(accuracy, "accuracy")
    if values is None:
        values = table.first_other(factors, marks, accuracies)
    if accuracies is None:
        accuracies = table.last_numeric(factors, marks, values)
    only = table.columns[values] if table.has_header else "value"
    rows: list[Published] = []
    rows_of: dict[tuple[str, str], int] = {}
    references: dict[str, int] = {}
    for number, cells in table.rows:
        here = only if factors is None else cells[factors] or (rows[-1].factor if rows else "")
        if not here:
            raise table.wrong(number, factors, "empty; name the factor")
        label = cells[values]
        if not label:
            raise table.wrong(number, values, "empty; name the value")
        if before := rows_of.get((here, label)):
            raise table.wrong(number, values, f"{label}: row {before} has it too; name them apart")
        marked = table.is_marked(number, cells, marks)
        if marked and here in references:
            raise table.wrong(number, marks, f"row {references[here]} is the reference of {here} already")
        rows_of[here, label] = number
        if marked:
            references[here] = number
        rows.append(Published(here, label, table.accuracy(number, cells, accuracies), marked))
    if not rows:
        raise UserError(f"{name}: a header without rows")
    known = [(number, cells[accuracies]) for number, cells in table.rows if cells[accuracies] not in DASHES]
    if known and all((row.accuracy or 0) <= 1 for row in rows) and not any("%" in cell for _, cell in known):
        raise table.wrong(known[0][0], accuracies, f"{known[0][1]}: no accuracy is above 1; write them in %")
    return rows


def _number(cell: str) -> float | None:
    """A number with or without a percent sign, in English or with a decimal comma; None: it is none."""
    text = "".join(cell.split()).removesuffix("%").replace(",", ".")
    return float(text) if re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)", text) else None


class _Table:
    """Cells, stripped, with the number of their row, and the names of the columns: A, B … if the table has none."""

    def __init__(self, text: str, name: str):
        self.name = name
        rows = list(self.read(text))
        if not rows:
            raise UserError(f"{name}: empty; give a header and rows such as: ReLU,90.60")
        first = rows[0][1]
        self.has_header = not any(cell in DASHES[1:] or _number(cell) is not None for cell in first)
        if self.has_header:
            self.columns = first[: max(i for i, cell in enumerate(first, 1) if cell)]
            rows = rows[1:]
        else:
            self.columns = [chr(ord("A") + i) for i in range(len(first))]
        width = len(self.columns)
        for number, cells in rows:
            if len(cells) < width or any(cells[width:]):
                message = f"{len(cells)} cells for {width} columns; quote cells that contain the separator"
                raise self.wrong(number, None, message)
        self.rows = [(number, cells[:width]) for number, cells in rows]

    def read(self, text: str) -> Iterator[tuple[int, list[str]]]:
        """The rows that are not empty."""
        first = next((line for line in text.splitlines() if line.strip()), "")
        separator = next((mark for mark in "\t;" if mark in first), ",")
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True)
        number = 0
        try:
            for number, row in enumerate(reader, 1):
                cells = [cell.strip() for cell in row]
                if any(cells):
                    yield number, cells
        except csv.Error as error:
            raise UserError(f"{self.name}, row {number + 1}: {error}; check the quotes") from error

    def find(self, given: str | None, usual: str) -> int | None:
        """The column with the given name, which must exist, or with the usual one, which need not."""
        wanted = (given or usual).strip().lower()
        found = [i for i, column in enumerate(self.columns) if column.lower() == wanted]
        if len(found) > 1:
            raise UserError(f"{self.name}: {len(found)} columns are called {given or usual}")
        if given and not found:
            raise unknown(f"{self.name}, column", given, self.columns)
        return found[0] if found else None

    def first_other(self, *taken: int | None) -> int:
        """The first column that is not taken."""
        for i in range(len(self.columns)):
            if i not in taken:
                return i
        raise UserError(f"{self.name}: no column of values beside {', '.join(self.columns)}")

    def last_numeric(self, *taken: int | None) -> int:
        """The last column not taken of whose cells, other than empty ones, most are numbers."""
        for i in reversed(range(len(self.columns))):
            cells = [cells[i] for _, cells in self.rows if cells[i] not in DASHES]
            if i not in taken and 2 * sum(_number(cell) is not None for cell in cells) > len(cells):
                return i
        raise UserError(f"{self.name}: no column of accuracies in %; the columns are {', '.join(self.columns)}")

    def accuracy(self, number: int, cells: list[str], column: int) -> float | None:
        """In %; None if it is not published."""
        cell = cells[column]
        if cell in DASHES:
            return None
        accuracy = _number(cell)
        if accuracy is None:
            raise self.wrong(number, column, f"{cell}: not a number; write an accuracy in %, or nothing")
        if not 0 <= accuracy <= 100:
            raise self.wrong(number, column, f"{cell}: must be from 0 to 100%")
        return accuracy

    def is_marked(self, number: int, cells: list[str], column: int | None) -> bool:
        if column is None or cells[column].lower() in NO_MARKS:
            return False
        if cells[column].lower() not in MARKS:
            raise self.wrong(number, column, f"{cells[column]}: mark a reference with x, yes or *")
        return True

    def wrong(self, number: int, column: int | None, message: str) -> UserError:
        name = "" if column is None else f", column {self.columns[column]}"
        return UserError(f"{self.name}, row {number}{name}: {message}")
