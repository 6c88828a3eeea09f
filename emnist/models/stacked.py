from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from emnist.models.layers import Dropout, keep_masks
from emnist.models.mlp import MLP


class StackedMLP(nn.Module):
    """Several MLPs of one shape as one network, with one batched matmul a layer.

    The parameters and running statistics of `networks` become views of the stacked ones: an optimizer of
    one of them updates it here, and its `state_dict()` is always current. `generators` draw the dropout masks, one a
    network; dropout may differ between them.

    Shapes: float [G, B, pixels of all channels] → logits [G, B, num_classes], for G networks.
    """

    def __init__(self, networks: Sequence[MLP], generators: Sequence[torch.Generator]):
        super().__init__()
        self.generators = generators
        parts = list(zip(*(_layers(network) for network in networks), strict=True))
        self.layers = nn.ModuleList(StackedLayer(layers) for layers in parts)

    def forward(self, images: Tensor) -> Tensor:
        x = images.transpose(1, 2)  # [G, features, B], so that batch norm sees features × G channels without a copy
        for layer in self.layers:
            x = layer(x, self.generators)
        return x.transpose(1, 2)

    def share_gradients(self) -> None:
        """After a backward pass: give the parameters of each network their part of the gradients.

        Gradients that stayed views would cost two passes over them a step, to zero them and to add to them.
        """
        for layer in cast(Sequence[StackedLayer], self.layers):
            for parameter, own in layer.parts:
                for tensor, gradient in zip(own, cast(Tensor, parameter.grad), strict=True):
                    tensor.grad = gradient
                parameter.grad = None


@dataclass
class Layer:
    """One layer of an MLP."""

    linear: nn.Linear
    norm: nn.BatchNorm1d | None = None
    activation: nn.Module | None = None
    dropout: float = 0.0


def _layers(network: MLP) -> list[Layer]:
    layers: list[Layer] = []
    for module in network.layers.children():
        if isinstance(module, nn.Linear):
            layers.append(Layer(module))
        elif isinstance(module, nn.BatchNorm1d):
            layers[-1].norm = module
        elif isinstance(module, Dropout):
            layers[-1].dropout = module.p
        elif not isinstance(module, nn.Flatten):
            layers[-1].activation = module
    return layers


class StackedLayer(nn.Module):
    """The same layer of several MLPs. Shapes: [G, in, B] → [G, out, B]."""

    def __init__(self, layers: Sequence[Layer]):
        super().__init__()
        first = layers[0]
        self.parts: list[tuple[nn.Parameter, list[nn.Parameter]]] = []  # each with those that are views of it
        linears, norms = [layer.linear for layer in layers], [layer.norm for layer in layers]
        self.weight = self._stack(linears, "weight")
        self.bias = self._stack(linears, "bias") if first.linear.bias is not None else None
        self.norm = first.norm
        if first.norm is not None:
            self.gain, self.shift = self._stack(norms, "weight"), self._stack(norms, "bias")
            self.mean, self.var = self._stack(norms, "running_mean"), self._stack(norms, "running_var")
            self.batches = self._stack(norms, "num_batches_tracked")
        self.activation = first.activation
        self.dropouts = [layer.dropout for layer in layers]
        self.scale = torch.tensor([1 / (1 - p) for p in self.dropouts], device=self.weight.device).view(-1, 1, 1)

    def _stack(self, modules: Sequence[nn.Module | None], name: str) -> Tensor:
        """The tensors of that name as one, of which those of `modules` become views."""
        tensors = [getattr(module, name) for module in modules]
        stacked = torch.stack([tensor.detach() for tensor in tensors])
        if not isinstance(tensors[0], nn.Parameter):
            for module, view in zip(modules, stacked, strict=True):
                setattr(module, name, view)
            return stacked
        for tensor, view in zip(tensors, stacked, strict=True):
            tensor.data = view
        parameter = nn.Parameter(stacked)
        self.parts.append((parameter, tensors))
        return parameter

    def forward(self, x: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        x = torch.bmm(self.weight, x) if self.bias is None else torch.baddbmm(self.bias.unsqueeze(2), self.weight, x)
        if self.norm is not None:
            x = self._normalize(x)
        if self.activation is not None:
            x = self.activation(x)
        if self.training and any(self.dropouts):
            networks, neurons, batch = x.shape
            # A network without dropout here must not draw from its own generator, as it doesn't alone.
            own = [generator if p else None for generator, p in zip(generators, self.dropouts, strict=True)]
            masks = keep_masks(networks, (neurons, batch), self.dropouts, x.device, own)
            x = x * masks.to(x.dtype).mul_(self.scale)
        return x

    def _normalize(self, x: Tensor) -> Tensor:
        assert self.norm is not None
        networks, neurons, batch = x.shape
        if self.training:
            self.batches += 1
        mean, var, gain, shift = (tensor.view(-1) for tensor in (self.mean, self.var, self.gain, self.shift))
        channels = x.reshape(1, networks * neurons, batch)
        momentum, eps = self.norm.momentum or 0.0, self.norm.eps
        normed = F.batch_norm(channels, mean, var, gain, shift, self.training, momentum, eps)
        return normed.view(networks, neurons, batch)
