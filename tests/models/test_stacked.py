"""Networks on stacked weights against the same networks alone, and the layers that both have."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from emnist.models.layers import ACTIVATIONS, ELU, Dropout, keep_masks
from emnist.models.mlp import MLP
from emnist.models.stacked import StackedMLP

CLASSES, BATCH = 10, 32
DROPOUTS = [[0.25, 0.25], [0.0, 0.5], [0.0, 0.0], [0.4, 0.0]]


def build(dropouts: list[list[float]] = DROPOUTS, activation: str = "elu", batch_norm: bool = True) -> list[MLP]:
    torch.manual_seed(0)
    networks = [MLP(CLASSES, (1, 28, 28), 2, 24, activation, batch_norm, list(dropout)) for dropout in dropouts]
    for network in networks:
        nn.init.normal_(network.layers[-1].weight, std=0.2)  # else all gradients below it are zero
    return networks


def generators(networks: list[MLP]) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in range(len(networks))]


def examples(networks: list[MLP]) -> tuple[Tensor, Tensor]:
    torch.manual_seed(1)
    return torch.randn(len(networks), BATCH, 784), torch.randint(CLASSES, (len(networks), BATCH))


def step_together(networks: list[MLP], images: Tensor, labels: Tensor) -> Tensor:
    """The logits of a training step, whose gradients the networks then have."""
    stack = StackedMLP(networks, generators(networks)).train()
    logits = stack(images)
    F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum").div(BATCH).backward()
    stack.share_gradients()
    return logits


def step_alone(network: MLP, seed: int, images: Tensor, labels: Tensor) -> Tensor:
    torch.manual_seed(seed)
    logits = network.train()(images.view(-1, 1, 28, 28))
    F.cross_entropy(logits, labels).backward()
    return logits


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("batch_norm", [True, False])
def test_each_network_computes_as_alone(activation, batch_norm):
    """Also with other dropouts: a network draws the same masks whatever the others draw."""
    networks = build(activation=activation, batch_norm=batch_norm)
    alone = copy.deepcopy(networks)
    images, labels = examples(networks)
    logits = step_together(networks, images, labels)
    for i, (network, own) in enumerate(zip(networks, alone, strict=True)):
        torch.testing.assert_close(logits[i], step_alone(own, i, images[i], labels[i]), rtol=1e-4, atol=1e-5)
        for a, b in zip(network.parameters(), own.parameters(), strict=True):
            torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-6)
        for name, value in own.state_dict().items():
            torch.testing.assert_close(network.state_dict()[name], value, msg=name)
    with torch.no_grad():
        evaluated = StackedMLP(networks, generators(networks)).eval()(images)
        for i, own in enumerate(alone):
            expected = own.eval()(images[i].view(-1, 1, 28, 28))
            torch.testing.assert_close(evaluated[i], expected, rtol=1e-4, atol=1e-5)


def test_a_network_stays_current():
    """An optimizer of one network moves it within the stack, and no other."""
    networks = build(batch_norm=False)
    stack = StackedMLP(networks, generators(networks)).eval()
    images, _ = examples(networks)
    before = stack(images)
    optimizer = torch.optim.SGD(networks[1].parameters(), lr=0.5)
    stack.train()(images).square().sum().backward()
    stack.share_gradients()
    optimizer.step()
    after = stack.eval()(images)
    alone = networks[1].eval()(images[1].view(-1, 1, 28, 28))
    torch.testing.assert_close(after[1], alone, rtol=1e-4, atol=1e-5)
    moved = [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]
    assert moved == [False, True, False, False]


def test_running_statistics_are_those_of_each_network():
    networks = build()
    images, labels = examples(networks)
    images[1] += 3
    step_together(networks, images, labels)
    step_together(networks[:2], images[:2], labels[:2])  # the others have stopped
    norms = [network.layers[2] for network in networks]
    assert [int(norm.num_batches_tracked) for norm in norms] == [2, 2, 1, 1]
    assert not torch.allclose(norms[0].running_mean, norms[1].running_mean)
    assert all(norm.running_mean.abs().sum() > 0 for norm in norms)


@pytest.mark.parametrize("bf16", [False, True])
def test_the_bits_of_a_network_depend_neither_on_the_others_nor_on_threads(bf16):
    before, outcomes = torch.get_num_threads(), []
    try:
        for count, threads in ((4, 1), (4, 2), (3, 1), (2, 1), (1, 1)):
            torch.set_num_threads(threads)
            networks = build()[:count]
            images, labels = examples(build())
            with torch.autocast("cpu", torch.bfloat16, bf16, cache_enabled=False):
                logits = step_together(networks, images[:count], labels[:count])
            outcomes.append([logits[0], *(parameter.grad for parameter in networks[0].parameters())])
    finally:
        torch.set_num_threads(before)
    for outcome in outcomes[1:]:
        assert all(torch.equal(a, b) for a, b in zip(outcomes[0], outcome, strict=True))


def test_dropout_masks_are_those_of_the_network_alone():
    """Of activations that are all 1, dropout leaves 0 or 1 / (1 - p)."""
    dropout = Dropout(0.3).train()
    torch.manual_seed(5)
    alone = dropout(torch.ones(BATCH, 24))
    sources = [torch.Generator().manual_seed(seed) for seed in (4, 5)]
    masks = keep_masks(2, (24, BATCH), [0.6, 0.3], torch.device("cpu"), sources)
    assert torch.equal(alone, masks[1].t() / (1 - torch.tensor(0.3)))
    assert alone.unique().tolist() == pytest.approx([0, 1 / 0.7])


@pytest.mark.parametrize("p", [0.0, 0.1, 0.25, 0.5, 0.9])
def test_masks_keep_with_probability_1_minus_p(p):
    torch.manual_seed(0)
    count = 1001 * 999
    (mask,) = keep_masks(1, (1001, 999), [p], torch.device("cpu"))
    assert mask.shape == (1001, 999)
    assert abs(mask.float().mean().item() - (1 - p)) <= 5 * (p * (1 - p) / count) ** 0.5
    for one, other in ((mask[1:], mask[:-1]), (mask[:, 1:], mask[:, :-1])):  # neighbours have nothing in common
        both = (one & other).float().mean().item()
        assert abs(both - (1 - p) ** 2) <= 5 * ((1 - p) ** 2 / count) ** 0.5


def test_dropout_keeps_the_expectation():
    torch.manual_seed(0)
    assert Dropout(0.25).train()(torch.full((1000, 1000), 3.0)).mean().item() == pytest.approx(3, rel=0.005)
    ones = torch.ones(4, 5)
    assert Dropout(0.25).eval()(ones) is ones
    assert Dropout(0).train()(ones) is ones


def test_dropout_of_feature_maps_is_independent_and_keeps_their_order_in_memory():
    torch.manual_seed(0)
    maps = torch.ones(50, 6, 20, 10).to(memory_format=torch.channels_last)
    dropped = Dropout(0.25).train()(maps)
    assert dropped.shape == maps.shape
    assert dropped.is_contiguous(memory_format=torch.channels_last)
    assert dropped.unique().tolist() == pytest.approx([0, 4 / 3])
    for dims in ((1, 2, 3), (0, 2, 3), (0, 1, 3), (0, 1, 2)):
        assert (dropped.mean(dims) - 1).abs().max() < 0.1


def test_elu_is_torchs():
    tiny = torch.logspace(-8, 0, 50)
    x = torch.cat([torch.linspace(-90, 90, 2001), tiny, -tiny, torch.zeros(1)])
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    y, expected = ELU().train()(ours), nn.ELU()(theirs)
    torch.testing.assert_close(y, expected, rtol=0, atol=1e-6)
    with torch.no_grad():
        assert torch.equal(ELU().eval()(x), y)
    gradient = torch.linspace(-1, 1, len(x))
    y.backward(gradient)
    expected.backward(gradient)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=0, atol=1e-6)


def test_elu_in_bf16_rounds_once():
    x = torch.linspace(-10, 10, 2001).bfloat16()
    ours, exact = x.clone().requires_grad_(), x.float().requires_grad_()
    y, expected = ELU().train()(ours), nn.ELU()(exact)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), expected, rtol=2**-8, atol=1e-6)
    y.sum().backward()
    expected.sum().backward()
    torch.testing.assert_close(ours.grad.float(), exact.grad, rtol=2**-7, atol=2**-8)
