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


def rates_by_step(*overrides: str, steps: int, batches: int, peaks: tuple[float, ...] = (0.3,)) -> list[float]:
    """The rate of the first group before each step."""
    groups = [{"params": [torch.nn.Parameter(torch.ones(2))], "lr": peak} for peak in peaks]
    optimizer = build_optimizer(groups, "SGD", lr=1.0)
    scheduler = build_scheduler(optimizer, steps=batches, **configure(*overrides, "trainer.max_epochs=4").scheduler)
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


@pytest.mark.parametrize("anneal", ["cos", "linear"])
def test_one_cycle_is_torchs_over_all_steps(anneal):
    ours = ["scheduler=onecycle", f"scheduler.anneal_strategy={anneal}", "scheduler.pct_start=0.25"]
    found = rates_by_step(*ours, steps=28, batches=7)
    optimizer = torch.optim.SGD(weights())
    torchs = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, 0.3, total_steps=28, pct_start=0.25, anneal_strategy=anneal, cycle_momentum=False
    )
    for rate in found:
        assert optimizer.param_groups[0]["lr"] == rate
        optimizer.step()
        torchs.step()
    assert found[6] == 0.3 == max(found)
    assert found[0] == pytest.approx(0.3 / 25)
    assert found[-1] == pytest.approx(found[0] / 1e4)


def test_each_part_has_its_own_peak_in_one_cycle():
    one, other = (0.3, 0.1), (0.1, 0.3)
    first, second = (rates_by_step("scheduler=onecycle", steps=20, batches=5, peaks=peaks) for peaks in (one, other))
    assert first == pytest.approx([3 * rate for rate in second])


def test_cosine_by_steps_passes_the_rates_of_epochs():
    found = rates_by_step("scheduler=cosine", "scheduler.interval=step", steps=20, batches=5, peaks=(1.0,))
    assert found[::5] == pytest.approx(rates("scheduler=cosine", "trainer.max_epochs=4", epochs=4), abs=1e-6)
    assert len(set(found)) == 20


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


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["scheduler=plateau", "+scheduler.interval=step"], "scheduler.interval=step: ReduceLROnPlateau watches"),
        (["scheduler=cosine", "scheduler.interval=batch"], "scheduler.interval=batch: must be 'epoch' or 'step'"),
        (["scheduler=onecycle", "scheduler.pct_start=2"], "OneCycleLR does not accept .*scheduler.pct_start=2"),
    ],
)
def test_impossible_intervals_are_named(overrides, message):
    with pytest.raises(UserError, match=message):
        build_scheduler(build_optimizer(weights(), "SGD", lr=1), **configure(*overrides).scheduler)
