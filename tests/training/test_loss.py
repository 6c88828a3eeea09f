import pytest
import torch
import torch.nn.functional as F

from emnist.errors import UserError
from emnist.training.loss import build_loss
from tests.fixtures.configuration import configure
from tests.fixtures.jobs import train_in

LOGITS = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
LABELS = torch.tensor([0, 4, 2, 2])
SHARES = 0.7 * F.one_hot(LABELS, 5).float() + 0.3 * F.one_hot(LABELS.flip(0), 5).float()


@pytest.mark.parametrize("labels", [LABELS, SHARES], ids=["classes", "shares"])
def test_without_smoothing_it_is_the_cross_entropy_to_the_bit(labels):
    assert torch.equal(build_loss(**configure().loss)(LOGITS, labels), F.cross_entropy(LOGITS, labels))


@pytest.mark.parametrize("labels", [LABELS, SHARES], ids=["classes", "shares"])
def test_smoothing_gives_a_share_to_all_classes(labels):
    shares = labels if labels.is_floating_point() else F.one_hot(labels, 5)
    expected = -((0.8 * shares + 0.2 / 5) * LOGITS.log_softmax(1)).sum(1).mean()
    found = build_loss(**configure("loss.label_smoothing=0.2").loss)(LOGITS, labels)
    torch.testing.assert_close(found, expected)


def test_metrics_are_those_without_smoothing(small, tmp_path):
    still = [*small, "optimizer.lr=0", "trainer.max_epochs=1"]
    plain = train_in(tmp_path / "plain", *still)
    smoothed = train_in(tmp_path / "smoothed", *still, "loss.label_smoothing=0.5")
    assert smoothed.test_loss == plain.test_loss
    rows = [(tmp_path / name / "metrics.csv").read_bytes() for name in ("plain", "smoothed")]
    assert rows[0] == rows[1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "hinge"}, "loss.name=hinge: unknown"),
        ({"label_smoothing": 1}, "loss.label_smoothing=1: must be less than 1"),
        ({"smoothing": 0.1}, "loss.smoothing: no such key; the keys are label_smoothing"),
    ],
)
def test_impossible_losses_are_named(arguments, message):
    with pytest.raises(UserError, match=message):
        build_loss(**arguments)
