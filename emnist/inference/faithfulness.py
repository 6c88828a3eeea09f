"""Whether heat maps show what the network uses.

Two checks, both on the predicted class and without labels. *Deletion* (Petsiuk et al., RISE, 2018): turning the pixels
that the map marks into paper must lower the probability of the class more than doing so with the map of another image,
which marks as many pixels in spots of the same kind, and with random pixels, most of which are paper anyway.
*Randomisation* (Adebayo et al., Sanity checks for saliency maps, 2018): a network with random weights must give
another map, or maps show the image alone. The maps are compared on ink, since all are 0 on most of the paper.
"""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from scipy import stats
from torch import Tensor, nn

from emnist.data.batches import with_channels
from emnist.inference.load import TrainedClassifier
from emnist.inference.saliency import heat_maps

DELETED = 0.1  # of the pixels
INK = 64  # of 255, from which a pixel is ink


@dataclass
class Faithfulness:
    images: int
    own: float  # by how much the probability falls if the brightest pixels of the map are deleted
    other: float  # … of the map of another image
    random: float  # … if random pixels are
    random_weights: float  # mean correlation of the ranks of the pixels of ink with a map by random weights


def faithfulness(classifier: TrainedClassifier, images: Tensor, seed: int = 0) -> Faithfulness:
    """Both checks on images uint8 [N, H, W] or [N, 3, H, W]."""
    generator = torch.Generator().manual_seed(seed)
    maps = heat_maps(classifier, images)
    before = classifier.predict(images)
    chosen = before.argmax(1, keepdim=True)

    def fall(order: Tensor) -> float:
        after = classifier.predict(delete(images, order)).gather(1, chosen)
        return (before.gather(1, chosen) - after).mean().item()

    other = heat_maps(randomized(classifier, seed), images, chosen.squeeze(1))
    noise = torch.rand(maps.shape, generator=generator)
    ink = with_channels(images).amax(1) >= INK
    return Faithfulness(len(images), fall(maps), fall(maps.roll(1, 0)), fall(noise), correlation(maps, other, ink))


def delete(images: Tensor, order: Tensor) -> Tensor:
    """Images with the pixels that come first in `order` [N, H, W] turned into paper, in all channels."""
    count = round(DELETED * order[0].numel())
    first = order.flatten(1).topk(count).indices
    kept = torch.ones_like(order.flatten(1), dtype=torch.bool).scatter(1, first, False).view_as(order)
    return (with_channels(images) * kept.unsqueeze(1)).view_as(images)


def randomized(classifier: TrainedClassifier, seed: int) -> TrainedClassifier:
    """The same network with the weights of every convolution and linear layer in random order."""
    generator = torch.Generator().manual_seed(seed)
    network = copy.deepcopy(classifier.network)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
                weight = layer.weight.cpu()
                shuffled = weight.flatten()[torch.randperm(weight.numel(), generator=generator)]
                layer.weight.copy_(shuffled.view_as(weight))
    return TrainedClassifier(network, classifier.classes, classifier.mean, classifier.std, classifier.temperature)


def correlation(maps: Tensor, others: Tensor, where: Tensor) -> float:
    """Mean over the images of Spearman's rank correlation of two maps [N, H, W] on the pixels of `where`, bool.

    Images on which a map is constant there don't count; NaN if all are.
    """
    found = []
    for one, other, here in zip(maps.numpy(), others.numpy(), where.numpy(), strict=True):
        a, b = (stats.rankdata(values[here]) for values in (one, other))
        if len(a) and np.ptp(a) and np.ptp(b):
            found.append(np.corrcoef(a, b)[0, 1])
    return float(np.mean(found)) if found else float("nan")
