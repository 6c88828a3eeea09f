import pytest
import torch

from emnist.errors import UserError
from emnist.training.optimization import build_optimizer, build_scheduler
from tests.fixtures.configuration import configure


def weights() -> list[torch.nn.Parameter]:
    return [torch.nn.Parameter(torch.ones(2))]


@pytest.mark.parametrize(("name", "kind"), [("adam", "Adam"), ("sgd", "SGD"), ("rmsprop", "RMSprop")])
def test_every_optimizer_of_the_menu_can_be_built(name, kind):
    optimizer = build_optimizer(weights(), **configure(f"optimizer={name}", "optimizer.lr=0.5").optimizer)
    assert type(optimizer).__name__ == kind
    assert optimizer.param_groups[0]["lr"] == 0.5


def test_sgd_has_no_momentum_as_in_the_reference_report():
    assert configure("optimizer=sgd").optimizer.momentum == 0


def rates(*overrides: str, epochs: int, losses: tuple[float, ...] = ()) -> list[float]:
    optimizer = build_optimizer(weights(), "SGD", lr=1.0)
    scheduler = build_scheduler(optimizer, **configure(*overrides).scheduler)
    found = []
    for epoch in range(epochs):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step(*losses[epoch : epoch + 1])
    return found


def test_step():
    assert rates("scheduler=step", epochs=21) == [1] * 10 + [0.5] * 10 + [0.25]


def test_cosine_follows_the_number_of_epochs():
    found = rates("scheduler=cosine", "trainer.max_epochs=4", epochs=5)
    assert found == pytest.approx([1, 0.853553, 0.5, 0.146447, 0], abs=1e-6)


def test_plateau():
    losses = (1.0, 0.9, 0.95, 0.95, 0.95, 0.95, 0.95)
    assert rates("scheduler=plateau", epochs=7, losses=losses) == [1] * 6 + [0.5]


def test_no_scheduler():
    assert build_scheduler(build_optimizer(weights(), "SGD", lr=1), **configure("scheduler=none").scheduler) is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "Adamant"}, "optimizer.name=Adamant: no such class in torch.optim"),
        ({"name": "lr_scheduler"}, "optimizer.name=lr_scheduler: no such class"),
        ({"name": "SGD", "lr": -1}, "optimizer.lr=-1: must be greater than or equal to 0"),
        ({"name": "SGD", "beta": 1}, "optimizer.name=SGD does not accept optimizer.beta=1 .*beta"),
    ],
)
def test_impossible_optimizers_are_named(arguments, message):
    with pytest.raises(UserError, match=message):
        build_optimizer(weights(), **arguments)


def test_impossible_schedulers_are_named():
    with pytest.raises(UserError, match="scheduler.name=Later: no such class"):
        build_scheduler(build_optimizer(weights(), "SGD", lr=1), "Later")
