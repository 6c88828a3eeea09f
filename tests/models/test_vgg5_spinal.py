from itertools import pairwise

import pytest
import torch
from torch import nn

from emnist.errors import UserError
from emnist.models import build_model
from emnist.models.vgg5_spinal import SpinalHead
from tests.models.test_models import IMAGES, conv, linear, norm, parameters


@pytest.mark.parametrize(("classes", "expected"), [(47, 3_648_751), (10, 3_629_770)])
def test_parameters_by_hand(classes, expected):
    """Of the layers in the authors' script, whose convolutions have biases although batch norm follows."""
    widths = [1, 64, 64, 128, 128, *[256] * 6]
    convolutions = sum(conv(before, after, 3, bias=True) + norm(after) for before, after in pairwise(widths))
    spinal = linear(128, 128) + 3 * linear(256, 128) + 4 * norm(128)
    found = parameters(build_model("vgg5_spinal", classes))
    assert found == convolutions + spinal + linear(4 * 128, classes) == expected


def test_the_resolution_halves_with_each_stage():
    network = build_model("vgg5_spinal", 47, filters=[4, 8, 8, 6], convolutions=[1, 2, 1, 1], neurons=5)
    sizes = []
    for layer in (*network.stages, network.feature_maps):
        layer.register_forward_hook(lambda _, __, output: sizes.append(tuple(output.shape[1:])))
    assert network(IMAGES).shape == (4, 47)
    assert sizes == [(4, 14, 14), (8, 7, 7), (8, 3, 3), (6, 3, 3), (6, 1, 1)]


def test_convolutions_have_the_weights_of_he_by_their_outputs():
    torch.manual_seed(0)
    convolutions = [m for m in build_model("vgg5_spinal", 47).modules() if isinstance(m, nn.Conv2d)]
    for layer in convolutions[1:]:
        assert layer.weight.std().item() == pytest.approx((2 / (9 * layer.out_channels)) ** 0.5, rel=0.02)


def test_the_layers_take_the_halves_of_the_features_in_turn():
    """Without the outputs of the layer before, each depends on one half alone."""
    torch.manual_seed(0)
    head = SpinalHead(features=10, num_classes=3, layers=4, neurons=6, dropout=0.5).eval()
    for layer in [*head.layers][1:]:
        nn.init.zeros_(layer[1].weight[:, 5:].detach())
    features = torch.randn(1, 10)
    before = outputs(head, features)
    for half, same in ((slice(0, 5), [False, True, False, True]), (slice(5, 10), [True, False, True, False])):
        moved = features.clone()
        moved[:, half] += 10
        assert [torch.equal(*pair) for pair in zip(before, outputs(head, moved), strict=True)] == same


def test_each_layer_takes_the_outputs_of_the_one_before_and_the_last_takes_all():
    torch.manual_seed(0)
    head = SpinalHead(features=10, num_classes=3, layers=4, neurons=6, dropout=0.5).eval()
    features = torch.randn(1, 10)
    before = outputs(head, features)
    nn.init.constant_(head.layers[1][2].bias, 5.0)  # moves what the second layer gives, and so the later ones
    after = outputs(head, features)
    assert [torch.equal(*pair) for pair in zip(before, after, strict=True)] == [True, False, False, False]
    for i in range(4):
        weight = torch.zeros(3, 24)
        weight[:, 6 * i : 6 * i + 6] = 1
        head.output[1].weight.data.copy_(weight)
        expected = after[i].sum() + head.output[1].bias
        assert torch.allclose(head(features), expected)


def outputs(head: SpinalHead, features: torch.Tensor) -> list[torch.Tensor]:
    """Of each spinal layer."""
    found: list[torch.Tensor] = []
    hooks = [layer.register_forward_hook(lambda _, __, output: found.append(output)) for layer in head.layers]
    head(features)
    for hook in hooks:
        hook.remove()
    return found


@pytest.mark.parametrize(
    ("hyperparameters", "message"),
    [
        ({"convolutions": [2, 2]}, r"model.convolutions=\[2, 2\] and filters=\[64, 128, 256, 256\]: give one of each"),
        ({"filters": [8] * 5, "convolutions": [1] * 5}, r"filters=.*: choose 1 to 4 stages; each halves the 28 pixels"),
        (
            {"filters": [8, 8, 8, 5]},
            "5 features have no halves; end with an even number",
        ),
    ],
)
def test_invalid_hyperparameters_are_named(hyperparameters, message):
    with pytest.raises(UserError, match=message):
        build_model("vgg5_spinal", 47, **hyperparameters)
