import pytest
import torch
from torch import nn

from emnist.errors import UserError
from emnist.models import MODELS, build_model
from emnist.models.layers import ACTIVATIONS, Dropout, find_activation, initialize

IMAGES = torch.randn(4, 1, 28, 28)
CNN_BEST = {"filters": [32, 64, 128], "kernel_sizes": [5, 5, 3], "activation": "leaky"}


def parameters(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def linear(n_in: int, n_out: int, bias: bool = True) -> int:
    return n_in * n_out + (n_out if bias else 0)


def conv(n_in: int, n_out: int, k: int, bias: bool = False) -> int:
    return n_in * n_out * k * k + (n_out if bias else 0)


def norm(n: int) -> int:
    return 2 * n


@pytest.mark.parametrize("name", ["mlp", "cnn", "resnet"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("batch_norm", [True, False])
def test_images_to_logits(name, activation, batch_norm):
    network = build_model(name, 10, activation=activation, batch_norm=batch_norm, dropout=0.1)
    logits = network(IMAGES)
    assert logits.shape == (4, 10)
    assert logits.isfinite().all()
    assert any(isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d) for m in network.modules()) == batch_norm


def test_mlp_parameters_by_hand():
    hidden = linear(784, 128, bias=False) + 2 * linear(128, 128, bias=False) + 3 * norm(128)
    assert parameters(build_model("mlp", 47, hidden_layers=3, neurons=128)) == hidden + linear(128, 47) == 139_951
    without = linear(784, 64) + linear(64, 64) + linear(64, 47)
    assert parameters(build_model("mlp", 47, hidden_layers=2, neurons=64, batch_norm=False)) == without


def test_cnn_parameters_by_hand():
    convolutions = conv(1, 32, 5) + conv(32, 64, 5) + conv(64, 128, 3) + norm(32) + norm(64) + norm(128)
    assert parameters(build_model("cnn", 47, **CNN_BEST)) == convolutions + linear(128 * 3 * 3, 47)
    baseline = conv(1, 32, 3, bias=True) + conv(32, 64, 3, bias=True) + linear(64 * 7 * 7, 47)
    assert parameters(build_model("cnn", 47, filters=[32, 64], kernel_sizes=[3, 3], batch_norm=False)) == baseline


def test_resnet_parameters_by_hand():
    stem = conv(1, 64, 3) + norm(64)
    first = 2 * 2 * (conv(64, 64, 5) + norm(64))  # two blocks of two, no projection

    def stage(n_in: int, n_out: int) -> int:
        projection = conv(n_in, n_out, 1) + norm(n_out)
        return conv(n_in, n_out, 5) + 3 * conv(n_out, n_out, 5) + 4 * norm(n_out) + projection

    expected = stem + first + stage(64, 128) + stage(128, 256) + linear(256, 47)
    assert parameters(build_model("resnet", 47)) == expected == 7_635_695


def test_resnet_keeps_the_resolution_in_its_first_stage():
    network = build_model("resnet", 47, blocks=[1, 2, 3], filters=[4, 8, 16], kernel_size=3)
    sizes = []
    for block in network.stages:
        block.register_forward_hook(lambda _, __, output: sizes.append(tuple(output.shape[1:])))
    network(IMAGES)
    assert sizes == [(4, 28, 28), *[(8, 14, 14)] * 2, *[(16, 7, 7)] * 3]


def test_dropout_per_hidden_layer():
    network = build_model("mlp", 47, hidden_layers=3, dropout=[0.25, 0.5, 0])
    assert [m.p for m in network.modules() if isinstance(m, Dropout)] == [0.25, 0.5]
    assert [m.p for m in build_model("mlp", 47, dropout=0.1).modules() if isinstance(m, Dropout)] == [0.1] * 3


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_initialisation_keeps_the_variance_through_many_layers(activation):
    torch.manual_seed(0)
    network = build_model("mlp", 47, hidden_layers=8, neurons=2000, activation=activation, batch_norm=False)
    x = torch.randn(20, 1, 28, 28)
    for layer in network.layers[:-1]:
        x = layer(x)
        if isinstance(layer, nn.Linear):
            scale = x.square().mean().item() / find_activation(activation).gain ** 2
            assert 0.7 < scale < 1.3


@pytest.mark.parametrize("name", ["mlp", "cnn", "resnet", "compact"])
def test_every_class_is_equally_likely_before_training(name):
    assert torch.equal(build_model(name, 47)(IMAGES), torch.zeros(4, 47))


@pytest.mark.parametrize(("activation", "gain"), [("relu", 2**0.5), ("elu", 1.2453), ("leaky", (2 / 1.01) ** 0.5)])
def test_initial_weights_fit_the_activation(activation, gain):
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(1000, 1000), nn.Linear(1000, 5))
    for batch_norm, expected in ((False, gain), (True, gain / 6**0.5)):
        initialize(layers, activation, batch_norm)
        assert layers[0].weight.std().item() * 1000**0.5 == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize(
    ("name", "hyperparameters", "message"),
    [
        ("vit", {}, "model.name=vit: unknown; choose one of mlp, cnn, resnet, compact, vgg5_spinal, wavemix_lite"),
        ("cnn", {"activation": "gelu"}, "model.activation=gelu: unknown; choose one of relu, elu, leaky"),
        (
            "cnn",
            {"filters": [8, 16], "kernel_sizes": [3]},
            r"model.kernel_sizes=\[3\] and filters=\[8, 16\] differ in length",
        ),
        ("cnn", {"filters": [8], "kernel_sizes": [4]}, r"model.kernel_sizes\[0\]=4: must be odd, such as 3 or 5"),
        ("cnn", {"filters": [8] * 5, "kernel_sizes": [3] * 5}, "1 to 4 layers"),
        ("cnn", {"filters": [0], "kernel_sizes": [3]}, r"model.filters\[0\]=0: must be greater than or equal to 1"),
        ("cnn", {"filters": 8, "kernel_sizes": 3}, "model.filters=8: must be a valid list"),
        ("resnet", {"kernel_size": 2}, "model.kernel_size=2: must be odd"),
        ("resnet", {"blocks": [2, 2]}, r"model.blocks=\[2, 2\] and filters=\[64, 128, 256\]"),
        ("mlp", {"dropout": 1.0}, "model.dropout=1.0: must be less than 1"),
        ("cnn", {"dropout": -0.1}, "model.dropout=-0.1: must be greater than or equal to 0"),
        ("mlp", {"dropout": [0.1, 0.2]}, r"model.dropout=\[0.1, 0.2\]: 2 values for hidden_layers=3"),
        ("mlp", {"hidden_layers": 0}, "model.hidden_layers=0: must be greater than or equal to 1"),
        ("mlp", {"neurons": "many"}, "model.neurons=many: must be a valid integer"),
        ("mlp", {"width": 3}, "model.width: no such key; the keys are hidden_layers, neurons"),
    ],
)
def test_invalid_hyperparameters_are_named(name, hyperparameters, message):
    with pytest.raises(UserError, match=message):
        build_model(name, 47, **hyperparameters)


SHAPES = [(3, 32, 32), (1, 16, 16), (3, 20, 33), (1, 64, 64)]


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("shape", SHAPES)
def test_images_of_any_shape(name, shape):
    network = build_model(name, 5, shape)
    assert network.image_shape == shape
    assert network(torch.randn(2, *shape)).shape == (2, 5)
    default = build_model(name, 5)
    assert default.image_shape == (1, 28, 28)


def test_a_cnn_says_how_many_layers_fit():
    with pytest.raises(UserError, match=r"model.filters=\[4, 4, 4\]: choose 1 to 2 layers; each halves the 7 pixels"):
        build_model("cnn", 5, (1, 9, 7), filters=[4] * 3, kernel_sizes=[3] * 3)
    network = build_model("cnn", 5, (1, 9, 7), filters=[4] * 2, kernel_sizes=[3] * 2)
    assert network(torch.randn(2, 1, 9, 7)).shape == (2, 5)
