"""ONNX: a trained classifier in one file that other programs and languages run."""

import warnings
from collections.abc import Callable
from importlib import import_module

import torch
from torch import Tensor
from torch.export import ExportedProgram

from emnist.errors import UserError

NEEDED = ("onnx", "onnxscript", "onnxruntime")


def require_onnx() -> None:
    """Raises UserError, saying what to install, if a library is missing."""
    try:
        for name in NEEDED:
            import_module(name)
    except ImportError as error:
        raise UserError('export to ONNX needs onnx, onnxscript and onnxruntime: pip install "emnist[onnx]"') from error


def to_onnx(program: ExportedProgram) -> bytes:
    """The program as an ONNX model: `images` uint8 [batch, …] → `probabilities` float32 [batch, classes]."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch's exporter about itself
        exported = torch.onnx.export(
            program,
            dynamo=True,
            external_data=False,  # a single file
            dynamic_shapes=({0: "batch"},),
            input_names=["images"],
            output_names=["probabilities"],
            verbose=False,
        )
    assert exported is not None
    model = exported.model_proto
    graph = model.graph
    for part in (*graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        part.ClearField("metadata_props")  # how torch came to each node, 30 kB
    return model.SerializeToString()


def with_metadata(model: bytes, metadata: dict[str, str]) -> bytes:
    """The same model with these as the only entries of its metadata."""
    import onnx

    from emnist import __version__

    proto = onnx.load_from_string(model)
    proto.ClearField("metadata_props")
    onnx.helper.set_model_props(proto, metadata)
    proto.producer_name, proto.producer_version = "emnist", __version__
    return proto.SerializeToString()


def load_onnx(model: bytes) -> Callable[[Tensor], Tensor]:
    """The model in onnxruntime, on as many threads as torch uses: uint8 [N, …] → float32 [N, classes]."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3  # errors
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run(None, {"images": images.numpy()})[0])
