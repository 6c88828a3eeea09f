"""Calibrated probabilities: logits divided by one temperature.

Guo et al., On calibration of modern neural networks, 2017.
"""

import torch.nn.functional as F
from scipy.optimize import minimize_scalar
from torch import Tensor

COOLEST, HOTTEST = 0.05, 20.0


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature T with the lowest cross-entropy of logits / T, on images that were not trained on.

    logits float [N, classes], labels int64 [N]. Above 1, the network was too sure of itself. Accuracy stays the same.
    """
    logits = logits.double().cpu()
    labels = labels.cpu()

    def loss(inverse: float) -> float:  # convex in 1 / T
        return F.cross_entropy(logits * inverse, labels).item()

    return float(1 / minimize_scalar(loss, bounds=(1 / HOTTEST, 1 / COOLEST), method="bounded").x)
