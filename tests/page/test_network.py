import numpy as np
import pytest
import torch
from torch import Tensor

from emnist.inference.load import TrainedClassifier, load_run
from emnist.inference.page import describe_network
from emnist.inference.saliency import heat_maps
from emnist.models import build_model
from emnist.models.layers import ACTIVATIONS
from tests.fixtures.javascript import call_javascript, needs_node

SMALL = {
    "mlp": {"neurons": 30, "hidden_layers": 2, "dropout": [0.2, 0]},
    "cnn": {"filters": [5, 6, 7, 9], "kernel_sizes": [3, 5, 1, 3], "dropout": 0.1},
    "compact": {"filters": [5, 6, 7], "dropout": 0.1},
    "resnet": {"blocks": [1, 2, 1], "filters": [5, 6, 7], "kernel_size": 3, "dropout": 0.1},
}
READ = """({ network, images }) => {
    const unpacked = unpackNetwork(network);
    return images.map((image) => readImage(unpacked, image));
}"""


def read(classifier: TrainedClassifier, images: Tensor, half: bool = False) -> tuple[Tensor, Tensor]:
    """Probabilities and heat maps that the page's JavaScript computes."""
    given = {"network": describe_network(classifier, half), "images": images.flatten(1).tolist()}
    answers = call_javascript(READ, given, "network.js")
    heat = torch.tensor([answer["heat"] for answer in answers])
    return torch.tensor([answer["probabilities"] for answer in answers]), heat.view(-1, 28, 28)


def made_up(name: str, **hyperparameters) -> TrainedClassifier:
    """A network with random weights and statistics, which are nowhere 0 or 1."""
    torch.manual_seed(0)
    network = build_model(name, num_classes=11, **SMALL[name], **hyperparameters)
    for key, value in network.state_dict().items():
        if value.ndim > 1:
            value.normal_(0, (2 / value[0].numel()) ** 0.5)
        elif value.is_floating_point():  # gains and variances of batch norm; shifts, means and biases
            value.uniform_(0.5, 1.5) if key.endswith(("weight", "running_var")) else value.normal_(0, 0.3)
    return TrainedClassifier(network, tuple("abcdefghijk"), 0.2, 0.3, temperature=1.7)


@needs_node
@pytest.mark.parametrize("name", ["mlp", "cnn", "resnet"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("batch_norm", [True, False])
def test_the_same_probabilities_and_heat_maps_as_in_python(name, activation, batch_norm, characters):
    classifier = made_up(name, activation=activation, batch_norm=batch_norm)
    images = torch.cat([characters.test_images[:20], torch.randint(0, 256, (5, 28, 28), dtype=torch.uint8)])
    probabilities, heat = read(classifier, images)
    assert (probabilities - classifier.predict(images)).abs().max() < 1e-4
    assert (heat - heat_maps(classifier, images)).abs().max() < 1e-3
    assert heat.max() == 1


@needs_node
def test_a_compact_network(characters):
    classifier = made_up("compact")
    images = characters.test_images[:30]
    probabilities, heat = read(classifier, images)
    assert (probabilities - classifier.predict(images)).abs().max() < 1e-4
    assert (heat - heat_maps(classifier, images)).abs().max() < 1e-3


@needs_node
def test_trained_networks(trained, trained_small, characters):
    for folder in (trained.path, trained_small):
        classifier = load_run(folder)
        probabilities, heat = read(classifier, characters.test_images)
        assert (probabilities - classifier.predict(characters.test_images)).abs().max() < 1e-4
        assert (heat - heat_maps(classifier, characters.test_images)).abs().max() < 1e-3


@needs_node
def test_half_precision(characters):
    classifier = made_up("resnet")
    probabilities, _ = read(classifier, characters.test_images[:50], half=True)
    assert 1e-6 < (probabilities - classifier.predict(characters.test_images[:50])).abs().max() < 1e-2
    numbers = np.array([0, -0.0, 1, -2.5, 65504, 6e-8, -3e-5, 0.1], np.float16)
    read_back = call_javascript("(bits) => bits.map(fromHalf)", numbers.view(np.uint16).tolist(), "network.js")
    assert np.array_equal(np.float16(read_back), numbers)
