import pytest
import torch
from torch import nn

import emnist
from emnist.errors import UserError
from emnist.inference.load import read_checkpoint
from emnist.runs.folder import RunFolder
from emnist.training.averaging import build_average
from tests.fixtures.configuration import configure
from tests.fixtures.jobs import train_in

ALL = ["data.fold=null", "trainer.precision=32-true"]  # without validation, so that the last epoch is the best


def test_the_average_is_the_sum_that_its_definition_gives():
    network = nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1))
    average = build_average(network, **configure("averaging=ema", "averaging.decay=0.5").averaging)
    weight, mean = (tensor.detach().clone() for tensor in (network[0].weight, network[1].running_mean))
    for decay in (2 / 11, 3 / 12, 4 / 13, 5 / 14, 6 / 15, 7 / 16, 8 / 17, 9 / 18, 0.5, 0.5):
        with torch.no_grad():
            network[0].weight += 1
            network[1].running_mean += 2
            network[1].num_batches_tracked += 1
        average.update(network)
        weight = decay * weight + (1 - decay) * network[0].weight.detach()
        mean = decay * mean + (1 - decay) * network[1].running_mean
        torch.testing.assert_close(average.network[0].weight, weight)
        torch.testing.assert_close(average.network[1].running_mean, mean)
    assert average.network[1].num_batches_tracked == 10
    assert not average.network[0].weight.requires_grad


def test_without_warmup_the_decay_is_the_same_in_every_step():
    network = nn.Linear(1, 1, bias=False)
    average = build_average(network, "ema", decay=0.75, warmup=False)
    start = network.weight.item()
    with torch.no_grad():
        network.weight += 4
    average.update(network)
    assert average.network.weight.item() == pytest.approx(start + 1)


@pytest.fixture(scope="module")
def averaged(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("averaged")
    return folder, train_in(folder, *small, *ALL, "averaging=ema", "averaging.decay=0.9")


def test_training_itself_stays_the_same(averaged, small, tmp_path):
    folder, _ = averaged
    train_in(tmp_path, *small, *ALL)
    plain, ours = (read_checkpoint(RunFolder(path).last) for path in (tmp_path, folder))
    for name, weight in plain["state_dict"].items():
        assert torch.equal(ours["trained"][name], weight), name
    rows, plain_rows = (RunFolder(path).read_metrics() for path in (folder, tmp_path))
    assert [row["train_loss"] for row in rows] == [row["train_loss"] for row in plain_rows]
    assert all(row["test_loss"] != plain_row["test_loss"] for row, plain_row in zip(rows, plain_rows, strict=True))


def test_the_average_is_what_is_evaluated_and_loaded(averaged, characters):
    folder, result = averaged
    run = RunFolder(folder)
    best, last = read_checkpoint(run.best), read_checkpoint(run.last)
    for name, weight in best["state_dict"].items():
        assert torch.equal(weight, last["state_dict"][name]), name
    assert not torch.equal(best["state_dict"]["network.layers.1.weight"], last["trained"]["network.layers.1.weight"])
    assert "trained" not in best
    predicted = emnist.load_run(folder).predict(characters.test_images).argmax(1)
    accuracy = (predicted == characters.test_labels).float().mean().item()
    assert accuracy == pytest.approx(result.test_accuracy)
    assert accuracy == pytest.approx(run.read_metrics()[-1]["test_accuracy"], abs=0.003)


def test_a_decay_of_0_is_no_average(small, tmp_path):
    short = [*small, "trainer.max_epochs=1"]
    train_in(tmp_path / "none", *short)
    train_in(tmp_path / "ema", *short, "averaging=ema", "averaging.decay=0")
    assert (tmp_path / "none/metrics.csv").read_bytes() == (tmp_path / "ema/metrics.csv").read_bytes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "swa"}, "averaging.name=swa: unknown"),
        ({"name": "ema", "decay": 1, "warmup": True}, "averaging.decay=1: must be less than 1"),
        ({"name": "ema", "decay": 0.9}, "averaging.warmup is missing"),
    ],
)
def test_impossible_averages_are_named(arguments, message):
    with pytest.raises(UserError, match=message):
        build_average(nn.Linear(1, 1), **arguments)
