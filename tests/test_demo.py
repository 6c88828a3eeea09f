import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
import torch
from torch import Tensor

from emnist import demo
from emnist.data.dataset import Dataset
from emnist.data.sources import load_dataset
from emnist.inference import page as pages
from emnist.inference.load import load_run
from emnist.inference.page import load_readers, pad_fragment, pad_page
from emnist.inference.saliency import heat_maps
from emnist.inference.server import build_server
from tests.fixtures.chromium import needs_chromium, open_page
from tests.fixtures.commands import run_command
from tests.fixtures.jobs import train_in

STROKES = [[(0.2, 0.88), (0.5, 0.12), (0.8, 0.88)], [(0.3, 0.6), (0.7, 0.6)]]  # an A
# As text: Playwright takes twice as long over lists of numbers.
READ = """(images) => {
    const pad = document.querySelector(".emnist-pad");
    const answers = JSON.parse(images).map((image) => pad.read(Uint8Array.from(image)));
    return JSON.stringify(answers.map((cards) => cards.map((card) => ({ ...card, heat: Array.from(card.heat) }))));
}"""


@pytest.fixture(scope="session")
def runs(tmp_path_factory, trained, trained_small, glyphs) -> list[Path]:
    """Folders of a CNN, an MLP and a tiny ResNet."""
    folder = tmp_path_factory.mktemp("resnet")
    resnet = ["model=resnet", "model.blocks=[1,1]", "model.filters=[4,6]", "model.kernel_size=3"]
    train_in(folder, *glyphs, *resnet, "trainer.max_epochs=1", "trainer.accelerator=cpu")
    return [trained.path, trained_small, folder]


@pytest.fixture(scope="session")
def page_file(tmp_path_factory, runs) -> Path:
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(pad_page(load_readers(runs)))
    return path


@pytest.fixture
def run(tmp_path):
    """Run the command in a folder of its own; returns exit code, stdout and stderr."""
    return partial(run_command, tmp_path, main=demo.main)


@pytest.fixture(scope="session")
def images(characters: Dataset) -> Tensor:
    """1,000 of real handwriting where there is some, else of glyphs."""
    if "EMNIST_ROOT" in os.environ:
        return load_dataset("emnist", root=os.environ["EMNIST_ROOT"], split="balanced").test_images[:1000]
    return characters.test_images


@contextmanager
def serving(*arguments) -> Iterator[str]:
    """The address of a server in this process, see `build_server`."""
    with build_server(*arguments, port=0) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield "http://{}:{}/".format(*server.server_address)
        server.shutdown()
        thread.join()


def draw(page, strokes=STROKES) -> None:
    box = page.locator(".sheet canvas").bounding_box()
    for stroke in strokes:
        points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point, steps=5)
        page.mouse.up()


def shown(page) -> list[list[str]]:
    """Classes and percentages on each card, once the next picture is drawn."""
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return [card.locator("li").all_inner_texts() for card in page.locator(".card").all()]


def in_percent(probability: float) -> str:
    return "<0.1%" if probability < 0.001 else ">99.9%" if probability > 0.999 else f"{probability:.1%}"


def is_empty(page) -> bool:
    return all(text.strip() == "" for card in shown(page) for text in card)


@needs_chromium
def test_the_same_answers_as_in_python(page_file, runs, images):
    with open_page(page_file) as page:
        answers = json.loads(page.evaluate(READ, json.dumps(images.flatten(1).tolist())))
    for run, own in zip(runs, zip(*answers, strict=True), strict=True):
        classifier = load_run(run)
        probabilities = torch.tensor([answer["probabilities"] for answer in own])
        assert (probabilities - classifier.predict(images)).abs().max() < 1e-4
        heat = torch.tensor([answer["heat"] for answer in own]).view(-1, 28, 28)
        assert (heat - heat_maps(classifier, images)).abs().max() < 1e-3


@needs_chromium
def test_draw_undo_and_clear(page_file):
    with open_page(page_file) as page:
        assert is_empty(page)
        assert page.locator(".hint").is_visible()
        draw(page, STROKES[:1])
        first = shown(page)
        assert all(re.fullmatch(r"[0-9A-Za-z]\s*[<>]?[0-9.]+%", text) for card in first for text in card)
        assert all(re.fullmatch(r"[0-9.]+ ms", time) for time in page.locator(".time").all_inner_texts())
        assert not page.locator(".hint").is_visible()
        draw(page, STROKES[1:])
        both = shown(page)
        assert both != first
        page.locator(".spoken", has_text=re.compile(r"^CNN: ., \d+%. MLP: ., \d+%. ResNet: ., \d+%$")).wait_for(
            state="attached"
        )
        page.click("text=Undo")
        assert shown(page) == first
        page.click("text=Clear")
        assert is_empty(page)
        page.keyboard.press("u")
        assert shown(page) == first
        page.keyboard.press("Control+z")
        assert is_empty(page)
        assert page.locator(".undo").is_disabled()


@needs_chromium
def test_an_answer_comes_while_the_pen_is_down(page_file):
    with open_page(page_file) as page:
        box = page.locator(".sheet canvas").bounding_box()
        page.mouse.move(box["x"] + 100, box["y"] + 100)
        page.mouse.down()
        dot = shown(page)
        assert not is_empty(page)
        page.mouse.move(box["x"] + 100, box["y"] + 250, steps=4)
        assert shown(page) != dot


@needs_chromium
def test_start_from_a_test_image(page_file, runs, characters):
    with open_page(page_file) as page:
        assert page.locator(".examples button").count() == 8
        page.keyboard.press("4")
        label = 3 * 47 // 8
        image = characters.test_images[characters.test_labels == label][:1]
        for run, texts in zip(runs, shown(page), strict=True):
            top, classes = load_run(run).predict(image)[0].topk(5)
            expected = [characters.classes[c] + in_percent(p) for p, c in zip(top.tolist(), classes, strict=True)]
            assert ["".join(text.split()) for text in texts] == expected
        before = shown(page)
        draw(page)  # on top of it
        assert shown(page) != before
        page.keyboard.press("Escape")
        assert is_empty(page)
        page.locator(".examples button").nth(3).click()
        assert shown(page) == before


@needs_chromium
def test_draw_with_the_keyboard(page_file):
    with open_page(page_file) as page:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.tagName") == "CANVAS"
        page.keyboard.press("ArrowLeft")
        assert is_empty(page)
        page.keyboard.press("Space")
        for _ in range(10):
            page.keyboard.press("ArrowDown")
        line = shown(page)
        assert not is_empty(page)
        page.keyboard.press("Space")
        page.keyboard.press("ArrowRight")
        assert shown(page) == line
        page.keyboard.down("Space")
        for _ in range(10):
            page.keyboard.press("ArrowUp")
        page.keyboard.up("Space")
        angle = shown(page)
        assert angle != line
        page.keyboard.press("ArrowLeft")
        assert shown(page) == angle
        order = ["undo", "clear"]
        for name in order:
            page.keyboard.press("Tab")
            assert page.evaluate("document.activeElement.className") == name
        page.keyboard.press("Enter")
        assert is_empty(page)


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone(page_file, scheme):
    options = {"viewport": {"width": 360, "height": 740}, "color_scheme": scheme, "has_touch": True}
    with open_page(page_file, **options) as page:
        page.locator(".sheet canvas").tap()
        assert not is_empty(page)
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        ink, paper = page.evaluate("['color', 'backgroundColor'].map((name) => getComputedStyle(document.body)[name])")
        dark, light = (ink, paper) if scheme == "light" else (paper, ink)
        assert int(re.findall(r"\d+", dark)[0]) < 50
        assert int(re.findall(r"\d+", light)[0]) > 200


@needs_chromium
def test_a_section_of_another_page(runs, tmp_path):
    path, fragment = tmp_path / "report.html", pad_fragment(load_readers(runs[:1]))
    path.write_text(f"<!doctype html><meta charset=utf-8><button id=own>Own</button>{fragment}")
    with open_page(path) as page:
        page.keyboard.press("1")
        assert is_empty(page)  # the keys belong to the pad only where it has the focus
        page.locator(".undo").focus()
        draw(page)
        page.keyboard.press("1")
        assert not is_empty(page)
        own, pad = (
            page.evaluate(f"getComputedStyle(document.querySelector('{name}')).borderRadius")
            for name in ("#own", ".clear")
        )
        assert own != pad


def test_write_a_page(run, runs, tmp_path):
    code, out, _ = run(*runs[:2], "--out=new/page.html")
    assert code == 0
    assert re.fullmatch(r"new/page.html: 0.\d MB, needs no server and no network\n", out)
    html = (tmp_path / "new/page.html").read_text()
    assert html.startswith("<!doctype html>")
    assert not re.search(r"(src|href)=\"(?!data:)|@import|url\(", html)


def test_a_network_too_large_is_left_out(run, runs, tmp_path, monkeypatch):
    cnn, mlp, resnet = (reader.weights for reader in load_readers(runs))
    monkeypatch.setattr(pages, "ROOM", mlp + resnet)
    assert cnn > resnet
    code, out, _ = run(runs[1], runs[0], runs[2], "--out=page.html")
    assert code == 0
    line = out.splitlines()[0]
    assert re.fullmatch(
        rf"CNN \(\S+\): left out, its {cnn:,} weights are too many for the page; python -m emnist.demo --all .*", line
    )
    html = (tmp_path / "page.html").read_text()
    assert html.count('class="card"') == 2
    assert line in html
    code, out, _ = run(runs[1], runs[0], runs[2], "--out=page.html", "--all")
    assert (code, len(out.splitlines())) == (0, 1)
    assert (tmp_path / "page.html").read_text().count('class="card"') == 3
    monkeypatch.setattr(pages, "ROOM", 10)
    code, out, err = run(runs[0], "--out=none.html")
    assert (code, out) == (1, "")
    assert err.startswith("error: CNN (")


@needs_chromium
def test_a_network_too_large_is_served(runs, monkeypatch, images):
    monkeypatch.setattr(pages, "ROOM", 10)
    readers = load_readers(runs[:1])
    with serving(pad_page(readers, served=True), readers) as address:
        with open_page(address) as page:
            assert is_empty(page)
            draw(page)
            page.locator(".card li", has_text="%").first.wait_for()
            page.keyboard.press("c")
            page.locator(".card li", has_text="%").first.wait_for(state="detached")
        request = Request(f"{address}predict", images[0].numpy().tobytes())
        (answer,) = json.load(urlopen(request))
        assert torch.tensor(answer["probabilities"]).allclose(load_run(runs[0]).predict(images[:1]), atol=1e-6)
        assert len(answer["heat"]) == 784
        for path, content, status in (("predict", b"short", 400), ("other", None, 404)):
            with pytest.raises(HTTPError, match=str(status)):
                urlopen(Request(address + path, content))


def test_serve_until_ctrl_c(run, runs, monkeypatch):
    opened = []
    monkeypatch.setattr(demo.webbrowser, "open", opened.append)

    def interrupted(server):
        raise KeyboardInterrupt

    monkeypatch.setattr(ThreadingHTTPServer, "serve_forever", interrupted)
    code, out, err = run(runs[1])
    assert (code, err) == (0, "")
    assert re.fullmatch(r"http://127.0.0.1:\d+/ \(Ctrl-C ends it\)\n", out)
    assert opened == [out.split()[0]]
    assert run(runs[1], "--no-browser")[0] == 0
    assert len(opened) == 1


def test_errors_are_one_line(run, runs, tmp_path):
    assert run("nowhere", "--out=page.html")[2].startswith(
        "error: nowhere: not the folder of a run with a finished epoch"
    )
    with build_server("", [], 0) as server:
        taken = server.server_address[1]
        code, _, err = run(runs[1], f"--port={taken}", "--no-browser")
    assert code == 1
    assert re.fullmatch(rf"error: --port={taken}: can't be used \(.*\); choose another, or 0 for any free one\n", err)
