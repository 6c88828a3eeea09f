"""The loss of a step, without the penalty."""

from collections.abc import Callable
from functools import partial

import torch.nn.functional as F
from torch import Tensor

from emnist.checks import Probability, construct
from emnist.errors import unknown

Loss = Callable[..., Tensor]  # of logits float [B, classes] and labels, int64 [B] or shares float [B, classes]


def build_loss(name: str = "cross_entropy", **arguments) -> Loss:
    """The loss of that name; `reduction` is as in torch. Raises UserError for invalid arguments."""
    if name != "cross_entropy":
        raise unknown("loss.name", name, ["cross_entropy"])
    return construct("loss", cross_entropy, **arguments)


def cross_entropy(label_smoothing: Probability = 0.0) -> Loss:
    """With labels that give `label_smoothing` of each image to all classes alike (Szegedy et al., 2016)."""
    return partial(F.cross_entropy, label_smoothing=label_smoothing)
