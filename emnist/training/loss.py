"""The loss of a step on the labels, without the penalty and without what teachers add to it."""

from collections.abc import Callable
from functools import partial

import torch.nn.functional as F
from torch import Tensor

from emnist.checks import Probability, construct
from emnist.errors import unknown

Loss = Callable[..., Tensor]  # of logits float [B, classes] and labels, int64 [B] or shares float [B, classes]

OF_TEACHERS = ("teachers", "sha256", "weight", "temperature")  # see distillation.py


def build_loss(name: str = "cross_entropy", **arguments) -> Loss:
    """The loss of that name; `reduction` is as in torch. Raises UserError for invalid arguments."""
    if name not in ("cross_entropy", "distill"):
        raise unknown("loss.name", name, ["cross_entropy", "distill"])
    if name == "distill":
        arguments = {key: value for key, value in arguments.items() if key not in OF_TEACHERS}
    return construct("loss", cross_entropy, **arguments)


def cross_entropy(label_smoothing: Probability = 0.0) -> Loss:
    """With labels that give `label_smoothing` of each image to all classes alike (Szegedy et al., 2016)."""
    return partial(F.cross_entropy, label_smoothing=label_smoothing)
