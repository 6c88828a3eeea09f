import onnx
import pytest
import torch

from emnist.inference.deployed import trace
from emnist.inference.load import load_run
from emnist.inference.onnx import load_onnx, to_onnx
from emnist.inference.quantization import CALIBRATION, accuracy, quantize, some_of
from tests.fixtures.networks import untrained


def test_eight_bits_predict_nearly_the_same(trained, characters):
    classifier = load_run(trained.path)
    model = to_onnx(trace(classifier))
    small = quantize(model, characters.train_images[:512])
    assert len(small) < len(model)
    predict, images = load_onnx(small), characters.test_images
    expected = classifier.predict(images)
    assert (predict(images).argmax(1) == expected.argmax(1)).double().mean() > 0.9
    assert (predict(images) - expected).abs().max() < 0.2
    assert not torch.equal(predict(images), expected)
    assert torch.allclose(predict(images[:1]), predict(images)[:1], atol=1e-5)


@pytest.mark.parametrize("model", ["mlp, elu", "resnet"])
def test_normalisation_and_softmax_stay_in_32_bit(model, characters):
    small = quantize(to_onnx(trace(untrained(model))), characters.train_images[:64])
    nodes = onnx.load_from_string(small).graph.node
    made_by = {output: node for node in nodes for output in node.output}
    layers = [node for node in nodes if node.op_type in ("Conv", "Gemm")]
    assert layers
    assert all(made_by[name].op_type == "DequantizeLinear" for layer in layers for name in layer.input[:2])
    (softmax,) = (node for node in nodes if node.op_type == "Softmax")
    temperature = made_by[softmax.input[0]]
    assert (temperature.op_type, made_by[temperature.input[0]].op_type) == ("Div", "Gemm")
    (first,) = (node for node in nodes if "images" in node.input)
    assert first.op_type == "Unsqueeze"


def test_calibration_images_are_some_of_those_trained_on():
    indices = torch.arange(5000) * 2
    chosen = some_of(indices)
    assert len(chosen.unique()) == CALIBRATION
    assert torch.isin(chosen, indices).all()
    assert torch.equal(chosen, some_of(indices))
    assert len(some_of(indices[:10])) == 10


def test_accuracy_over_batches():
    labels = torch.arange(1000) % 2
    images = labels.view(-1, 1, 1).expand(-1, 28, 28).to(torch.uint8)
    right = torch.nn.functional.one_hot
    assert accuracy(lambda batch: right(batch[:, 0, 0].long(), 2), images, labels) == 1
    assert accuracy(lambda batch: right(torch.zeros(len(batch)).long(), 2), images, labels) == 0.5
