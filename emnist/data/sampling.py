import torch
from torch import Tensor


class BalancedOrder:
    """Orders in which every class comes equally often, in as many images as there are.

    A class with too few images repeats them, each as often as the others to within one; of a class with more than
    its share, another part is drawn each time. Where the number of images is no multiple of the number of classes, one
    more comes from some, drawn each time.
    """

    def __init__(self, labels: Tensor):
        """`labels` of the images to draw from, int64 [N]."""
        self.count = len(labels)
        self.members = [(labels == label).nonzero()[:, 0].cpu() for label in labels.unique()]

    def __call__(self, generator: torch.Generator) -> Tensor:
        """Positions in `labels`, int64 [N]: a function of the generator alone."""
        classes = len(self.members)
        share = torch.full((classes,), self.count // classes)
        share[torch.randperm(classes, generator=generator)[: self.count % classes]] += 1
        drawn = []
        for members, count in zip(self.members, share.tolist(), strict=True):
            shuffled = members[torch.randperm(len(members), generator=generator)]
            drawn.append(shuffled.repeat(-(-count // len(members)))[:count])
        positions = torch.cat(drawn)
        return positions[torch.randperm(self.count, generator=generator)]
