import base64
import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from emnist.errors import UserError
from emnist.inference import page
from emnist.inference.load import TrainedClassifier, load_run
from emnist.inference.page import Reader, describe_network, find_examples, load_readers, pad_fragment, pad_page
from emnist.models import build_model
from tests.fixtures.networks import untrained
from tests.fixtures.runs import make_run


def test_description_of_a_small_network():
    network = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, bias=False), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten())
    network = nn.Sequential(network, nn.Dropout(0.5), nn.Linear(2 * 28 * 28, 3)).eval()
    with torch.no_grad():
        network[0][1].running_var.fill_(4)
        network[0][1].bias.fill_(7)
    described = describe_network(TrainedClassifier(network, ("a", "b", "c"), 0.2, 0.3, 1.5))
    assert described["layers"] == [
        {"op": "conv", "kernel": 3, "stride": 1, "inputs": 9, "outputs": 2},
        {"op": "relu"},
        {"op": "flatten"},
        {"op": "linear", "inputs": 1568, "outputs": 3},
    ]
    assert (described["features"], described["half"], described["temperature"]) == (0, False, 1.5)
    numbers = np.frombuffer(base64.b64decode(described["weights"]), "<f4")
    assert len(numbers) == 9 * 2 + 2 + 1568 * 3 + 3
    assert numbers[0] == pytest.approx(network[0][0].weight[0, 0, 0, 0].item() / 2, rel=1e-4)
    assert numbers[1] == pytest.approx(network[0][0].weight[1, 0, 0, 0].item() / 2, rel=1e-4)
    assert list(numbers[18:20]) == [7, 7]


@pytest.mark.parametrize(("name", "features"), [("mlp", 0), ("cnn", 5), ("resnet", 8), ("compact", 13)])
def test_where_the_feature_maps_are(name, features):
    described = describe_network(TrainedClassifier(build_model(name, 47), tuple(map(str, range(47))), 0, 1))
    assert described["features"] == features
    rest = [layer["op"] for layer in described["layers"][features:]]
    ends = {"mlp": ["linear", "relu"], "cnn": ["pool", "flatten"], "compact": ["highest", "flatten"]}
    assert rest[-3:] == [*ends.get(name, ["average", "flatten"]), "linear"]


def test_a_layer_the_page_can_not_compute():
    network = nn.Sequential(nn.Flatten(), nn.Linear(784, 3), nn.GELU())
    with pytest.raises(UserError, match="^GELU: the page can't compute this layer; it knows Linear, Conv2d"):
        describe_network(TrainedClassifier(network, tuple("abc"), 0, 1))
    with pytest.raises(UserError, match="^BatchNorm2d: the page can't compute this layer"):
        describe_network(TrainedClassifier(nn.Sequential(nn.BatchNorm2d(1), nn.Flatten()), tuple("abc"), 0, 1))


@pytest.mark.parametrize("model", ["vgg5_spinal", "wavemix_lite"])
def test_a_network_that_the_page_can_not_compute_is_left_out_or_served(model, trained_small):
    (small,) = load_readers([trained_small])
    classifier = untrained(model)
    assert not page.is_computable(classifier.network)
    reader = replace(small, classifier=classifier, fits=False, computable=False)
    html = pad_page([small, reader], everything=True)
    assert html.count('class="card"') == 1
    assert f"{reader.name} ({reader.where}): left out, the page can&#39;t compute its layers" in html
    html = pad_page([small, reader], served=True)
    assert html.count('class="card"') == 2
    assert "computed by Python" in html


def test_room_goes_to_the_first_that_fit(monkeypatch, trained, trained_small):
    small, large = (reader.weights for reader in load_readers([trained_small, trained.path]))
    assert large > small
    folders = [trained_small, trained.path, trained_small]
    for room, fit in (
        (2 * small + large, [True, True, True]),
        (2 * small, [True, False, True]),
        (small, [True, False, False]),
    ):
        monkeypatch.setattr(page, "ROOM", room)
        assert [reader.fits for reader in load_readers(folders)] == fit


def test_the_page_stays_below_ten_megabytes():
    assert page.ROOM * 4 * 4 / 3 < 10e6


def test_examples_are_test_images_of_the_run(trained, characters):
    (reader,) = load_readers([trained.path])
    examples = find_examples([reader])
    assert [example["label"] for example in examples] == list("05BHNTZg")
    image = np.frombuffer(base64.b64decode(examples[0]["image"]), np.uint8)
    assert np.array_equal(image, characters.test_images[0].flatten())
    data = reader.result.data.model_copy(update={"fingerprint": "another"})
    others = replace(reader, result=reader.result.model_copy(update={"data": data}))
    assert find_examples([others, reader]) == examples
    assert find_examples([others, replace(reader, result=None)]) == []


def test_what_a_card_says(trained, tmp_path):
    for name in ("a", "b"):
        views = ("evaluation.views=4",) if name == "a" else ()
        make_run(tmp_path / name, np.arange(250), 0.8, views, temperature=1.2 if name == "a" else None)
    (tmp_path / "b" / "result.json").unlink()
    html = pad_page(load_readers([tmp_path / "a", tmp_path / "b", trained.path]))
    cards = [re.sub("<[^>]*>", "|", card) for card in re.findall(r'<section class="card".*?</section>', html, re.S)]
    first, second, third = ([text for text in re.split(r"[|\s]*[|][|\s]*", card) if text] for card in cards)
    assert first[:4] == ["MLP", "75.0% on test images", f"{tmp_path.name}/a", "made-up characters"]
    assert first[4:] == ["tested as the mean over 5 views of an image, which the page does not take"]
    assert second == ["MLP", "not tested", f"{tmp_path.name}/b", "percentages not calibrated"]
    assert third[0] == "CNN"
    assert third[2:] == ["glyphs, 1,880 + 470 images, generated, not EMNIST"]


def test_the_fragment_keeps_to_itself(trained):
    html = pad_fragment(load_readers([trained.path]))
    assert html.startswith('<div class="emnist-pad">')
    style = re.sub(r"/\*.*?\*/", "", re.search("<style>(.*?)</style>", html, re.S)[1], flags=re.S)
    selectors = re.findall(r"^([^\s@}&][^{]*)\{", style, re.M)
    assert len(selectors) >= 3
    assert all(part.strip().startswith((".emnist-pad", ".emnist-page")) for s in selectors for part in s.split(","))
    (data,) = re.findall(r'<script type="application/json">(.*?)</script>', html, re.S)
    assert json.loads(data)["networks"][0]["classes"] == list(load_run(trained.path).classes)


def test_text_of_others_is_shown_as_text(trained):
    (reader,) = load_readers([trained.path])
    data = reader.result.data.model_copy(update={"description": "<img src=x>"})
    classifier = TrainedClassifier(reader.classifier.network, ("</script>", *"b" * 46), 0.2, 0.3)
    reader = Reader(reader.folder, classifier, reader.result.model_copy(update={"data": data}), 1, True)
    html = pad_page([reader])
    assert "<img" not in html
    assert html.count("</script>") == 2
