import pytest
from omegaconf import OmegaConf

import emnist
from emnist.models import build_model
from emnist.runs.folder import RunFolder
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


def test_experiments_of_the_best_published_networks():
    vgg = configure("experiment=vgg5_spinal")
    assert (vgg.model.name, vgg.model.filters, vgg.model.convolutions) == (
        "vgg5_spinal",
        [64, 128, 256, 256],
        [2, 2, 3, 3],
    )
    assert (vgg.model.spinal_layers, vgg.model.neurons, vgg.model.dropout) == (4, 128, 0.5)
    assert (vgg.optimizer.name, vgg.optimizer.lr, vgg.scheduler.name) == ("Adam", 0.005, "ReduceLROnPlateau")
    assert (vgg.data.batch_size, vgg.trainer.max_epochs, vgg.patience) == (100, 200, None)
    assert vgg.augmentation.name == "combined"
    assert vgg.augmentation.kinds.affine == {"rotation": 13, "shift": 2, "scale": 0.1, "shear": 13}
    assert (vgg.augmentation.kinds.perspective.tilt, vgg.augmentation.kinds.elastic.displacement) == (0.15, 0)
    wavemix = configure("experiment=wavemix_lite")
    assert (wavemix.model.name, wavemix.model.channels, wavemix.model.blocks) == ("wavemix_lite", 128, 7)
    assert (wavemix.model.expansion, wavemix.model.dropout) == (2, 0.5)
    assert (wavemix.optimizer.name, wavemix.optimizer.lr, wavemix.optimizer.weight_decay) == ("AdamW", 0.001, 0.01)
    assert (wavemix.scheduler.name, wavemix.augmentation.name) == (None, "none")
    assert (wavemix.data.batch_size, wavemix.patience) == (512, 20)


@pytest.mark.parametrize(
    ("name", "small"),
    [
        ("vgg5_spinal", ["model.filters=[4,8]", "model.convolutions=[1,2]", "model.neurons=16"]),
        ("wavemix_lite", ["model.channels=8", "model.blocks=2"]),
    ],
)
def test_an_epoch_of_the_best_published_networks(name, small, command, glyphs, tmp_path):
    run = ["trainer.max_epochs=1", "trainer.accelerator=cpu", "hydra.run.dir=run"]
    code, _, err = command(f"experiment={name}", *glyphs, *small, *run)
    assert code == 0, err
    result = RunFolder(tmp_path / "run").read_result()
    classifier = emnist.load_run(tmp_path / "run")
    assert (result.epochs, result.parameters) == (1, sum(p.numel() for p in classifier.network.parameters()))
    again = [
        "init=run",
        "init.run=run",
        "optimizer=sgd",
        "optimizer.lr=0.001",
        "optimizer.momentum=0.9",
        "hydra.run.dir=again",
    ]
    code, _, err = command(f"experiment={name}", *glyphs, *small, *run[:-1], *again)
    assert code == 0, err
    assert RunFolder(tmp_path / "again").read_result().init.sha256
