import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from emnist.data.character import read_character
from emnist.data.picture import open_picture
from emnist.data.sources import load_dataset
from emnist.data.sources.folder import load_folder
from emnist.errors import UserError
from tests.fixtures.pictures import enlarged
from tests.fixtures.sets import made_up, write_csv, write_pictures

LABELS = [0, 1, 2] * 10


def load(root, **keys):
    return load_dataset("folder", root=str(root), **keys)


def test_a_folder_a_class(tmp_path):
    write_pictures(tmp_path / "mine", LABELS)
    data = load(tmp_path / "mine", test_share=0.3)
    assert data.classes == ("class 0", "class 1", "class 2")
    assert data.image_shape == (1, 28, 28)
    assert [counts.tolist() for counts in data.class_counts] == [[7] * 3, [3] * 3]
    images = torch.cat([data.train_images, data.test_images])
    stored = {image.tobytes() for image in made_up(LABELS, (28, 28))}
    assert {image.numpy().tobytes() for image in images} == stored  # each once, as it is in its file
    assert data.describe() == "mine, 21 + 9 images, own images, 30% of them drawn for testing"
    again = load(tmp_path / "mine", test_share=0.3)
    other = load(tmp_path / "mine", test_share=0.3, split_seed=1)
    assert again.fingerprint == data.fingerprint != other.fingerprint


def test_folders_for_training_and_testing(tmp_path):
    for part, count in (("train", 12), ("val", 3), ("test", 6)):
        write_pictures(tmp_path / part, LABELS[:count])
    data = load(tmp_path)
    assert (len(data.train_labels), len(data.test_labels)) == (15, 6)
    assert data.kind == "own images"
    (tmp_path / "more").mkdir()
    with pytest.raises(UserError, match="more: beside train/ and test/ only val/ is read"):
        load(tmp_path)


def rows_of(root, labels=LABELS, **columns):
    paths = write_pictures(root, labels)
    rows = [{"path": path.relative_to(root), "label": "abc"[label]} for path, label in zip(paths, labels, strict=True)]
    return [row | {name: value(i) for name, value in columns.items()} for i, row in enumerate(rows)]


def test_a_list_of_paths_and_labels(tmp_path):
    parts = ["train", "val", "test"]
    write_csv(tmp_path / "list.csv", rows_of(tmp_path, split=lambda i: parts[i // 10]))
    data = load(tmp_path, csv="list.csv")
    assert data.classes == ("a", "b", "c")
    assert (len(data.train_labels), len(data.test_labels)) == (20, 10)
    assert torch.equal(data.train_images[:3], torch.from_numpy(made_up(LABELS, (28, 28))[:3]))
    write_csv(tmp_path / "list.csv", rows_of(tmp_path))
    assert len(load(tmp_path, csv="list.csv").test_labels) == 6


def test_groups_stay_together(tmp_path):
    write_csv(tmp_path / "list.csv", rows_of(tmp_path, writer=lambda i: f"writer {i // 3}"))
    data = load(tmp_path, csv="list.csv", groups="writer")
    assert len(torch.cat([data.train_groups, data.test_groups]).unique()) == 10
    assert not torch.isin(data.test_groups, data.train_groups).any()
    assert len(data.test_labels) == 6  # two writers
    with pytest.raises(UserError, match="data.groups=writer: names a column of data.csv, which is not given"):
        load(tmp_path, groups="writer")


def test_pictures_are_scaled_and_keep_their_colours(tmp_path):
    write_pictures(tmp_path, LABELS, (40, 60, 3))
    data = load(tmp_path, size=24, channels=3)
    assert data.image_shape == (3, 24, 24)
    grey = load(tmp_path, size=24)
    assert grey.image_shape == (1, 24, 24)
    as_they_are = load(tmp_path, size=None, channels=3)
    assert as_they_are.image_shape == (3, 40, 60)
    picture = Image.new("RGB", (50, 30), (200, 100, 50))
    for path in tmp_path.rglob("*.png"):
        picture.save(path)
    colours = load(tmp_path, size=24, channels=3).train_images[0]
    assert colours.flatten(1).unique(dim=1).flatten().tolist() == [200, 100, 50]


def test_large_photographs(tmp_path):
    """They are decoded at a fraction of their size, which changes next to nothing."""
    levels = np.random.RandomState(0).randint(0, 256, (30, 40, 3)).astype(np.uint8)
    large = Image.fromarray(levels).resize((800, 600), Image.Resampling.BICUBIC)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(2):
            large.save(tmp_path / name / f"{i}.jpg", quality=95)
    for channels, mode in ((1, "L"), (3, "RGB")):
        whole = Image.open(tmp_path / "a" / "0.jpg").convert(mode).resize((28, 28), Image.Resampling.BICUBIC)
        image = load(tmp_path, channels=channels).train_images[0].numpy().astype(int)
        assert abs(image - np.asarray(whole).reshape(28, 28, channels).transpose(2, 0, 1)).max() <= 4
    (as_they_are, *_) = load(tmp_path, size=None).train_images
    assert as_they_are.shape == (600, 800)


def test_every_kind_of_file(tmp_path):
    """All are the image that they were made of; three of them are turned, and say so."""
    levels = np.random.RandomState(0).randint(0, 256, (28, 28)).astype(np.uint8)
    image, folder = Image.fromarray(levels), tmp_path / "a"
    folder.mkdir()
    turned = Image.Exif()
    turned[0x0112] = 6  # as a phone held upright writes it
    image.rotate(90).save(folder / "exif.png", exif=turned)
    image.convert("RGBA").save(folder / "opaque.webp", lossless=True)
    Image.fromarray(levels.astype(np.uint16) * 257).save(folder / "deep.tif")
    Image.fromarray(levels.astype(np.uint16) * 257).save(folder / "deep.PNG")
    image.convert("P").save(folder / "palette.bmp")
    image.convert("LA").save(folder / "grey_and_alpha.png")
    image.save(folder / "frames.gif", save_all=True, append_images=[image.rotate(90)])
    (tmp_path / "b").mkdir()
    Image.new("RGBA", (28, 28), (0, 0, 0, 0)).save(tmp_path / "b" / "1.png")  # transparent: white paper
    Image.new("1", (28, 28), 1).save(tmp_path / "b" / "2.png")
    (folder / "notes.txt").write_text("no picture")
    (folder / ".hidden.png").write_text("no picture")
    (tmp_path / "list.csv").write_text("no picture")
    for channels in (1, 3):
        data = load(tmp_path, channels=channels)
        assert data.kind == "own images, 20% of them drawn for testing, 2 files beside them skipped"
        images, labels = (
            torch.cat([data.train_images, data.test_images]),
            torch.cat([data.train_labels, data.test_labels]),
        )
        assert labels.bincount().tolist() == [7, 2]
        expected = torch.from_numpy(levels) if channels == 1 else torch.from_numpy(levels).expand(3, 28, 28)
        assert all(torch.equal(one, expected) for one in images[labels == 0])
        assert (images[labels == 1] == 255).all()
        stems = sorted(Path(file).stem for file in data.train_files + data.test_files)
        assert stems == sorted(path.stem for path in tmp_path.glob("[ab]/[!.]*") if path.suffix != ".txt")


def test_files_are_those_of_the_images(tmp_path):
    write_pictures(tmp_path, LABELS)
    for classes in (None, ["class 0", "class 2"]):
        data = load(tmp_path, classes=classes)
        for files, images, labels in (
            (data.train_files, data.train_images, data.train_labels),
            (data.test_files, data.test_images, data.test_labels),
        ):
            for file, image, label in zip(files, images, labels, strict=True):
                assert np.array_equal(image.numpy(), np.asarray(Image.open(file)))
                assert Path(file).parent.name == data.classes[label]


def test_classes_called_by_numbers_are_in_their_order(tmp_path):
    for name in ("10", "9", "2"):
        (tmp_path / name).mkdir()
        for i in range(2):
            Image.new("L", (28, 28), int(name)).save(tmp_path / name / f"{i}.png")
    data = load(tmp_path)
    assert data.classes == ("2", "9", "10")
    assert data.train_images[:, 0, 0].tolist() == [int(data.classes[label]) for label in data.train_labels]


def test_characters_are_read_as_by_predict(tmp_path, characters):
    for i in range(20):
        picture = 255 - enlarged(characters.test_images[i].numpy(), 3)
        path = tmp_path / characters.classes[i % 2] / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.round(picture).astype(np.uint8)).save(path)
    data = load(tmp_path, read="character")
    read = {read_character(open_picture(path)).tobytes() for path in tmp_path.rglob("*.png")}
    assert {image.numpy().tobytes() for image in torch.cat([data.train_images, data.test_images])} == read
    Image.new("L", (40, 40), 255).save(path)
    with pytest.raises(UserError, match=f"{path}: no character found"):
        load(tmp_path, read="character")
    for keys in ({"size": 32}, {"channels": 3}):
        with pytest.raises(UserError, match="data.read=character: makes grey images of 28 × 28; set data.size=28"):
            load(tmp_path, read="character", **keys)


def test_what_is_wrong_is_named(tmp_path):
    def fails(message, **keys):
        with pytest.raises(UserError, match=message) as error:
            load(tmp_path, **keys)
        assert "\n" not in str(error.value)

    with pytest.raises(UserError, match="data.root is empty: give the path of a folder"):
        load_folder(None)
    with pytest.raises(UserError, match="data.root=.*nowhere: no such folder"):
        load(tmp_path / "nowhere")
    fails(f"{tmp_path}: no folders in it; put the pictures of each class into a folder")
    (tmp_path / "class 3").mkdir()
    fails("class 3: no pictures in it$")
    (tmp_path / "class 3" / "a.heic").write_bytes(b"")
    fails("class 3: no pictures in it, only files such as .*a.heic")
    shutil.rmtree(tmp_path / "class 3")
    paths = write_pictures(tmp_path, [0] * 3)
    fails("training images: all are of one class, class 0; there must be at least two")
    paths = write_pictures(tmp_path, LABELS)
    paths[4].write_text("text")
    fails(f"{paths[4]}: not an image")
    Image.new("L", (30, 28)).save(paths[4])
    fails(f"{paths[4]}: 30 × 28 pixels, but .* has 28 × 28; set data.size", size=None)
    fails("data.read=guess: must be 'image' or 'character'", read="guess")
    fails("data.channels=2: must be 1 or 3", channels=2)
    fails("data.test_share=1.5: must be less than 1", test_share=1.5)
    fails("data.csv=list.csv: no such file in", csv="list.csv")
    fails(f"{tmp_path}: can't be read .Is a directory", csv="")


@pytest.mark.parametrize("parts", [["train"], ["train", "val"], ["test", "val"]])
def test_parts_are_no_classes(tmp_path, parts):
    for part in parts:
        write_pictures(tmp_path / part, LABELS)
    with pytest.raises(UserError, match=f"{' and '.join(parts)}, but not both train/ and test/; add the other, or put"):
        load(tmp_path)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_lists_as_spreadsheets_write_them(tmp_path, delimiter, encoding):
    rows = rows_of(tmp_path, split=lambda i: "Train" if i < 20 else " test")
    lines = [["path", "label ", "split"], *([str(row["path"]), f" ä {row['label']}", row["split"]] for row in rows)]
    text = "\r\n".join(delimiter.join(line) for line in lines) + "\r\n\r\n"
    (tmp_path / "list.csv").write_text(text, encoding=encoding, newline="")
    data = load(tmp_path, csv="list.csv")
    assert data.classes == ("ä a", "ä b", "ä c")
    assert (len(data.train_labels), len(data.test_labels)) == (20, 10)


def test_what_is_wrong_in_a_list_is_named(tmp_path):
    rows = rows_of(tmp_path, split=lambda i: "train" if i < 20 else "test")

    def fails(message, changed, **keys):
        write_csv(tmp_path / "list.csv", changed)
        with pytest.raises(UserError, match=message) as error:
            load(tmp_path, csv="list.csv", **keys)
        assert "\n" not in str(error.value)

    fails("list.csv: no column label; it has path, split", [{k: row[k] for k in ("path", "split")} for row in rows])
    fails("list.csv: no column writer; it has path, label, split", rows, groups="writer")
    fails("list.csv: line 4: no label", [*rows[:2], rows[2] | {"label": ""}, *rows[3:]])
    fails("list.csv: line 3: split is dev; write train", [rows[0], rows[1] | {"split": "dev"}, *rows[2:]])
    fails("list.csv: line 3: split is empty; write train", [rows[0], rows[1] | {"split": ""}, *rows[2:]])
    fails("list.csv: no test images", rows[:20])
    fails("test images: labels no training image has: z", [*rows[:25], rows[25] | {"label": "z"}])
    fails("gone.png: can't be read .No such file", [*rows, rows[25] | {"path": "gone.png"}])
    again = {**rows[0], "path": f"class 0/../{rows[0]['path']}", "split": "test"}
    fails(r"list.csv: line 32: class 0/../class 0/000.png is in line 2 already", [*rows, again])
    for content, message in (
        (b"path,label\n", "list.csv: no pictures listed"),
        (b"", "list.csv: no pictures listed"),
        (b"path,label\na.png,b,c\n", "line 2: 3 cells, but the first line has 2; put a text with a , into quotes"),
        (b"path,label\na.png\n", "line 2: 1 cells, but the first line has 2"),
        (b'path,label\na.png,"b\n', "list.csv: line 2: unexpected end of data"),
        ("path,label\na.png,ä\n".encode("cp1252"), "list.csv: not in UTF-8; save it as CSV UTF-8"),
    ):
        (tmp_path / "list.csv").write_bytes(content)
        with pytest.raises(UserError, match=message):
            load(tmp_path, csv="list.csv")


def test_a_changed_picture_is_read_again(tmp_path):
    (path, *_) = write_pictures(tmp_path, LABELS)
    before = load(tmp_path)
    assert load(tmp_path) is before
    Image.new("L", (28, 28), 77).save(path)
    assert load(tmp_path).fingerprint != before.fingerprint
