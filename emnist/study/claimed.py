"""Write a study that settles what a published table claims."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from omegaconf import OmegaConf

from emnist.analysis.claims import Step
from emnist.atomic import write_text
from emnist.errors import UserError
from emnist.study.overrides import key_of, merge

MISSING = "???"  # not an override, so the study ends with an error that names the value

STUDY = """\
# @package _global_
# The study of a published table: each value against the reference. `published` is the test accuracy in %.
defaults:
  - override /experiment: {model}_best # the reference; the command line may set its keys
  - override /hydra/sweeper: study

study:
  mode: around # around: each factor alone around the reference; greedy: in this order, each from the best so far
  reference: {reference} # with the reference value of each factor
  folds: [0, 1, 2, 3, 4] # every value is trained once per fold and seed
  seeds: [0]
  only: null # factors, or a value of one; null: all
  factors: # factor → value → the overrides that set it
{factors}

hydra: {{sweep: {{dir: outputs/study}}}}
"""


@dataclass(frozen=True)
class Known:
    """A value of one of the project's studies."""

    study: str  # a model has a study of its name
    factor: str
    label: str
    set: list[str]

    def holds_for(self, model: str) -> bool:
        """Only the model's own study sets its keys."""
        return self.study == model or not any(key_of(override).startswith("model.") for override in self.set)


def study_path(out: Path, conf: Path) -> Path:
    """Where a study written to `out` has to be: Hydra looks for it in a folder `study`, which is added if need be.

    `conf` is the folder of the project's configuration. Raises UserError if there can be no such study.
    """
    path = out if out.parent.name == "study" else out.parent / "study" / out.name
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*\.yaml", path.name):
        raise UserError(f"--out={out}: give a name of letters, digits, - and _ that ends in .yaml")
    if (conf / "study" / path.name).exists():
        raise UserError(f"--out={out}: the project has a study {path.stem}; choose another name")
    if path.exists():
        raise UserError(f"--out={out}: {path} exists; delete it or choose another name")
    return path


def write_study(path: Path, steps: Sequence[Step], model: str, conf: Path) -> list[str]:
    """Write the study of these steps around the best configuration of `model`, with the reference of each factor.

    Returns the values, as factor/value, whose overrides are missing: no study in `conf` has them. Raises UserError if
    the file can't be written.
    """
    known = known_values(conf)
    start: tuple[str, ...] = (f"experiment={model}_best", "threads=1")  # as all studies
    lines, missing = [], []
    for factor in dict.fromkeys(step.row.factor for step in steps):
        lines.append(f"    {_quoted(factor)}:")
        for step in (step for step in steps if step.row.factor == factor):
            overrides = overrides_of(factor, step.row.value, model, known)
            lines.append(f"      {_quoted(step.row.value)}: {_value(step, overrides)}")
            if overrides is None:
                missing.append(f"{factor}/{step.row.value}")
            elif step.row is step.reference:
                start = merge(start, overrides)
    write_text(path, STUDY.format(model=model, reference=_quoted(list(start)), factors="\n".join(lines)))
    return missing


def known_values(conf: Path) -> list[Known]:
    """The values of all studies in the project's configuration."""
    studies = {path.stem: OmegaConf.load(path) for path in sorted((conf / "study").glob("*.yaml"))}
    return [
        Known(name, str(factor), str(label), [value["set"]] if isinstance(value["set"], str) else value["set"])
        for name, config in studies.items()
        for factor, values in cast(dict[str, Any], OmegaConf.to_container(config))["study"]["factors"].items()
        for label, value in values.items()
        if "init" not in value  # which would need the network of that study
    ]


def overrides_of(factor: str, label: str, model: str, known: Sequence[Known]) -> list[str] | None:
    """The overrides of the known value with this name that holds for `model`; None if there is none, or several.

    The model's own study comes first. Case, spaces and underscores don't matter, and `Adam` is also `Adam 0.001` where
    no other Adam is known. In a factor that no study has, a name such as `StepLR` counts if all that have it are of one
    factor; a number or a list could mean anything.
    """
    candidates = [value for value in known if _plain(value.factor) == _plain(factor)]
    if not candidates:
        candidates = _named(label, known) if label[0].isalpha() else []
        if len({value.factor for value in candidates}) > 1:
            return None
    candidates = [value for value in candidates if value.holds_for(model)]
    own = _named(label, [value for value in candidates if value.study == model])
    found = own or _named(label, candidates)
    return found[0].set if found and all(value.set == found[0].set for value in found) else None


def _named(label: str, known: Sequence[Known]) -> list[Known]:
    exact = [value for value in known if _plain(value.label) == _plain(label)]
    return exact or [value for value in known if _plain(value.label.partition(" ")[0]) == _plain(label)]


def _plain(text: str) -> str:
    return "".join(text.replace("_", " ").split()).casefold()


def _value(step: Step, overrides: list[str] | None) -> str:
    value = f"set: {_quoted(MISSING if overrides is None else overrides)}"
    if step.row.accuracy is not None:
        value += f", published: {step.row.accuracy}"
    comments = ["write its overrides, such as [model.activation=relu]"] if overrides is None else []
    if step.tested is not None and step.tested.runs is not None:
        comments.append(f"{step.tested.points:+.2f} points: about {step.tested.runs:,} runs of each would find it")
    return f"{{{value}}}" + (f" # {'; '.join(comments)}" if comments else "")


def _quoted(value: str | list[str]) -> str:
    """YAML in which no word is a number or a boolean."""
    return json.dumps(value, ensure_ascii=False)
