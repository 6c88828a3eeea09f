import pytest
import torch

from emnist.inference.calibration import fit_temperature
from emnist.training.metrics import EpochMetrics


def logits_and_labels(temperature: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits whose probabilities are right if they are divided by this temperature."""
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(20_000, 10, generator=generator)
    labels = torch.multinomial(logits.softmax(1), 1, generator=generator).squeeze(1)
    return logits * temperature, labels


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_true_temperature_is_found_and_calibrates(temperature):
    logits, labels = logits_and_labels(temperature)
    fitted = fit_temperature(logits, labels)
    assert fitted == pytest.approx(temperature, rel=0.05)
    measure = EpochMetrics(10)
    assert measure(logits / fitted, labels)["ece"] < 0.015
    if temperature != 1:
        assert measure(logits, labels)["ece"] > 0.05


def test_a_perfect_network_gets_a_finite_temperature():
    labels = torch.arange(100) % 10
    assert 0.04 < fit_temperature(5 * torch.eye(10)[labels], labels) < 1
