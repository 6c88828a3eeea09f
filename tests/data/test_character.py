from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont

import emnist
from emnist.data.character import NoCharacter, read_character
from emnist.data.sources.glyphs import FONT_FOLDER
from emnist.errors import UserError
from tests.fixtures.jobs import train_in
from tests.fixtures.pictures import TAKEN, cropped, enlarged, on_paper
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
    on_card[30:70, 45:55] = 20  # an upright bar of dark ink,
    on_card[10:14, 10:90] = 255  # and a light stripe across
    auto, dark, light = (read_character(on_card, ink) > 100 for ink in ("auto", "dark", "light"))
    assert np.array_equal(auto, dark)
    assert dark.any(1).sum() >= 23
    assert dark.any(0).sum() <= 8
    assert light.any(1).sum() <= 4
    assert light.any(0).sum() >= 23


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


@pytest.fixture(scope="session")
def mlp_reader(tmp_path_factory):
    """An MLP trained on real handwriting for two epochs."""
    folder = tmp_path_factory.mktemp("mlp_reader")
    train_in(folder, "model=mlp", "trainer.max_epochs=2", "trainer.accelerator=cpu")
    return emnist.load_run(folder)


@real_data
def test_pictures_of_real_characters_read_as_well_as_the_images_themselves(reader, mlp_reader, real_test_set):
    images, labels = real_test_set
    images, labels = images[:1000], labels[:1000]

    def accuracy(classifier, images):
        return (classifier.predict(images).argmax(1).numpy() == labels).mean()

    assert accuracy(reader, images) > 0.75
    assert accuracy(mlp_reader, images) > 0.6
    for name, take in TAKEN.items():
        random = np.random.default_rng(0)
        read = np.stack([read_character(take(image, random)) for image in images])
        assert accuracy(reader, read) > accuracy(reader, images) - 0.02, name
        # A fully trained MLP loses up to 2.2 points on 2,000 test images.
        assert accuracy(mlp_reader, read) > accuracy(mlp_reader, images) - 0.03, name


@real_data
def test_pictures_cropped_to_their_character(reader, real_test_set):
    images, labels = real_test_set
    images, labels = images[:400], labels[:400]
    random = np.random.default_rng(0)
    for name, take in {
        "enlarged": lambda i: enlarged(i, 6),
        "on paper": lambda i: on_paper(enlarged(i, 6), random),
    }.items():
        wide = [take(image) for image in images]
        tight = [cropped(picture, image) for picture, image in zip(wide, images, strict=True)]
        empty, right = 0, []
        for pictures in (wide, tight):
            right.append(0)
            for picture, label in zip(pictures, labels, strict=True):
                try:
                    right[-1] += int(reader.read([picture]).argmax() == label)
                except NoCharacter:
                    empty += 1
        assert right[1] >= right[0] - 0.02 * len(labels), name
        assert empty <= 4, name


@pytest.mark.parametrize(("text", "ink"), [("a", "auto"), ("H", "dark"), ("B", "dark")])
def test_a_thick_character_without_paper_around(text, ink):
    """In the margin of H and B is more ink than paper, so the polarity must be told."""
    drawn = letter(text, 200, "DejaVuSans-Bold")
    rows, columns = np.flatnonzero((drawn < 128).any(1)), np.flatnonzero((drawn < 128).any(0))
    tight = drawn[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    assert np.abs(read_character(tight, ink).astype(int) - read_character(drawn)).mean() < 4


def test_a_large_picture_is_scaled_down():
    large = np.kron(STEP, np.ones((50, 50), np.float32))  # 27 million pixels
    image = read_character(large)
    assert np.abs(image.astype(int) - read_character(STEP)).max() <= 40


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


def test_errors_name_the_picture(trained, tmp_path):
    classifier = emnist.load_run(trained.path)
    blank, good = np.full((50, 50), 255.0), letter("A", 60)
    Image.fromarray(blank.astype(np.uint8)).save(tmp_path / "blank.png")
    with pytest.raises(NoCharacter, match="^picture 1: no character found"):
        classifier.read([good, blank])
    with pytest.raises(NoCharacter, match="blank.png: no character found"):
        classifier.read([good, str(tmp_path / "blank.png")])
    with pytest.raises(ValueError, match="^picture 0: a picture has levels up to 1; give levels from 0 to 255"):
        classifier.read([good / 255])
    with pytest.raises(ValueError, match="ink='blue': give auto, dark, light"):
        classifier.read([good], ink="blue")


@pytest.mark.parametrize(
    "one", ["a.png", Path("a.png"), np.zeros((50, 50)), torch.zeros(50, 50), Image.new("L", (50, 50))]
)
def test_a_picture_instead_of_a_list(trained, one):
    with pytest.raises(ValueError, match="give a list of pictures"):
        emnist.load_run(trained.path).read(one)


def test_arrays_of_other_kinds_read_alike(trained):
    grey = np.where(letter("A", 60) > 127, 255, 0).astype(np.uint8)
    pictures = [grey, grey > 0, grey[:, :, None], torch.from_numpy(grey), torch.from_numpy(np.stack([grey] * 3, -1))]
    first, *others = emnist.load_run(trained.path).read(pictures)
    assert all((other == first).all() for other in others)


def test_images_of_all_modes_read_alike(trained, tmp_path):
    grey = Image.fromarray(letter("A", 60).astype(np.uint8))
    turned = grey.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 270° for viewing
    turned.save(tmp_path / "turned.png", exif=exif)
    binary = grey.point(lambda level: 255 * (level > 127))
    palette = binary.convert("P")
    palette.info["transparency"] = 255  # the paper
    palette.save(tmp_path / "palette.png", transparency=255)
    Image.fromarray(np.asarray(grey, np.float32) / 255).save(tmp_path / "float.tif")
    white = Image.merge("LA", (Image.new("L", grey.size, 255), grey.point(lambda level: 255 - level)))
    white.save(tmp_path / "white.png")
    classifier = emnist.load_run(trained.path)
    names = ["turned.png", "palette.png", "float.tif", "white.png"]
    expected = classifier.read([grey, binary, grey, grey])
    assert torch.allclose(classifier.read([tmp_path / name for name in names]), expected, atol=1e-4)
    assert torch.allclose(classifier.read([Image.open(tmp_path / name) for name in names]), expected, atol=1e-4)
    assert torch.allclose(classifier.read([grey.convert("RGB").convert("CMYK")]), expected[:1], atol=1e-2)


def test_a_light_card_with_a_transparent_edge_is_paper(trained):
    grey = Image.fromarray(letter("A", 60).astype(np.uint8))
    card = grey.convert("RGBA")
    card.putalpha(Image.new("L", grey.size, 0))
    card.paste(grey.convert("RGBA").crop((5, 5, 175, 175)), (5, 5))
    alone, on_card = emnist.load_run(trained.path).read([grey, card])
    assert torch.allclose(alone, on_card, atol=1e-4)


def test_the_first_frame_is_read(trained, tmp_path):
    first, second = (Image.fromarray(letter(text, 60).astype(np.uint8)) for text in "AB")
    first.save(tmp_path / "both.gif", save_all=True, append_images=[second])
    alone, both = emnist.load_run(trained.path).read([first, tmp_path / "both.gif"])
    assert torch.allclose(alone, both, atol=1e-4)


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
