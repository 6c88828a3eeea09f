import pytest
import torch

from emnist.errors import UserError
from emnist.models import build_model
from emnist.training.regularization import build_penalty


@pytest.mark.parametrize(("name", "power"), [("l1", 1), ("l2", 2)])
def test_only_weights_of_linear_and_convolution_layers_count(name, power):
    network = build_model("cnn", 3, filters=[2], kernel_sizes=[3], batch_norm=True)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(-2)
    weights = 2 * 1 * 3 * 3 + 3 * 2 * 14 * 14  # no bias, no batch norm
    assert build_penalty(network, name, 0.5)().item() == pytest.approx(0.5 * weights * 2**power)


def test_the_gradient_is_the_penaltys():
    network = build_model("mlp", 3, hidden_layers=1, neurons=4)
    build_penalty(network, "l1", 0.1)().backward()
    weight = network.layers[1].weight
    assert torch.allclose(weight.grad, 0.1 * weight.sign())


def test_by_name():
    network = build_model("mlp", 3)
    assert build_penalty(network, "none", 0) is None
    with pytest.raises(UserError, match="regularization.name=l3: unknown; choose one of none, l1, l2"):
        build_penalty(network, "l3", 0.1)
    with pytest.raises(UserError, match="regularization.strength=-1: must be greater than or equal to 0"):
        build_penalty(network, "l1", -1)
