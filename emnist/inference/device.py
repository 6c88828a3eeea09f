"""The name of the hardware that results come from."""

import platform
from pathlib import Path

import torch


def describe_device(device: torch.device) -> dict[str, str | int]:
    """Type and name of the device; for a CPU also the number of threads that torch uses."""
    if device.type == "cuda":
        return {"type": "cuda", "name": torch.cuda.get_device_name(device)}
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return {
        "type": device.type,
        "name": names[0] if names else platform.processor() or platform.machine(),
        "threads": torch.get_num_threads(),
    }
