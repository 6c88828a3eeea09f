"""How far an augmentation moves images, against how far the images of a class are apart.

An augmentation leaves the class of an image alone as long as the image stays nearer to its class than to others. By
the nearest image of the training set, in pixels, both can be measured without training anything.
"""

import torch
from torch import Tensor

from emnist.runs.augmentation import Movement

BLOCK = 2048  # images whose distances are computed at once


def movement(images: Tensor, labels: Tensor, augmented: Tensor, augmented_labels: Tensor) -> Movement:
    """How far the first images move when they are augmented, and which of all images is then the nearest.

    `images` uint8 [N, C, H, W] with `labels` int64 [N]; `augmented` float [M, C, H, W], 0 to 255, with
    `augmented_labels` int64 [M]: the first M of them, augmented. The image itself is never its nearest.
    """
    count = len(augmented)
    before, after = images[:count].flatten(1).float(), augmented.flatten(1)
    other = torch.cat(
        [torch.cdist(torch.cat([before, after]), block.flatten(1).float()) for block in images.split(BLOCK)], 1
    )
    itself = torch.arange(count)
    other[itself, itself] = other[itself + count, itself] = torch.inf
    nearest = labels[other.argmin(1)] != torch.cat([labels[:count], augmented_labels])
    same = other[:count].masked_fill(labels[:count, None] != labels, torch.inf).amin(1)
    moved = (after - before).norm(dim=1)
    known = same.isfinite() & (same > 0)  # not of an image that is alone in its class, or there twice
    return Movement(
        images=count,
        among=len(images),
        moved=moved.median().item(),
        to_class=same[known].median().item() if known.any() else None,
        relative=(moved[known] / same[known]).median().item() if known.any() else None,
        other_class=nearest[:count].float().mean().item(),
        other_class_augmented=nearest[count:].float().mean().item(),
    )
