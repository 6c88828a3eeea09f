"""What the machine can do, and what it is called."""

import os
import platform
from pathlib import Path

import torch

ALL_THREADS = torch.get_num_threads()


def use_threads(count: int | None) -> None:
    """Let torch compute with `count` threads on the CPU; None: as many as it chose itself."""
    torch.set_num_threads(ALL_THREADS if count is None else count)


def hide_absent_gpu() -> None:
    """Spare the optimizers the search for a driver that isn't there.

    torch's optimizers ask at every step whether there is a GPU. Lightning has torch answer through the
    driver's own library, which a build for CUDA then looks for on the disk each time: 10% of an epoch of
    the MLP. An empty CUDA_VISIBLE_DEVICES answers at once.
    """
    if not torch.cuda.is_available():
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


def choose_precision(precision: str, accelerator: str) -> str:
    """Lightning's name for the precision to train in; `auto` is bf16 where the hardware has instructions for it."""
    if precision != "auto":
        return precision
    if accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available():
        has_bf16 = torch.cuda.is_bf16_supported(including_emulation=False)
    elif accelerator == "cpu" or (accelerator == "auto" and not torch.backends.mps.is_available()):
        cpu = torch.cpu.get_capabilities()
        has_bf16 = any(cpu.get(instructions) for instructions in ("avx512_bf16", "amx_bf16", "bf16"))
    else:
        has_bf16 = False
    return "bf16-mixed" if has_bf16 else "32-true"


def describe_device(device: torch.device) -> dict[str, str | int]:
    """Type and name of the device, and on a CPU the threads torch uses."""
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
