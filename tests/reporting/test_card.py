from types import SimpleNamespace

import numpy as np
import yaml

from emnist.reporting.card import confused, merged, model_card
from emnist.reporting.sections.calibration import add_calibration
from emnist.runs.folder import RunFolder
from emnist.runs.result import DataSummary
from tests.fixtures.runs import CLASSES, IMAGES, first, make_run


def card_of(folder, **changes):
    result = make_run(folder, first(100), 0.9, **changes)
    return model_card(RunFolder(folder), result, tuple(CLASSES), "onnx", {"model.onnx": 0.9, "model.int8.onnx": 0.895})


def front_of(card: str) -> dict:
    start, front, _ = card.split("---\n", 2)
    assert start == ""
    return yaml.safe_load(front)


def test_front_matter_of_hugging_face(tmp_path):
    front = front_of(card_of(tmp_path))
    assert front["library_name"] == "onnx"
    assert front["pipeline_tag"] == "image-classification"
    (results,) = front["model-index"][0]["results"]
    assert results["task"] == {"type": "image-classification"}
    assert results["dataset"] == {"name": "made-up characters", "type": "emnist", "split": "test"}
    assert results["metrics"][0] == {"type": "accuracy", "value": 0.9, "name": "Test accuracy"}
    assert "license" not in front


def test_figures(tmp_path):
    card = card_of(tmp_path, temperature=1.25, test_calibrated_ece=0.01, together=25, duration_s=1234.4)
    assert "| accuracy | 90.00%, standard error 0.95% |" in card
    assert "| calibration error, 15 bins | 90.00% before, 1.00% with the temperature 1.250 |" in card
    assert "| training | 2 epochs, the best is 2; 1,234 s, its share of 25 runs trained at once |" in card
    assert "| hardware | a processor, 32-true, 1 thread |" in card
    assert "| `model.int8.onnx` | 89.50% |" in card
    assert "4,000 to train on, 1,000 to choose the epoch and the temperature, 1,000 to test" in card


def test_calibration_of_averages_over_views(tmp_path):
    card = card_of(tmp_path, temperature=1.25, views_temperature=0.8, test_calibrated_ece=0.01)
    assert "90.00% before, 1.00% with the temperature 0.800 |" in card
    run = SimpleNamespace(result=RunFolder(tmp_path).read_result())
    candidate = SimpleNamespace(cell=SimpleNamespace(tested=[run], model="mlp"), label="a")
    tables: list[list[list[str]]] = []
    document = SimpleNamespace(heading=print, text=print, table=lambda _, rows: tables.append(rows))
    add_calibration(document, [candidate])
    assert tables == [[["MLP", "a", "1", "0.80", "90.00", "1.00"]]]


def test_what_the_data_are(tmp_path):
    handwriting = card_of(tmp_path / "a")
    assert "Not the official split" in handwriting
    assert "Drawn from fonts" not in handwriting
    about = {"split": "balanced", "description": "EMNIST", "train": 4000, "val": 0, "test": IMAGES, "fingerprint": "f"}
    official = card_of(tmp_path / "b", data=DataSummary(official=True, **about))
    assert "Not the official split" not in official
    assert "EMNIST: 4,000 to train on, 1,000 to test" in official
    glyphs = card_of(tmp_path / "c", overrides=("data=glyphs",))
    assert "Drawn from fonts" in glyphs
    assert "Census" not in glyphs
    assert front_of(glyphs)["tags"] == ["emnist", "ocr", "glyphs", "mlp"]


def test_confused_pairs_count_both_directions(tmp_path):
    folder = RunFolder(tmp_path)
    assert confused(folder, ("0", "O", "x")) == []
    label, predicted = np.array([0, 0, 1, 1, 2, 2]), np.array([1, 0, 0, 1, 2, 0])
    folder.write_predictions(label, predicted, np.eye(3, dtype=np.float32)[predicted])
    assert confused(folder, ("0", "O", "x")) == ["0 and O (2 of 4)", "0 and x (1 of 4)"]


def test_merged_cases():
    balanced, kuzushiji = {"name": "emnist", "split": "balanced"}, {"name": "torchvision", "split": "kmnist"}
    for data in (balanced, {"name": "glyphs"}):
        assert "".join(merged(tuple(CLASSES), data)) == "CIJKLMOPSUVWXYZ"
    assert merged(tuple("0123456789"), balanced) == []
    assert merged(("A", "C"), balanced) == ["C"]  # A has no lower case here, but images of it are not among those of A
    assert merged(("a", "b"), {"name": "emnist", "split": "letters"}) == ["a", "b"]
    assert merged(("A", "b"), {"name": "emnist", "split": "byclass"}) == []
    assert merged(("o", "ki"), kuzushiji) == []
    assert merged(("a", "b"), {"name": "folder"}) == []
