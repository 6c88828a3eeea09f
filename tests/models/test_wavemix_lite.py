import pytest
import torch

from emnist.errors import UserError
from emnist.models import build_model
from emnist.models.wavemix_lite import HaarTransform
from tests.models.test_models import IMAGES, conv, linear, norm, parameters


def test_parameters_by_hand():
    def block(channels: int) -> int:
        mlp = conv(channels, 2 * channels, 1, bias=True) + conv(2 * channels, channels, 1, bias=True)
        reduction, upsampling = conv(channels, channels // 4, 1, bias=True), conv(channels, channels, 4, bias=True)
        return reduction + mlp + upsampling + norm(channels)

    stem = conv(1, 64, 3, bias=True) + conv(64, 128, 3, bias=True)
    assert parameters(build_model("wavemix_lite", 47)) == stem + 7 * block(128) + linear(128, 47) == 2_408_591


def test_parameters_as_published():
    """The authors' repository states this number for WaveMixLite-64/6 on CIFAR-10."""
    assert parameters(build_model("wavemix_lite", 10, (3, 32, 32), channels=64, blocks=6)) == 520_106


def test_the_transform_of_four_pixels():
    pixels = torch.tensor([[1.0, 2.0], [4.0, 9.0]]).view(1, 1, 2, 2)
    average, along_rows, along_columns, along_both = 8, -3, -5, 2  # half of 1 ± 2 ± 4 ± 9
    assert HaarTransform(1)(pixels).flatten().tolist() == [average, along_rows, along_columns, along_both]


def test_the_transform_keeps_channels_and_places_apart():
    images = torch.zeros(1, 3, 6, 4)
    images[0, 1, 4, 2] = 2.0
    bands = HaarTransform(3)(images).view(4, 3, 3, 2)  # [band, channel, y, x]
    assert bands.nonzero().tolist() == [[band, 1, 2, 1] for band in range(4)]
    assert (bands[:, 1, 2, 1] == 1).all()


def test_the_transform_loses_nothing():
    torch.manual_seed(0)
    images, transform = torch.randn(2, 8, 14, 10), HaarTransform(8)
    bands = transform(images)
    assert bands.shape == (2, 32, 7, 5)
    assert torch.allclose(bands.square().sum(), images.square().sum())
    back = torch.nn.functional.conv_transpose2d(bands, transform.filters, stride=2)  # its transpose is its inverse
    assert torch.allclose(back, images, atol=1e-6)
    assert not list(transform.parameters())
    assert not transform.state_dict()


def test_blocks_keep_the_shape_and_add_to_their_input():
    network = build_model("wavemix_lite", 47, channels=8, blocks=3).eval()
    sizes = []
    for layer in network.layers:
        layer.register_forward_hook(lambda _, __, output: sizes.append(tuple(output.shape[1:])))
        torch.nn.init.zeros_(layer.mixed[-1].weight)
    expected = network.head(network.stem(IMAGES))
    assert torch.equal(network(IMAGES), expected)  # with batch norm at 0, a block is the identity
    assert sizes == [(8, 28, 28)] * 3


def test_channels_must_be_a_multiple_of_four():
    with pytest.raises(UserError, match="model.channels=30: must be a multiple of 4"):
        build_model("wavemix_lite", 47, channels=30)
