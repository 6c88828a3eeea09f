import numpy as np
import pytest
import torch
from captum.attr import InputXGradient, LayerGradCam
from torch import nn

import emnist
from emnist.data.batches import normalize
from emnist.inference.faithfulness import correlation, delete, faithfulness, randomized
from emnist.inference.load import TrainedClassifier
from emnist.inference.saliency import heat_maps
from emnist.models import build_model

MLP = {"name": "mlp", "hidden_layers": 2, "neurons": 16, "activation": "elu", "dropout": 0.2}
CNN = {"name": "cnn", "filters": [4, 8], "kernel_sizes": [3, 3], "activation": "leaky"}
RESNET = {"name": "resnet", "blocks": [1, 1], "filters": [4, 8], "kernel_size": 3}
VGG = {"name": "vgg5_spinal", "filters": [4, 8], "convolutions": [1, 2], "neurons": 16}
WAVEMIX = {"name": "wavemix_lite", "channels": 8, "blocks": 2}


def classifier_of(model: dict) -> TrainedClassifier:
    torch.manual_seed(0)
    network = build_model(num_classes=47, **model)
    *_, head = (layer for layer in network.modules() if isinstance(layer, nn.Linear))
    nn.init.normal_(head.weight)
    return TrainedClassifier(network, tuple(map(str, range(47))), 0.17, 0.33)


@pytest.mark.parametrize("model", [MLP, CNN, RESNET, VGG, WAVEMIX], ids=lambda model: model["name"])
def test_a_map_for_each_image(model, characters):
    classifier, images = classifier_of(model), characters.test_images[:300]
    maps = heat_maps(classifier, images)
    assert maps.shape == (300, 28, 28)
    assert maps.dtype == torch.float32
    assert maps.min() >= 0
    assert maps.max() == 1
    predicted = classifier.predict(images).argmax(1)
    assert torch.allclose(heat_maps(classifier, images, predicted), maps)
    assert torch.allclose(heat_maps(classifier, images[7:9]), maps[7:9], atol=1e-4)
    others = heat_maps(classifier, images, (predicted + 1) % 47)
    assert not torch.allclose(others, maps, atol=0.1)
    assert heat_maps(classifier, images[:0]).shape == (0, 28, 28)
    assert not any(parameter.grad is not None for parameter in classifier.network.parameters())


def test_the_resnet_has_the_grad_cam_of_captum(characters):
    classifier, images = classifier_of(RESNET), characters.test_images[:20]
    inputs = normalize(images, classifier.mean, classifier.std)
    target = classifier.network(inputs).argmax(1)
    theirs = LayerGradCam(classifier.network, classifier.network.feature_maps).attribute(
        inputs, target, relu_attributions=True
    )
    theirs = nn.functional.interpolate(theirs.detach(), (28, 28), mode="bilinear").squeeze(1)
    theirs = theirs / theirs.amax((1, 2), keepdim=True).clamp_min(1e-12)
    assert torch.allclose(heat_maps(classifier, images), theirs, atol=1e-4)


def test_the_mlp_has_the_gradient_times_ink_of_captum(characters):
    classifier, images = classifier_of(MLP), characters.test_images[:20]

    class OfInk(nn.Module):
        def forward(self, ink):
            return classifier.network((ink - classifier.mean) / classifier.std)

    ink = images.unsqueeze(1).float() / 255
    target = classifier.predict(images).argmax(1)
    theirs = InputXGradient(OfInk()).attribute(ink.requires_grad_(), target).detach().relu().squeeze(1)
    theirs = theirs / theirs.amax((1, 2), keepdim=True)
    assert torch.allclose(heat_maps(classifier, images), theirs, atol=1e-4)


def test_a_map_marks_the_place_that_counts():
    """A network that looks at one pixel, and a CNN whose head weighs one corner alone."""
    mlp = classifier_of({**MLP, "hidden_layers": 1, "batch_norm": False, "activation": "relu", "dropout": 0.0})
    first, last = mlp.network.layers[1], mlp.network.layers[-1]
    for layer in (first, last):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    first.weight.data[0, 5 * 28 + 9] = last.weight.data[3, 0] = 1.0
    images = torch.full((1, 28, 28), 200, dtype=torch.uint8)
    (heat,) = heat_maps(mlp, images, torch.tensor([3]))
    assert (heat == 1).nonzero().tolist() == [[5, 9]]
    assert heat.sum() == 1

    cnn = classifier_of(CNN)
    head = cnn.network.head[-1]
    weights = head.weight.data.view(47, 8, 7, 7)
    weights[:] = 0
    weights[3, :, 6, 0] = 1.0  # the bottom left
    (heat,) = heat_maps(cnn, images, torch.tensor([3]))
    assert heat[:20].max() < 0.01
    assert heat[:, 8:].max() < 0.01


def test_deleting_takes_the_brightest_pixels():
    images = torch.full((2, 28, 28), 9, dtype=torch.uint8)
    order = torch.arange(784.0).view(1, 28, 28).repeat(2, 1, 1)
    after = delete(images, order)
    assert (after == 0).sum((1, 2)).tolist() == [78, 78]
    assert after.flatten(1)[:, : 784 - 78].min() == 9
    assert images.min() == 9


def test_trained_maps_are_faithful(trained, characters):
    found = faithfulness(emnist.load_run(trained.path), characters.test_images)
    assert found.images == 470
    assert found.own > found.other > found.random
    assert found.random_weights < 0.5  # a map that is the image itself has 1


def test_random_weights_are_the_same_values_elsewhere(trained):
    classifier = emnist.load_run(trained.path)
    other = randomized(classifier, 0)
    for before, after in zip(classifier.network.parameters(), other.network.parameters(), strict=True):
        assert torch.equal(before.flatten().sort().values, after.flatten().sort().values)
    assert not torch.equal(next(classifier.network.parameters()), next(other.network.parameters()))


def test_correlation_on_ink():
    maps = torch.rand(4, 28, 28, generator=torch.Generator().manual_seed(0))
    everywhere = torch.ones_like(maps, dtype=torch.bool)
    assert correlation(maps, maps**2, everywhere) == pytest.approx(1)
    assert correlation(maps, -maps, everywhere) == pytest.approx(-1)
    assert abs(correlation(maps, maps.roll(1, 0), everywhere)) < 0.1
    ink = everywhere.clone()
    ink[:, 5:] = False
    others = maps.clone()
    others[:, 5:] *= -1
    assert correlation(maps, others, ink) == pytest.approx(1)
    assert correlation(maps, others, everywhere) < 0.9
    others[0] = 0  # a constant map has no ranks
    assert correlation(maps, others, ink) == pytest.approx(1)
    assert np.isnan(correlation(maps, torch.zeros_like(maps), everywhere))
