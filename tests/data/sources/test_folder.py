import shutil

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


def test_every_kind_of_file(tmp_path):
    write_pictures(tmp_path, LABELS)
    image = Image.fromarray(made_up([0], (28, 28))[0])
    image.convert("RGBA").save(tmp_path / "class 0" / "a.webp", lossless=True)
    image.convert("I;16").save(tmp_path / "class 0" / "b.tif")
    image.save(tmp_path / "class 0" / "c.JPG")
    (tmp_path / "class 0" / "notes.txt").write_text("no picture")
    (tmp_path / "class 0" / ".hidden.png").write_text("no picture")
    for channels in (1, 3):
        assert (
            load(tmp_path, channels=channels).class_counts[0][0] + load(tmp_path, channels=channels).class_counts[1][0]
            == 13
        )


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
    fails("class 3: no pictures in it")
    shutil.rmtree(tmp_path / "class 3")
    paths = write_pictures(tmp_path, [0] * 3)
    fails("all images are of class class 0; there must be at least two")
    paths = write_pictures(tmp_path, LABELS)
    paths[4].write_text("text")
    fails(f"{paths[4]}: not an image")
    Image.new("L", (30, 28)).save(paths[4])
    fails(f"{paths[4]}: 30 × 28 pixels, but .* has 28 × 28; set data.size", size=None)
    fails("data.read=guess: must be 'image' or 'character'", read="guess")
    fails("data.channels=2: must be 1 or 3", channels=2)
    fails("data.test_share=1.5: must be less than 1", test_share=1.5)
    fails("data.csv=list.csv: no such file in", csv="list.csv")


def test_what_is_wrong_in_a_list_is_named(tmp_path):
    rows = rows_of(tmp_path, split=lambda i: "train" if i < 20 else "test")

    def fails(message, changed, **keys):
        write_csv(tmp_path / "list.csv", changed)
        with pytest.raises(UserError, match=message):
            load(tmp_path, csv="list.csv", **keys)

    fails("list.csv: no column label; it has path, split", [{k: row[k] for k in ("path", "split")} for row in rows])
    fails("list.csv: no column writer; it has path, label, split", rows, groups="writer")
    fails("list.csv: line 4: no label", [*rows[:2], rows[2] | {"label": ""}, *rows[3:]])
    fails("list.csv: line 3: split is dev; write train", [rows[0], rows[1] | {"split": "dev"}, *rows[2:]])
    fails("list.csv: no test images", rows[:20])
    fails("test images: labels no training image has: z", [*rows[:25], rows[25] | {"label": "z"}])
    fails("gone.png: can't be read .No such file", [*rows, rows[25] | {"path": "gone.png"}])


def test_a_changed_picture_is_read_again(tmp_path):
    (path, *_) = write_pictures(tmp_path, LABELS)
    before = load(tmp_path)
    assert load(tmp_path) is before
    Image.new("L", (28, 28), 77).save(path)
    assert load(tmp_path).fingerprint != before.fingerprint
