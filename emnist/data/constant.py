from functools import cache

import torch
from torch import Tensor


@cache
def constant(values: tuple, device: torch.device) -> Tensor:
    """These numbers as a float32 tensor on the device.

    Made once: a copy to a GPU waits for it, and no CUDA graph can be captured with one.
    """
    return torch.tensor(values, dtype=torch.float32, device=device)
