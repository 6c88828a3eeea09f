from emnist.inference.cost import measure_cost, multiply_accumulates
from emnist.models import build_model


def test_multiply_accumulates_by_hand():
    mlp = {"name": "mlp", "hidden_layers": 2, "neurons": 10, "activation": "relu", "batch_norm": False, "dropout": 0}
    assert multiply_accumulates(mlp, 47) == 784 * 10 + 10 * 10 + 10 * 47
    cnn = {"name": "cnn", "filters": [4], "kernel_sizes": [3], "activation": "relu", "batch_norm": True, "dropout": 0}
    (linear,) = [
        weight.numel() for weight in build_model(num_classes=47, **cnn).state_dict().values() if weight.ndim == 2
    ]
    assert multiply_accumulates(cnn, 47) == 28 * 28 * 4 * 9 + linear


def test_cost_of_a_run(trained):
    cost = measure_cost(trained.path)
    assert 100 < cost.images_per_s < 1e8
    assert cost.megabytes == trained.best.stat().st_size / 1e6
    assert cost.device["type"] == "cpu"
