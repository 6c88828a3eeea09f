import pytest
import torch
from omegaconf import OmegaConf
from torch import nn

from emnist.errors import UserError
from emnist.models import build_model
from emnist.training.muon import orthogonalize
from emnist.training.optimization import build_optimizer, build_scheduler
from tests.fixtures.configuration import configure


def muon(network: nn.Module, *overrides: str):
    return build_optimizer(network.parameters(), **_arguments("optimizer=muon", *overrides))


def _arguments(*overrides: str) -> dict:
    return OmegaConf.to_container(configure(*overrides), resolve=True)["optimizer"]


def gradients(network: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in network.parameters():
        parameter.grad = torch.randn(parameter.shape, generator=generator)


def three_layers(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 6), nn.Linear(6, 3), nn.Linear(3, 5))


@pytest.mark.parametrize("shape", [(5, 40), (40, 5), (16, 16)])
def test_singular_values_become_about_1(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonalize(matrix).float())
    assert (values > 0.5).all()
    assert (values < 1.3).all()
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    assert (orthogonalize(matrix).float() * (u @ v)).sum() > 0.95 * values.norm() * min(shape) ** 0.5  # its directions


@pytest.mark.parametrize("nesterov", [True, False])
def test_a_matrix_moves_as_with_torchs_muon(nesterov):
    ours, theirs = three_layers(), three_layers()
    a = muon(ours, "optimizer.weight_decay=0.1", f"optimizer.nesterov={nesterov}")
    b = torch.optim.Muon([theirs[1].weight], lr=0.02, weight_decay=0.1, momentum=0.95, nesterov=nesterov)
    start = ours[1].weight.detach().clone()
    for step in range(4):
        gradients(ours, step)
        gradients(theirs, step)
        a.step()
        b.step()
    moved = theirs[1].weight.detach() - start
    torch.testing.assert_close(ours[1].weight.detach() - start, moved, rtol=0.02, atol=1e-3)


def test_a_convolution_is_a_matrix_of_its_filters():
    network = build_model("cnn", 47, filters=[4, 8], kernel_sizes=[3, 3]).to(memory_format=torch.channels_last)
    optimizer = muon(network, "optimizer.momentum=0")
    (weight,) = optimizer.param_groups[0]["params"]
    assert weight.shape == (8, 4, 3, 3)
    before = weight.detach().clone()
    gradients(network, 0)
    optimizer.step()
    step = (before - weight.detach()).flatten(1) / 0.02
    torch.testing.assert_close(step, orthogonalize(weight.grad.flatten(1)).float(), rtol=0.02, atol=1e-4)


def test_the_other_parameters_move_as_with_the_other_optimizer():
    ours, theirs = three_layers(), three_layers()
    a = muon(ours, "optimizer.others.lr=0.01")
    b = torch.optim.AdamW(theirs.parameters(), lr=0.01, weight_decay=0, fused=True)
    for step in range(3):
        gradients(ours, step)
        gradients(theirs, step)
        a.step()
        b.step()
    for (name, parameter), other in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert torch.equal(parameter, other) == (name != "1.weight"), name


def test_a_schedule_scales_both_rates():
    optimizer = muon(three_layers(), "optimizer.lr=0.4", "optimizer.others.lr=0.1")
    scheduler = build_scheduler(optimizer, steps=5, **configure("scheduler=onecycle", "trainer.max_epochs=2").scheduler)
    for _ in range(9):
        optimizer.step()
        scheduler.step()
        hidden, others = (group["lr"] for group in optimizer.param_groups)
        assert hidden == pytest.approx(4 * others)
        assert optimizer.others.param_groups[0]["lr"] == others


def test_it_continues_from_its_state():
    whole, parted = three_layers(), three_layers()
    optimizer, first = muon(whole), muon(parted)
    for step in range(2):
        gradients(whole, step)
        gradients(parted, step)
        optimizer.step()
        first.step()
    second = muon(parted, "optimizer.lr=1", "optimizer.others.lr=1")
    second.load_state_dict(first.state_dict())
    gradients(whole, 2)
    gradients(parted, 2)
    optimizer.step()
    second.step()
    for a, b in zip(whole.parameters(), parted.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["optimizer.lr=-1"], "optimizer.lr=-1: must be greater than or equal to 0"),
        (["+optimizer.eps=1"], "optimizer.eps: no such key; the keys are lr, momentum, nesterov, weight_decay"),
        (["optimizer.others.name=Other"], "optimizer.others.name=Other: no such class in torch.optim"),
        (["optimizer.others.lr=-1"], "optimizer.others.lr=-1: must be greater"),
        (["optimizer.others=null"], "optimizer.others=None: give the name and the arguments"),
    ],
)
def test_impossible_arguments_are_named(overrides, message):
    with pytest.raises(UserError, match=message):
        muon(three_layers(), *overrides)


def test_networks_that_it_is_not_for():
    with pytest.raises(UserError, match="no weights between its first and its last layer"):
        muon(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)))
    groups = [{"params": [nn.Parameter(torch.ones(2, 2))]}]
    with pytest.raises(UserError, match="not with init"):
        build_optimizer(groups, **_arguments("optimizer=muon"))
