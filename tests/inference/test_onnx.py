import sys

import onnx
import pytest
import torch

from emnist.errors import UserError
from emnist.inference.deployed import BATCHES, trace
from emnist.inference.onnx import load_onnx, require_onnx, to_onnx, with_metadata
from tests.fixtures.networks import MODELS, untrained


@pytest.mark.parametrize("model", MODELS)
def test_onnxruntime_predicts_as_the_classifier(model, characters):
    classifier = untrained(model)
    content = to_onnx(trace(classifier))
    predict = load_onnx(content)
    for batch in BATCHES:
        images = characters.train_images[:batch]
        assert torch.allclose(predict(images), classifier.predict(images), atol=1e-5)
    assert to_onnx.__code__.co_filename.encode() not in content
    assert b"site-packages" not in content


def test_one_file_with_metadata():
    plain = to_onnx(trace(untrained("cnn, leaky")))
    once = with_metadata(plain, {"classes": '["é"]', "gone": "1"})
    model = onnx.load_from_string(with_metadata(once, {"classes": '["é"]'}))
    onnx.checker.check_model(model, full_check=True)
    assert {entry.key: entry.value for entry in model.metadata_props} == {"classes": '["é"]'}
    assert model.producer_name == "emnist"
    assert not any(tensor.external_data for tensor in model.graph.initializer)
    (images,), (probabilities,) = model.graph.input, model.graph.output
    assert (images.name, probabilities.name) == ("images", "probabilities")
    shapes = [
        [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in (images, probabilities)
    ]
    assert shapes == [["batch", 28, 28], ["batch", 47]]


@pytest.mark.parametrize("name", ["onnx", "onnxscript", "onnxruntime"])
def test_missing_library(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(UserError, match=r'needs onnx, onnxscript and onnxruntime: pip install "emnist\[onnx\]"'):
        require_onnx()
