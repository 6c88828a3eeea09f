from omegaconf import OmegaConf

from emnist.models import build_model
from tests.fixtures.configuration import configure


def test_experiments_are_the_reports():
    best = configure("experiment=mlp_best")
    assert (best.model.hidden_layers, best.model.neurons, best.model.activation) == (3, 128, "elu")
    assert (best.optimizer.name, best.optimizer.lr, best.optimizer.momentum) == ("SGD", 0.1, 0)
    assert (best.scheduler.name, best.scheduler.step_size, best.scheduler.gamma) == ("StepLR", 10, 0.5)
    assert (best.regularization.name, best.regularization.strength) == ("l1", 1e-5)
    assert best.model.dropout == [0.25, 0.25, 0]
    baseline = configure("experiment=mlp_baseline")
    assert (baseline.optimizer.name, baseline.optimizer.lr, baseline.scheduler.name) == ("Adam", 0.1, None)
    assert (baseline.regularization.strength, baseline.model.dropout) == (1e-5, [0.25, 0.25, 0])
    cnn = configure("experiment=cnn_best")
    assert (cnn.model.filters, cnn.model.kernel_sizes, cnn.model.activation) == ([32, 64, 128], [5, 5, 3], "leaky")
    first = configure("experiment=cnn_baseline")
    assert (first.model.filters, first.model.kernel_sizes, first.model.activation) == ([32, 64], [3, 3], "relu")
    assert (first.model.dropout, cnn.model.dropout) == (0.5, 0)
    resnet = configure("experiment=resnet_best")
    assert (resnet.model.blocks, resnet.model.filters, resnet.model.kernel_size) == ([2, 2, 2], [64, 128, 256], 5)
    assert (resnet.model.activation, resnet.model.dropout) == ("leaky", 0)
    for config in (cnn, first, resnet):
        assert (config.optimizer.name, config.model.batch_norm) == ("Adam", True)
        assert (config.scheduler.name, config.regularization.name) == ("CosineAnnealingLR", "none")


def test_the_record_is_fixed_beforehand_and_small():
    record = configure("experiment=record")
    assert record.patience is None  # trains all of its epochs
    model = OmegaConf.to_container(record.model)
    network = build_model(num_classes=47, **model)
    assert sum(parameter.numel() for parameter in network.parameters()) < 500_000
    assert (record.scheduler.interval, record.averaging.name, record.loss.label_smoothing) == ("step", "ema", 0.1)
