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
    init: str | None = None  # the source whose network its runs start from
    cell: str | None  # the id of its cell; None until a greedy study has got so far, and without that network
    runs: list[str] | None = None  # names of its runs; None: those of the plan
    against: list[str] | None = None  # names of the runs it is compared with; None: those of the plan


class PlannedSource(BaseModel):
    """A network that values start from."""

    overrides: list[str]  # what makes it, beside those of the reference
    cell: str  # the id of its cell
    run: str  # the name of the run that trains it


class PlannedFactor(BaseModel):
    """The values of one factor, with the cell that they start from."""

    name: str
    setting: str | None = None  # in which they are varied, in a study that has settings
    reference: str | None  # id of the starting cell
    chosen: str | None  # label of the best value, in a greedy study
    values: list[PlannedValue]

    @property
    def title(self) -> str:
        """Its name, after that of its setting."""
        return self.name if self.setting is None else f"{self.setting}: {self.name}"


class Plan(Stored):
    """Contents of <study>.json, updated whenever the study knows more cells."""

    FORMAT: ClassVar[str] = "emnist.plan/1"

    study: str
    mode: str  # around, greedy
    runs: list[str]  # names of the runs of each cell, such as fold0_seed0
    reference_runs: list[str] = Field(default_factory=list)  # of the cell others are compared with; empty: the same
    delta: float = 0.3  # differences within ±delta points count as equal
    looks: list[int] = Field(default_factory=list)  # of a study that decides: runs after which it draws verdicts
    comparisons: int = 0  # of a study that decides: among how many the chance of a false verdict is shared
    reference: str  # id of the study's first cell; with settings, of the first setting's start
    overrides: list[str]  # what makes that cell; with settings, what all of them share
    sources: dict[str, PlannedSource] = Field(default_factory=dict)
    factors: list[PlannedFactor]

    def runs_of(self, value: PlannedValue) -> list[str]:
        return self.runs if value.runs is None else value.runs

    def runs_against(self, value: PlannedValue) -> list[str]:
        """Of the reference, those that the value is compared with."""
        return value.against if value.against is not None else self.reference_runs or self.runs
