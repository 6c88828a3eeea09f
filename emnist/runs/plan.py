"""<study>.json: which cells a study consists of, and what each value of a factor means."""

from typing import ClassVar

from pydantic import BaseModel, Field

from emnist.runs.stored import Stored


class PlannedValue(BaseModel):
    """One value of a factor."""

    label: str
    overrides: list[str]  # what sets it
    published: float | None  # test accuracy in % of the reference report
    rank: int | None  # its order within the factor in the reference report, 1 is the best
    claim: str | None  # what the reference report says of it in words
    cell: str | None  # the id of its cell; None until a greedy study has got so far


class PlannedFactor(BaseModel):
    """The values of one factor, with the cell that they start from."""

    name: str
    reference: str | None  # id of the starting cell
    chosen: str | None  # label of the best value, in a greedy study
    values: list[PlannedValue]


class Plan(Stored):
    """Contents of <study>.json, updated whenever the study knows more cells."""

    FORMAT: ClassVar[str] = "emnist.plan/1"

    study: str
    mode: str  # around, greedy
    runs: list[str]  # names of the runs of each cell, such as fold0_seed0
    reference_runs: list[str] = Field(default_factory=list)  # of the cell that others are compared with; none: the same
    reference: str  # id of the study's first cell
    overrides: list[str]  # what makes that cell
    factors: list[PlannedFactor]
