import pytest
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf

from emnist.data.batches import normalize
from emnist.data.module import DataModule
from emnist.errors import UserError
from emnist.models import build_model
from emnist.models.compact import Compact, Whitening
from emnist.training import fit
from tests.fixtures.configuration import configure
from tests.fixtures.jobs import train_in


def test_parameters_by_hand():
    stages = 9 * (18 * 48 + 48 * 48 + 48 * 96 + 96 * 96 + 96 * 128 + 128 * 128)
    norms = 2 * 2 * (48 + 96 + 128)
    counted = sum(parameter.numel() for parameter in build_model("compact", 47).parameters())
    assert counted == stages + norms + 128 * 47 + 47 == 418_127


def test_resolutions():
    network = build_model("compact", 47)
    x = network.stem(torch.randn(2, 1, 28, 28))
    shapes = [x.shape]
    for stage in network.stages:
        x = stage(x)
        shapes.append(x.shape)
    assert [tuple(shape) for shape in shapes] == [(2, 18, 14, 14), (2, 48, 14, 14), (2, 96, 7, 7), (2, 128, 3, 3)]


@pytest.mark.parametrize(("channels", "kernel_size"), [(1, 3), (1, 5), (3, 3)])
def test_whitened_patches_are_uncorrelated_and_keep_everything(channels, kernel_size):
    torch.manual_seed(0)
    smooth = F.avg_pool2d(torch.randn(200, channels, 18, 18), 3, 1) * 3
    whitening = Whitening(channels, kernel_size)
    whitening.fit(smooth)
    outputs = whitening(smooth).transpose(0, 1).flatten(1)
    half = len(outputs) // 2
    assert half == channels * kernel_size**2
    assert torch.allclose(outputs[:half], -outputs[half:], atol=1e-5)
    covariance = outputs[:half] @ outputs[:half].T / outputs.shape[1]
    variances = covariance.diagonal()
    assert (covariance - variances.diag()).abs().max() < 1e-3
    assert variances.max() <= 1
    assert variances.max() > 0.9  # those that are not small have unit variance
    assert variances.min() > 0.01  # and the others are kept
    filters = whitening.weight[:half].flatten(1)
    assert torch.linalg.matrix_rank(filters) == half  # so a patch can be had back from the outputs


def test_the_stem_is_fitted_and_not_trained(glyphs, tmp_path):
    torch.manual_seed(0)
    drawn = build_model("compact", 47, filters=[8, 8]).stem[0].weight
    train_in(
        tmp_path,
        *glyphs,
        "model=compact",
        "model.filters=[8,8]",
        "trainer.max_epochs=2",
        "trainer.accelerator=cpu",
        "regularization=l2",
        "regularization.strength=0.1",
    )
    weight = torch.load(tmp_path / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"][
        "network.stem.0.weight"
    ]
    assert not torch.allclose(weight, drawn)
    assert torch.equal(weight[:9], -weight[9:])  # training would have moved them apart


def test_the_stem_is_fitted_to_images_of_all_classes(glyphs, monkeypatch):
    seen: list[torch.Tensor] = []
    monkeypatch.setattr(Compact, "fit_stem", lambda _, images: seen.append(images))
    config = OmegaConf.to_container(configure(*glyphs, "model=compact"), resolve=True)
    data = DataModule(**config["data"], augmentation=config["augmentation"], seed=0)
    data.train_indices = data.train_indices[data.dataset.train_labels[data.train_indices].argsort()]
    monkeypatch.setattr(fit, "FITTED", len(data.train_indices) * 2 // 3)
    fit.build_classifier(config, data)
    expected = data.dataset.train_images[data.train_indices[::2]]
    assert torch.equal(seen[0], normalize(expected, data.mean, data.std))


def test_the_stem_is_no_parameter():
    network = build_model("compact", 47)
    assert "stem.0.weight" in network.state_dict()
    assert "stem.0.weight" not in dict(network.named_parameters())
    assert isinstance(network, Compact)


def test_without_whitening_the_stem_is_trained():
    network = build_model("compact", 47, whitening=False)
    network.fit_stem(torch.randn(50, 1, 28, 28))
    assert network.stem[0].weight in set(network.parameters())
    weight = network.stem[0].weight
    assert not torch.equal(weight[:9], -weight[9:])


def test_how_many_stages_fit():
    with pytest.raises(
        UserError, match=r"model.filters=\[4, 4, 4, 4, 4\]: choose 1 to 4 stages; all but the first halve"
    ):
        build_model("compact", 47, filters=[4] * 5)
    assert build_model("compact", 47, filters=[4] * 4)(torch.zeros(2, 1, 28, 28)).shape == (2, 47)
