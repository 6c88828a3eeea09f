"""Whether heat maps show what the network uses.

Two checks, both on the probability of the predicted class and without labels. *Deletion*: paper over the pixels that
the map marks must lower it more than paper over as many random ones (Petsiuk et al., RISE, 2018). *Randomisation*: a
network with random weights must give other maps, or they show the image alone (Adebayo et al., Sanity checks for
saliency maps, 2018).
"""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats
from torch import Tensor, nn

from emnist.inference.load import TrainedClassifier
from emnist.inference.saliency import heat_maps

DELETED = 0.1  # of the pixels


@dataclass
class Faithfulness:
    images: int
    brightest: float  # by how much the probability falls if the brightest pixels of the map are deleted
    random: float  # … if random pixels are
    random_weights: float  # mean correlation of the ranks of the pixels with a map by random weights


def faithfulness(classifier: TrainedClassifier, images: Tensor, seed: int = 0) -> Faithfulness:
    """Both checks on images uint8 [N, 28, 28]."""
    generator = torch.Generator().manual_seed(seed)
    maps = heat_maps(classifier, images)
    before = classifier.predict(images)
    chosen = before.argmax(1, keepdim=True)

    def fall(order: Tensor) -> float:
        after = classifier.predict(delete(images, order)).gather(1, chosen)
        return (before.gather(1, chosen) - after).mean().item()

    other = heat_maps(randomized(classifier, seed), images, chosen.squeeze(1))
    return Faithfulness(
        len(images), fall(maps), fall(torch.rand(maps.shape, generator=generator)), correlation(maps, other)
    )


def delete(images: Tensor, order: Tensor) -> Tensor:
    """Images with the pixels that come first in `order` [N, 28, 28] turned into paper."""
    count = round(DELETED * order[0].numel())
    first = order.flatten(1).topk(count).indices
    return images.flatten(1).scatter(1, first, 0).view_as(images)


def randomized(classifier: TrainedClassifier, seed: int) -> TrainedClassifier:
    """The same network with the values of every weight in random order."""
    generator = torch.Generator().manual_seed(seed)
    network = copy.deepcopy(classifier.network)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                weight = layer.weight.cpu()
                shuffled = weight.flatten()[torch.randperm(weight.numel(), generator=generator)]
                layer.weight.copy_(shuffled.view_as(weight))
    return TrainedClassifier(network, classifier.classes, classifier.mean, classifier.std, classifier.temperature)


def correlation(maps: Tensor, others: Tensor) -> float:
    """Mean over the images of Spearman's rank correlation of two maps [N, 28, 28]; NaN if all maps are constant."""
    ranks = [stats.rankdata(one.flatten(1).numpy(), axis=1) for one in (maps, others)]  # paper ties at 0
    a, b = (rank - rank.mean(1, keepdims=True) for rank in ranks)
    scale = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(np.mean((a * b).sum(1)[scale > 0] / scale[scale > 0]))
