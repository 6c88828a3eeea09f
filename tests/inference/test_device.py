import torch

from emnist.inference.device import describe_device


def test_the_processor_has_a_name():
    device = describe_device(torch.device("cpu"))
    assert device["name"]
    assert device["threads"] == torch.get_num_threads()
