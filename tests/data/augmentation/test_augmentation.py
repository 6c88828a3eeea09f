"""What all augmentations have in common, with the strengths of conf/augmentation."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from omegaconf import OmegaConf

from emnist.command import CONF
from emnist.data.augmentation import MIXING, build_augmentation
from emnist.data.augmentation.combined import Combined
from emnist.data.augmentation.elastic import Elastic
from emnist.data.augmentation.geometry import move
from emnist.data.augmentation.kinds import KINDS
from emnist.data.augmentation.perspective import Perspective
from emnist.data.augmentation.random import Random
from emnist.data.sources.glyphs import draw
from emnist.errors import UserError
from tests.fixtures.jobs import train_in
from tests.fixtures.resuming import Killed, die_in, same_runs

FILES = sorted(path.stem for path in (CONF / "augmentation").glob("*.yaml") if path.stem != "none")
UNMIXED = [name for name in FILES if name not in MIXING]
IMAGES = draw(2, seed=0).flatten(0, 1).float().unsqueeze(1)  # [94, 1, 28, 28]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def configuration(name: str) -> dict:
    return OmegaConf.to_container(OmegaConf.load(CONF / "augmentation" / f"{name}.yaml"))  # type: ignore[return-value]


def build(name: str, **changes):
    return build_augmentation(47, **(configuration(name) | changes))


def at_zero(name: str) -> dict:
    """The arguments of a kind with all its strengths 0."""
    arguments = configuration(name)
    return {key: 0 if key in KINDS[name].strengths else value for key, value in arguments.items() if key != "name"}


@pytest.mark.parametrize("name", UNMIXED)
@pytest.mark.parametrize("shape", [(94, 1, 28, 28), (5, 3, 20, 32), (1, 1, 64, 64)])
def test_shape_and_range_are_kept_and_the_input_is_left_alone(name, shape):
    images = torch.rand(shape, generator=generator()) * 255
    before = images.clone()
    augmented = build(name)(images, generator())
    assert torch.equal(images, before)
    assert (augmented.shape, augmented.dtype) == (images.shape, torch.float32)
    assert augmented.isfinite().all()
    assert augmented.min() >= 0
    assert augmented.max() <= 255 + 1e-3


@pytest.mark.parametrize("name", UNMIXED)
def test_every_image_gets_its_own_change(name):
    augmented = build(name)(IMAGES[:1].repeat(64, 1, 1, 1), generator())
    different = len({image.numpy().tobytes() for image in augmented})
    assert different > (30 if name == "erasing" else 60)  # what is erased may be paper already


@pytest.mark.parametrize("name", UNMIXED)
def test_is_a_function_of_the_generator(name):
    augment = build(name)
    assert torch.equal(augment(IMAGES, generator(1)), augment(IMAGES, generator(1)))
    assert not torch.equal(augment(IMAGES, generator(1)), augment(IMAGES, generator(2)))


@pytest.mark.parametrize("name", KINDS)
def test_at_strength_0_images_are_equal_to_the_bit(name):
    assert torch.equal(build(name, **at_zero(name))(IMAGES, generator()), IMAGES)


def test_several_kinds_at_strength_0():
    assert torch.equal(build("random", strength=0, count=7)(IMAGES, generator()), IMAGES)
    assert torch.equal(Combined({name: at_zero(name) for name in KINDS})(IMAGES, generator()), IMAGES)


@pytest.mark.parametrize("name", KINDS)
def test_ink_is_roughly_preserved(name):
    """Of all images together; a single one can lose more."""
    ink = build(name)(IMAGES, generator()).sum() / IMAGES.sum()
    assert 0.85 < ink < 1.35  # noise and thicker strokes add some


@pytest.mark.parametrize("name", UNMIXED)
def test_none_mirrors(name):
    """Each augmented image is more like its original than like that one's mirror images."""
    original = IMAGES.repeat(4, 1, 1, 1)
    augmented = build(name)(original, generator())

    def far(other: torch.Tensor) -> torch.Tensor:
        return (augmented - other).square().mean()

    assert far(original) < 0.7 * min(far(original.flip(3)), far(original.flip(2)))


def test_a_batch_of_one_and_of_none():
    for name in UNMIXED:
        assert build(name)(IMAGES[:1], generator()).shape == (1, 1, 28, 28)
        assert build(name)(IMAGES[:0], generator()).shape == (0, 1, 28, 28)


def test_displacements_have_the_standard_deviation_that_was_asked_for():
    still = torch.zeros(2000, 28, 20, 2)
    moved = Elastic(displacement=1.5, sigma=4).warp(still, generator()) * torch.tensor([10, 14])  # pixels
    assert moved.std(0) == pytest.approx(torch.full((28, 20, 2), 1.5), abs=0.12)
    near, far = moved[:, 5, 5, 0] - moved[:, 5, 6, 0], moved[:, 5, 2, 0] - moved[:, 25, 18, 0]
    assert near.std() < 0.4  # smooth
    assert far.std() > 1.8


def test_perspective_enlarges_one_side_and_shrinks_the_other():
    lines = torch.zeros(300, 1, 28, 28)
    lines[:, :, :, 6], lines[:, :, :, 21] = 255, 255
    tilted = Perspective(0.3)(lines, generator())[:, 0]
    left, right = tilted[:, :, :14], tilted[:, :, 14:]
    lengths = torch.stack([left.amax(2).gt(60).sum(1), right.amax(2).gt(60).sum(1)])
    assert (lengths[0] < lengths[1]).any()
    assert (lengths[0] > lengths[1]).any()


def test_points_behind_the_viewer_are_outside():
    """Even where the image of a point is infinitely far away, and sampling there would give NaN."""
    tilt = Perspective(0.3)
    slope = (torch.rand(100, 1, 1, 2, generator=generator()) * 2 - 1) * 0.3  # what it draws
    horizon = -slope / slope.square().sum(3, keepdim=True)
    for times in (1, 1.5, 3):
        points = tilt.warp(times * horizon, generator())
        assert points.isfinite().all()
        assert (points.abs().amax(3) > 1).all()


def test_kinds_that_move_pixels_share_one_sampling(monkeypatch):
    from emnist.data.augmentation import geometry

    calls, sample = [], geometry.F.grid_sample
    monkeypatch.setattr(geometry.F, "grid_sample", lambda *a, **k: calls.append(1) or sample(*a, **k))
    build("combined")(IMAGES, generator())
    assert len(calls) == 1


def test_together_they_move_as_one_after_another():
    """Up to the blur of sampling twice, on smooth images. Places are moved by the first kind, images by the last."""
    smooth = F.avg_pool2d(IMAGES, 7, 1, 3)
    first, second = Perspective(0.2), Elastic(1, 6)
    both = move(smooth, [first, second], generator(3))
    after_first = generator(3)
    torch.rand(len(smooth), 1, 1, 2, generator=after_first)  # what the first kind draws
    one_by_one = first(second(smooth, after_first), generator(3))
    assert (both - one_by_one).abs().mean() < 0.1 * (both - smooth).abs().mean()


def test_thicker_and_thinner():
    thick, thin = build("stroke", thinner=0, thicker=1), build("stroke", thinner=1, thicker=0)
    assert (thick(IMAGES, generator()) >= IMAGES).all()
    assert (thin(IMAGES, generator()) <= IMAGES).all()
    bar = torch.zeros(200, 1, 28, 28)
    bar[:, :, 5:23, 12:16] = 255
    width = thick(bar, generator())[:, 0, 14].sum(1) / 255
    assert 4 <= width.min() < 4.1
    assert 5.9 < width.max() <= 6
    width = thin(bar, generator())[:, 0, 14].sum(1) / 255
    assert 2 <= width.min() < 2.1


def test_erased_areas_are_uniform_up_to_the_limit():
    erased = (build("erasing", area=0.25, aspect=2)(torch.full((2000, 1, 28, 28), 255.0), generator()) == 0).float()
    areas = erased.mean((1, 2, 3))
    assert 0.2 < areas.max() < 0.28
    assert areas.mean() < 0.125  # some is cut off
    assert (erased[areas > 0.1].amax(2).sum(2) >= 4).all()


def test_blur_keeps_ink_and_lowers_the_peak():
    point = torch.zeros(500, 1, 28, 28)
    point[:, :, 14, 14] = 255
    blurred = build("blur", sigma=2)(point, generator())
    assert blurred.sum((1, 2, 3)) == pytest.approx(torch.full((500,), 255.0), rel=1e-4)
    assert blurred[:, 0, 14, 14].min() < 15
    assert blurred[:, 0, 14, 14].max() > 250


def test_noise_has_up_to_its_standard_deviation():
    grey = torch.full((500, 1, 28, 28), 127.0)
    deviations = (build("noise", sigma=20)(grey, generator()) - grey).std((1, 2, 3))
    assert deviations.min() < 1
    assert 18 < deviations.max() < 22


def test_as_many_random_kinds_an_image_as_asked_for():
    kinds = {"erasing": {"area": 0.9, "aspect": 1}, "noise": {"sigma": 60}, "blur": {"sigma": 0}, "stroke": {}}
    kinds["stroke"] = {"thinner": 0, "thicker": 0}
    images = torch.full((1000, 1, 28, 28), 128.0)
    augmented = Random(1, 1, kinds)(images, generator())
    noisy = ((augmented != 128) & (augmented != 0)).any(3).any(2)[:, 0]
    untouched = (augmented == 128).all(3).all(2)[:, 0]
    assert noisy.float().mean() == pytest.approx(0.25, abs=0.05)
    assert untouched.float().mean() == pytest.approx(0.5, abs=0.06)  # blur and stroke of no strength


def test_random_strength_scales_all_strengths():
    weak, strong = (build("random", strength=strength)(IMAGES, generator()) for strength in (0.1, 1))
    assert (weak - IMAGES).abs().mean() < 0.4 * (strong - IMAGES).abs().mean()


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("elastic", {"displacement": -1}, "augmentation.displacement=-1: must be greater than or equal to 0"),
        ("elastic", {"sigma": 0.5}, "augmentation.sigma=0.5: must be greater than or equal to 1"),
        ("perspective", {"tilt": 0.5}, "augmentation.tilt=0.5: must be less than 0.5"),
        ("stroke", {"thicker": 1.1}, "augmentation.thicker=1.1: must be less than or equal to 1"),
        ("blur", {"sigma": "much"}, "augmentation.sigma=much: must be a valid number"),
        ("noise", {"sigma": -3}, "augmentation.sigma=-3: must be greater than or equal to 0"),
        ("erasing", {"area": 1}, "augmentation.area=1: must be less than 1"),
        ("erasing", {"aspect": 0.3}, "augmentation.aspect=0.3: must be greater than or equal to 1"),
        ("mixup", {"alpha": -0.2}, "augmentation.alpha=-0.2: must be greater than or equal to 0"),
        ("mixup", {"num_classes": 3}, "augmentation.num_classes: no such key; the keys are alpha"),
        ("cutmix", {"beta": 1}, "augmentation.beta: no such key; the keys are alpha"),
        ("random", {"strength": 2}, "augmentation.strength=2: must be less than or equal to 1"),
        ("random", {"count": 8}, "augmentation.count=8: must be at most the number of kinds, 7"),
        ("random", {"kinds": {"flip": {}}}, "augmentation.count=2: must be at most the number of kinds, 1"),
        ("combined", {"kinds": {"flip": {}}}, "augmentation.kinds=flip: unknown; choose one of affine, elastic,"),
        ("combined", {"kinds": {"blur": {"sigma": -1}}}, "augmentation.kinds.blur.sigma=-1: must be greater than or"),
        ("combined", {"kinds": {"blur": {}}}, "augmentation.kinds.blur.sigma is missing"),
        ("combined", {"kinds": {"blur": 3}}, "augmentation.kinds.blur=3: must be a valid dictionary"),
        ("combined", {"kinds": {}}, "augmentation.kinds={}: "),
    ],
)
def test_invalid_arguments_get_one_line(name, changes, message):
    with pytest.raises(UserError) as raised:
        build(name, **changes)
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


def test_by_name():
    assert build_augmentation(47, "none") is None
    with pytest.raises(UserError, match="augmentation.name=cutout: unknown; choose one of none, affine, elastic,"):
        build_augmentation(47, "cutout")


@pytest.mark.parametrize("name", FILES)
def test_resumed_run_ends_as_an_uninterrupted_one(name, glyphs, tmp_path, monkeypatch):
    from emnist.training import fit
    from emnist.training.recorder import Recorder

    monkeypatch.setattr(fit, "draw_figures", lambda *_: {})
    mlp = ["model=mlp", "model.hidden_layers=1", "model.neurons=8", "model.dropout=0", "trainer.accelerator=cpu"]
    overrides = [*glyphs, *mlp, f"augmentation={name}", "data.batch_size=256", "trainer.max_epochs=2"]
    folders = whole, broken = Path(tmp_path / "whole"), Path(tmp_path / "broken")
    train_in(whole, *overrides)
    with monkeypatch.context() as patch:
        die_in(patch, Recorder, "on_validation_start", 2)
        with pytest.raises(Killed):
            train_in(broken, *overrides)
    train_in(broken, *overrides, resume=True)
    same_runs(*folders)
