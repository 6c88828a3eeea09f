import pytest
import torch

from emnist.errors import UserError
from emnist.inference import deployed
from emnist.runs.folder import RunFolder
from tests.fixtures.networks import MODELS, untrained


@pytest.mark.parametrize("model", MODELS)
def test_the_program_predicts_as_the_classifier(model, characters):
    classifier = untrained(model)
    program = deployed.trace(classifier)
    content = deployed.to_pt2(program, {"classes": "[]"})
    predict = deployed.load_pt2(content)
    for batch in deployed.BATCHES:
        images = characters.test_images[:batch]
        expected = classifier.predict(images)
        assert torch.allclose(predict(images), expected, atol=1e-6)
    assert expected.std(0).max() > 0.001  # images do make a difference
    assert deployed.__file__.encode() not in content  # nor any other path of this machine


def test_another_prediction_is_an_error():
    classifier = untrained("mlp, elu")

    def other(images):
        probabilities = classifier.predict(images)
        probabilities[-1, 0] += 0.001 * (len(images) == 7)
        return probabilities

    assert deployed.largest_difference(classifier.predict, classifier, "copy") == 0
    with pytest.raises(UserError, match="copy: not written, since .* differ from the run's by up to 0.001 at batches"):
        deployed.largest_difference(other, classifier, "copy")
    with pytest.raises(UserError, match="by up to nan"):
        deployed.largest_difference(lambda images: classifier.predict(images) * torch.nan, classifier, "copy")


def test_a_file_says_where_it_comes_from(trained):
    result = RunFolder(trained.path).read_result()
    classifier = untrained("mlp, elu")
    about = deployed.metadata(classifier, result)
    assert about["format"] == "emnist.model/1"
    assert about["run"].startswith("cnn/")
    assert about["run"].endswith("/fold0_seed0")
    assert about["temperature"] == "1.5"
    assert about["data"] == result.data.description
    assert all(isinstance(value, str) for value in about.values())
