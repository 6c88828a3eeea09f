import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

import emnist
from emnist.data.sources.glyphs import FONT_FOLDER
from emnist.errors import UserError
from emnist.inference.character import NoCharacter, read_character
from tests.fixtures.jobs import train_in
from tests.fixtures.pictures import TAKEN
from tests.fixtures.real_data import real_data

STEP = np.zeros((120, 90), np.float32)
STEP[20:100, 30:50] = 255  # an upright bar of 80 × 20 pixels


def letter(text: str, size: int, font: str = "DejaVuSans", angle: float = 0) -> np.ndarray:
    """A letter of this size, black on white."""
    image = Image.new("L", (3 * size, 3 * size), 255)
    face = ImageFont.truetype(str(FONT_FOLDER / f"{font}.ttf"), size)
    ImageDraw.Draw(image).text((1.5 * size, 1.5 * size), text, fill=0, font=face, anchor="mm")
    return np.asarray(image.rotate(angle, fillcolor=255), np.float32)


def test_the_character_fills_24_pixels_in_the_middle():
    image = read_character(STEP)
    assert image.shape == (28, 28)
    assert image.dtype == np.uint8
    assert image.max() == 255
    rows, columns = (np.flatnonzero((image > 12).any(axis)) for axis in (1, 0))
    assert (rows[0], rows[-1]) == (2, 25)
    assert abs(columns[0] - (27 - columns[-1])) <= 1  # centred
    assert 5 <= len(columns) <= 8  # a quarter as wide as high, and its soft edges
    assert image[:1].max() == image[-1:].max() == 0


def test_size_place_and_polarity_do_not_matter():
    same = read_character(STEP)
    for picture in (
        255 - STEP,
        np.pad(STEP, ((10, 100), (70, 0))),
        0.3 * STEP + 100,
        np.kron(STEP, np.ones((3, 3), np.float32)),
    ):
        assert np.abs(read_character(picture).astype(int) - same).max() <= 40  # of the soft edges
    assert np.array_equal(read_character(255 - STEP), read_character(255 - STEP, "dark"))


def test_a_told_polarity_is_believed():
    on_card = np.full((100, 100), 200.0, np.float32)
    on_card[30:70, 45:55] = 20  # dark ink,
    on_card[10:14, 10:90] = 255  # and a light stripe
    dark, light = (read_character(on_card, ink) for ink in ("dark", "light"))
    assert dark.mean(1).argmax() != light.mean(1).argmax() or not np.array_equal(dark, light)
    assert (light[:, 13:15] > 100).any(1).sum() < (dark[:, 13:15] > 100).any(1).sum()


@pytest.mark.parametrize(
    "picture", [np.full((50, 50), 255.0), np.zeros((50, 50)), np.full((50, 50), 90.0) + 4 * np.eye(50)]
)
def test_an_empty_picture_has_no_character(picture):
    with pytest.raises(NoCharacter, match="the picture is empty, or its contrast too low"):
        read_character(picture.astype(np.float32))


def test_noise_is_no_character():
    noise = np.random.default_rng(0).normal(200, 15, (200, 200)).astype(np.float32)
    with pytest.raises(NoCharacter):
        read_character(noise)


@pytest.mark.parametrize("size", [1, 5])
def test_a_picture_of_a_few_pixels(size):
    with pytest.raises(NoCharacter, match=f"{size} × {size} pixels are too few"):
        read_character(np.zeros((size, size), np.float32))


def test_dust_is_not_part_of_the_character_but_a_dot_is():
    clean = read_character(STEP)
    dusty = STEP.copy()
    dusty[5, 80] = dusty[110:112, 10] = 255
    assert np.abs(read_character(dusty).astype(int) - clean).max() <= 2
    dotted = STEP.copy()
    dotted[2:12, 35:45] = 255
    assert (read_character(dotted) > 100).any(1).sum() < 28
    assert not np.array_equal(read_character(dotted), clean)


@pytest.fixture(scope="session")
def reader(tmp_path_factory):
    """A CNN trained on real handwriting for two epochs, and the test images."""
    folder = tmp_path_factory.mktemp("reader")
    cnn = [
        "model=cnn",
        "model.filters=[16,32]",
        "model.kernel_sizes=[3,3]",
        "optimizer.lr=0.003",
        "trainer.max_epochs=2",
        "trainer.accelerator=cpu",
    ]
    train_in(folder, *cnn)
    return emnist.load_run(folder)


@real_data
def test_pictures_of_real_characters_read_as_well_as_the_images_themselves(reader, real_test_set):
    images, labels = real_test_set
    images, labels = images[:1000], labels[:1000]
    direct = (reader.predict(images).argmax(1).numpy() == labels).mean()
    assert direct > 0.75
    for name, take in TAKEN.items():
        random = np.random.default_rng(0)
        pictures = [take(image, random) for image in images]
        accuracy = (reader.read(pictures).argmax(1).numpy() == labels).mean()
        assert accuracy > direct - 0.02, name


@real_data
def test_letters_drawn_by_fonts(reader):
    """Of shapes that handwriting shares, in four fonts and two sizes, a little turned."""
    texts = "23478ABDEHKMNPRSTUWXYZabdehnrt"
    fonts = ["DejaVuSans", "DejaVuSans-Oblique", "DejaVuSansMono", "STIXGeneral"]
    pictures = [letter(c, size, font, angle) for font in fonts for size, angle in ((40, 5), (150, -5)) for c in texts]
    truth = list(texts) * 8
    read = [reader.classes[i] for i in reader.read(pictures).argmax(1)]
    assert np.mean([a == b for a, b in zip(read, truth, strict=True)]) > 0.8


def test_reading_needs_a_picture(trained, tmp_path):
    classifier = emnist.load_run(trained.path)
    with pytest.raises(UserError, match="nowhere.png: no such file"):
        classifier.read([tmp_path / "nowhere.png"])
    with pytest.raises(ValueError, match=r"give \[H, W\] or \[H, W, 3\]"):
        classifier.read([np.zeros(7)])
    assert classifier.read([]).shape == (0, 47)


def test_a_file_an_image_and_an_array_read_alike(trained, tmp_path):
    picture = letter("A", 60).astype(np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.png")
    colour = np.stack([picture] * 3, -1)
    classifier = emnist.load_run(trained.path)
    first, *others = classifier.read(
        [tmp_path / "a.png", str(tmp_path / "a.png"), Image.fromarray(picture), picture, colour]
    )
    assert all((other == first).all() for other in others)
    assert first.sum().item() == pytest.approx(1, abs=1e-5)
