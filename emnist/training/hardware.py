"""Threads, GPU and precision: how this process uses the machine."""

import os

import torch

from emnist.errors import UserError

ALL_THREADS = torch.get_num_threads()


def use_threads(count: int | None) -> None:
    """Let torch compute with `count` threads on the CPU; None restores its default."""
    torch.set_num_threads(ALL_THREADS if count is None else count)


def hide_absent_gpu() -> None:
    """Make torch's check for a GPU cheap on machines without one.

    torch's optimizers check at every step. Lightning makes torch ask NVML, whose library a CUDA build then
    looks for on disk each time: 10% of an epoch of the MLP. An empty CUDA_VISIBLE_DEVICES answers at once.
    """
    if not torch.cuda.is_available():
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


def choose_precision(precision: str, accelerator: str) -> str:
    """Lightning's name for the precision to train in; `auto` is bf16 if the hardware has instructions for it."""
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


def device_of(accelerator: str) -> torch.device:
    """Where runs are trained together with this accelerator (auto, cpu, gpu or cuda): on a GPU or the CPU.

    Raises UserError if there is none.
    """
    if accelerator in ("gpu", "cuda") and not torch.cuda.is_available():
        raise UserError(f"trainer.accelerator={accelerator}: no GPU found; choose auto or cpu")
    return torch.device("cuda" if accelerator != "cpu" and torch.cuda.is_available() else "cpu")
