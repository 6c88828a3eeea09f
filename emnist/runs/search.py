"""search.json: the trials of a search, for all who read them without Optuna."""

from typing import ClassVar, Literal

from pydantic import BaseModel, Field

from emnist.runs.stored import Stored

Scalar = bool | int | float | str
HAND_TUNED, SEARCHED = "hand-tuned", "searched"  # the values of the factor of a final
State = Literal["running", "complete", "pruned", "failed"]
RUNNING: State = "running"
COMPLETE: State = "complete"
PRUNED: State = "pruned"
FAILED: State = "failed"


class Parameter(BaseModel):
    """A dimension of the space."""

    key: str  # of the configuration; several parameters may set one key under different conditions
    kind: Literal["float", "int", "categorical"]
    low: float | None = None  # of numbers, both ends included
    high: float | None = None
    step: float | None = None
    log: bool = False
    choices: list[Scalar] | None = None  # of a categorical one; lists are written as in an override, [32,64]
    when: dict[str, list[Scalar]] | None = None  # searched only if each of these keys has one of these values


class Trial(BaseModel):
    """A configuration that the search tried: a cell, whose repeats are runs."""

    number: int  # from 0, in the order of asking
    state: State
    parameters: dict[str, Scalar]  # name in the space → value; without those whose condition doesn't hold
    overrides: list[str]  # what makes the cell
    cell: str | None = None  # its id; None if the overrides are invalid
    values: list[float] = Field(default_factory=list)  # the metric of each run that has ended
    value: float | None = None  # their mean; of one that lost a race, what to expect after all runs
    curve: list[float] = Field(default_factory=list)  # the metric after each epoch of the first run
    reason: str = ""  # why it was pruned, or failed
    seconds: float = 0.0  # of training
    started: float | None = None  # seconds since 1970
    ended: float | None = None


class Search(Stored):
    """Contents of search.json, updated after every trial."""

    FORMAT: ClassVar[str] = "emnist.search/1"

    name: str  # of its folder, such as cnn_tpe_0
    space_name: str  # of the file in conf/search/
    sampler: str  # grid, random, tpe, gp, cmaes
    seed: int
    pruner: str  # none, median, hyperband
    images: bool  # whether trials are also pruned by a test on the validation images
    metric: str  # such as val_accuracy
    direction: Literal["maximize", "minimize"]
    runs: list[str]  # names of the runs of a trial, such as fold0_seed0
    space: dict[str, Parameter]  # by name: the key, with its condition where several parameters set one key
    overrides: list[str]  # those of every trial
    reference: Trial | None = None  # the hand-tuned configuration, with the runs of a trial; no part of the search
    final: str | None = None  # name of the plan that compares the winner with the hand-tuned configuration
    winner: int | None = None  # number of the trial that the final is about
    fresh: list[str] = Field(default_factory=list)  # names of the final's runs; both are trained there as trials, too
    trials: list[Trial] = Field(default_factory=list)

    @property
    def sign(self) -> int:
        """1 if high values of the metric are good, else -1."""
        return 1 if self.direction == "maximize" else -1

    @property
    def best(self) -> Trial | None:
        """The first complete trial with the best value."""
        complete = [trial for trial in self.trials if trial.state == COMPLETE and trial.value is not None]
        return max(complete, key=lambda trial: self.sign * (trial.value or 0.0), default=None)
