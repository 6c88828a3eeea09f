"""int8: convolutions and linear layers with weights and inputs of 8 bits, whose scales are fixed from training images.

The rest, from normalisation to softmax, stays in 32-bit. Chosen on one thread of a processor with VNNI instructions,
with the 5,640 validation images of two CNNs (filters [32, 64, 128]; 3 × 3, ReLU, and 5 × 5, leaky) and an MLP (3 × 128,
ELU):

- One scale per output channel of the weights, and the outputs of linear layers in 32-bit: 99.8%, 99.6% and 99.6% of the
  predictions are those of the float model. With one scale per layer 99.7%, 99.4% and 99.3%; with outputs in 8 bits too
  98.9%, 99.0% and 98.7%. Accuracy stayed within 0.3 points.
- Unsigned inputs. Signed ones predicted the same, but ResNets took 2.5 × the time, a CNN with ELU 2.8 × (both with
  random weights).
- QDQ, since QOperator was no faster. It leaves each layer in float between conversions, which onnxruntime merges.
- ReLU and pooling in 8 bits, which raised the speed of a ReLU CNN from 1.45 to 2.1 × that of float; additions and
  LeakyReLU in 8 bits made no difference beyond noise.
- Scales from the extremes, since percentiles gave no more equal predictions.

On x86 processors without VNNI, unsigned inputs with signed weights can overflow (onnxruntime's option
session.x64quantprecision prevents it), so accuracy is measured wherever a model is made.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from emnist.data.batches import EVALUATION_BATCH

CALIBRATION = 1024  # training images; with 256, 0.3% fewer predictions of one CNN were equal, with 4096 no more
LAYERS = ["Conv", "Gemm", "Relu", "MaxPool"]


class Calibration:
    """Gives onnxruntime the images, uint8 [N, …], batch by batch."""

    def __init__(self, images: Tensor):
        self.batches = iter(images.split(EVALUATION_BATCH))

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self.batches, None)
        return None if batch is None else {"images": batch.numpy()}


def quantize(model: bytes, images: Tensor) -> bytes:
    """The ONNX model with static 8-bit layers, calibrated on training images, uint8 [N, …]."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as folder:  # onnxruntime quantises files
        given, prepared, quantized = (Path(folder) / f"{name}.onnx" for name in ("given", "prepared", "quantized"))
        given.write_bytes(model)
        quant_pre_process(given, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            quantized,
            Calibration(images),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=LAYERS,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options={"OpTypesToExcludeOutputQuantization": ["Gemm"]},
        )
        return quantized.read_bytes()


def some_of(indices: Tensor) -> Tensor:
    """The indices of the images to calibrate on: always the same of a run, from all over the set."""
    generator = torch.Generator().manual_seed(0)
    return indices[torch.randperm(len(indices), generator=generator)[:CALIBRATION]]


def accuracy(predict: Callable[[Tensor], Tensor], images: Tensor, labels: Tensor) -> float:
    """uint8 [N, …], int64 [N] → the share of 1 predicted right."""
    predicted = torch.cat([predict(batch).argmax(1) for batch in images.split(EVALUATION_BATCH)])
    return (predicted == labels).double().mean().item()
