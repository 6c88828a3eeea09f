import pytest
import torch
from torchmetrics.functional.classification import multiclass_accuracy

from emnist.training.metrics import EpochMetrics, ranks

# Four samples of three classes: right and sure, right and unsure, second guess, last guess.
PROBABILITIES = torch.tensor([[0.9, 0.06, 0.04], [0.3, 0.4, 0.3], [0.6, 0.3, 0.1], [0.5, 0.3, 0.2]])
LABELS = torch.tensor([0, 1, 1, 2])


def test_metrics_by_hand():
    metrics = EpochMetrics(3)(PROBABILITIES.log(), LABELS)
    chosen = PROBABILITIES[torch.arange(4), LABELS]
    assert metrics["loss"] == pytest.approx(-chosen.log().mean().item())
    assert metrics["accuracy"] == 0.5
    assert metrics["top3_accuracy"] == 1
    # F1: class 0 has precision 1/3 and recall 1, class 1 precision 1 and recall 1/2, class 2 nothing.
    assert metrics["macro_f1"] == pytest.approx((0.5 + 2 / 3 + 0) / 3)
    # Each confidence in a bin of its own: |1 - 0.9|, |1 - 0.4|, |0 - 0.6|, |0 - 0.5|, a quarter each.
    assert metrics["ece"] == pytest.approx((0.1 + 0.6 + 0.6 + 0.5) / 4)


def test_nothing_is_left_over_from_the_pass_before():
    metrics = EpochMetrics(3)
    first = metrics(PROBABILITIES.log(), LABELS)
    metrics(PROBABILITIES.log(), LABELS.flip(0))
    assert metrics(PROBABILITIES.log(), LABELS) == first


def test_top_3_is_torchmetrics_own():
    logits, labels = torch.randn(500, 10, generator=torch.Generator().manual_seed(0)), torch.arange(500) % 10
    reference = multiclass_accuracy(logits.softmax(1), labels, 10, average="micro", top_k=3).item()
    assert EpochMetrics(10)(logits, labels)["top3_accuracy"] == pytest.approx(reference)


def test_equal_logits_are_no_way_to_the_top():
    assert ranks(torch.zeros(5, 5), torch.arange(5)).tolist() == [0, 1, 2, 3, 4]


def test_balanced_accuracy_is_the_mean_over_the_classes_that_have_images():
    logits = torch.eye(4)[torch.tensor([0, 0, 0, 1, 2, 3])]  # predictions
    labels = torch.tensor([0, 0, 0, 0, 1, 1])  # 3 of 4 and none of 2 are right; no image is of class 2 or 3
    metrics = EpochMetrics(4)(logits, labels)
    assert metrics["balanced_accuracy"] == pytest.approx((0.75 + 0) / 2)
    assert metrics["accuracy"] == 0.5
    even = torch.arange(4).repeat(5)
    metrics = EpochMetrics(4)(torch.randn(20, 4, generator=torch.Generator().manual_seed(0)), even)
    assert metrics["balanced_accuracy"] == pytest.approx(metrics["accuracy"])
