from emnist.inference.cost import measure_cost, multiply_accumulates, seconds_of, side_by_side
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


def test_timers_are_asked_in_turn():
    asked = []

    def timer(name, seconds):
        values = iter(seconds)
        return lambda: asked.append(name) or next(values)

    medians = side_by_side({"a": timer("a", [9, 1, 2, 3]), "b": timer("b", [9, 30, 10, 20])}, rounds=3)
    assert medians == {"a": 2, "b": 20}  # the first round warmed up
    assert "".join(asked) == "abababab"


def test_seconds_of_one_call():
    calls = []
    assert 0 < seconds_of(lambda: calls.append(0), least=0.01) < 0.01
    assert len(calls) > 1
