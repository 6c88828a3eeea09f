import csv
import os
import shutil

import numpy as np
import pytest
from PIL import Image

import emnist
from emnist import predict
from tests.fixtures.commands import run_command


@pytest.fixture
def run(tmp_path):
    """Run the command in a folder of its own; returns exit code, stdout and the lines of stderr."""

    def command(*arguments: object, stdin: str = ""):
        code, out, err = run_command(tmp_path, *arguments, main=predict.main, stdin=os.fsencode(stdin))
        return code, out, err.splitlines()

    return command


@pytest.fixture
def pictures(tmp_path, characters):
    """Test images of the small glyphs, enlarged, dark on light, in a folder with a text beside them."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(6):
        image = Image.fromarray(255 - characters.test_images[i].numpy()).resize((112, 112), Image.Resampling.BICUBIC)
        image.convert("RGB").save(folder / f"{i}.{'png' if i % 2 else 'JPG'}", format="PNG" if i % 2 else "JPEG")
    (folder / "notes.txt").write_text("not a picture")
    return folder


def rows(path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_folder_of_pictures(run, trained, pictures, tmp_path):
    code, out, err = run(trained.path, pictures, "--out", "some/predictions.csv", "--top", 3)
    assert (code, out, err) == (0, "", [])
    table = rows(tmp_path / "some" / "predictions.csv")
    assert [row["file"] for row in table] == sorted(str(path) for path in pictures.glob("[0-9]*"))
    classifier = emnist.load_run(trained.path)
    probabilities = classifier.read([row["file"] for row in table])
    for row, p in zip(table, probabilities, strict=True):
        values, indices = p.topk(3)
        assert [row["character"], row["character_2"], row["character_3"]] == [classifier.classes[i] for i in indices]
        assert float(row["probability"]) == pytest.approx(values[0].item(), abs=1e-6)
        assert row["run"] == str(trained.path)
        assert "character_4" not in row


def test_averaged_over_views(run, trained, pictures, tmp_path):
    for augment in (0, 8):
        assert run(trained.path, pictures, "--out", f"{augment}.csv", "--augment", augment) == (0, "", [])
    plain, averaged = (rows(tmp_path / f"{augment}.csv") for augment in (0, 8))
    assert [row["file"] for row in plain] == [row["file"] for row in averaged]
    assert plain != averaged


def test_a_list_on_standard_input_is_printed(run, trained, pictures):
    code, out, err = run(trained.path, "-", stdin=f"{pictures}/1.png\n\n{pictures}/3.png\n")
    assert (code, err) == (0, [])
    lines = out.splitlines()
    assert [line.split(": ")[0] for line in lines] == [f"{pictures}/1.png", f"{pictures}/3.png"]
    assert lines[0].count("%") == 5


def test_several_runs_and_their_average(run, trained, trained_small, pictures, tmp_path):
    code, _, err = run(trained.path, trained_small, pictures / "1.png", "--out", "p.csv", "--top", 47)
    assert (code, err) == (0, [])
    table = rows(tmp_path / "p.csv")
    assert [row["run"] for row in table] == [str(trained.path), str(trained_small), "average"]

    def by_class(row):
        suffixes = ["", *(f"_{i}" for i in range(2, 48))]
        return {row[f"character{s}"]: float(row[f"probability{s}"]) for s in suffixes}

    first, second, mean = map(by_class, table)
    assert mean.keys() == first.keys()
    assert all(mean[name] == pytest.approx((first[name] + second[name]) / 2, abs=2e-6) for name in mean)


def test_a_page(run, trained, tmp_path, characters):
    page = np.zeros((150, 400), np.uint8)
    for i, (top, left) in enumerate([(10, 20), (20, 150), (12, 300)]):
        page[top : top + 84, left : left + 84] = np.kron(characters.test_images[i].numpy(), np.ones((3, 3), np.uint8))
    Image.fromarray(255 - page).save(tmp_path / "page.png")
    code, out, _ = run(trained.path, "--sheet", "page.png")
    assert code == 0
    assert len(out.splitlines()) == 4
    assert out.splitlines()[0].startswith("page.png at ")
    assert len(out.splitlines()[-1].removeprefix("page.png: ")) == 3
    run(trained.path, "--sheet", "page.png", "--out", "page.csv")
    lefts = [int(row["left"]) for row in rows(tmp_path / "page.csv")]
    assert lefts == sorted(lefts)
    assert all(abs(a - b) <= 40 for a, b in zip(lefts, (20, 150, 300), strict=True))


def test_bad_pictures_are_named_and_the_others_read(run, trained, pictures, tmp_path):
    Image.new("L", (80, 80), 255).save(tmp_path / "empty.png")
    Image.new("1", (10_001, 10_000)).save(tmp_path / "huge.png")
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "cut.jpg").write_bytes((pictures / "0.JPG").read_bytes()[:500])
    names = ["empty.png", "huge.png", "text.png", "cut.jpg", "gone.png"]
    code, out, err = run(trained.path, *names, pictures / "1.png")
    assert code == 1
    assert [line.split(": ")[0] for line in out.splitlines()] == [f"{pictures}/1.png"]
    assert err == [
        "error: empty.png: no character found: the picture is empty, or its contrast too low",
        "error: huge.png: 10001 × 10000 pixels; more than 50 million are not read, scale it down",
        "error: text.png: not an image",
        "error: cut.jpg: can't be read (damaged, or cut off)",
        "error: gone.png: no such file",
    ]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["nowhere", "a.png"], "nowhere: not the folder of a run with a finished epoch; give one before the pictures"),
        (["RUN"], "no pictures given: name image files, folders of them, or - for a list on standard input"),
        (["RUN", "void"], "void: no image files in this folder, nor a run with a finished epoch"),
        (["RUN", "-"], "standard input: no files listed"),
        (["nowhere", "RUN", "a.png"], "nowhere: no such folder; runs come first, then pictures"),
        (
            ["void", "RUN", "a.png"],
            "void: not the folder of a run with a finished epoch; runs come first, then pictures",
        ),
        (["RUN", "unfinished"], "unfinished: a run without a finished epoch; give finished runs, then pictures"),
        (
            ["x" * 5000, "a.png"],
            f"{'x' * 5000}: not the folder of a run with a finished epoch; give one before the pictures",
        ),
        (["RUN", "a.png", "--top", "0"], "--top=0: must be at least 1"),
        (["RUN", "a.png", "--augment", "9"], "--augment=9: must be from 0 to 8"),
    ],
)
def test_wrong_arguments(run, trained, tmp_path, arguments, error):
    (tmp_path / "void").mkdir()
    (tmp_path / "unfinished" / "figures").mkdir(parents=True)
    (tmp_path / "unfinished" / "config.yaml").touch()
    Image.new("L", (80, 80)).save(tmp_path / "unfinished" / "figures" / "a.png")
    code, out, err = run(*(trained.path if one == "RUN" else one for one in arguments))
    assert (code, out, err) == (1, "", [f"error: {error}"])


def test_a_folder_without_pictures_does_not_stop_the_others(run, trained, pictures, tmp_path):
    (tmp_path / "void").mkdir()
    code, out, err = run(trained.path, "void", pictures / "1.png")
    assert code == 1
    assert [line.split(": ")[0] for line in out.splitlines()] == [f"{pictures}/1.png"]
    assert err == ["error: void: no image files in this folder, nor a run with a finished epoch"]


def test_the_figures_of_runs_are_no_pictures(run, trained, pictures):
    shutil.copytree(trained.path, pictures / "run")
    Image.open(pictures / "1.png").save(pictures / "run" / "figure.png")
    _, out, _ = run(trained.path, pictures)
    assert len(out.splitlines()) == 6


def test_a_name_that_is_not_utf8(run, trained, pictures, tmp_path):
    odd = os.fsdecode(b"caf\xe9.png")
    shutil.copy(pictures / "1.png", tmp_path / odd)
    for arguments, stdin in (([odd], ""), (["-"], f"{odd}\n")):
        code, _, err = run(trained.path, *arguments, "--out", "p.csv", stdin=stdin)
        assert (code, err) == (0, [])
        assert [row["file"] for row in rows(tmp_path / "p.csv")] == ["caf\ufffd.png"]
        code, out, _ = run(trained.path, *arguments, stdin=stdin)
        assert code == 0
        assert out.startswith("caf\ufffd.png: ")


def test_a_run_and_a_page_given_twice(run, trained, pictures, tmp_path):
    code, _, _ = run(trained.path, f"{trained.path}/", pictures / "1.png", "--out", "p.csv")
    assert code == 0
    assert len(rows(tmp_path / "p.csv")) == 1
    _, out, _ = run(trained.path, "--sheet", pictures / "1.png", pictures / "1.png")
    lines = out.splitlines()
    assert len(lines) >= 4
    assert lines[-1] == lines[-2]
    assert lines[-1].startswith(f"{pictures}/1.png: ")


def test_transparent_and_16_bit_files(run, trained, pictures, tmp_path):
    grey = Image.open(pictures / "1.png").convert("L")
    clear = Image.merge("LA", (Image.new("L", grey.size, 0), grey.point(lambda level: 255 - level)))
    clear.save(tmp_path / "clear.png")
    Image.fromarray(np.asarray(grey).astype(np.uint16) * 257).save(tmp_path / "deep.png")
    grey.save(tmp_path / "grey.png")
    _, out, _ = run(trained.path, "grey.png", "clear.png", "deep.png")
    first, *others = [line.split(": ")[1] for line in out.splitlines()]
    assert others == [first, first]
