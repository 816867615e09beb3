"""Where to compute: CUDA, Apple's MPS or the CPU, how much memory there is, and work sized to it."""

import gc
import os
import platform
import re
import shutil
import subprocess
import sys
import warnings
from contextlib import nullcontext
from typing import NamedTuple


class Device(str):
    """A device name as torch ("cuda") or TensorFlow ("/GPU:0") takes it, with `why`, the choice in words."""

    def __new__(cls, name, why):
        device = super().__new__(cls, name)
        device.why = why
        return device


class Memory(NamedTuple):
    """Free and total memory in bytes."""

    free: int
    total: int


def best(framework=None):
    """The fastest device the framework can use: CUDA, then Apple's MPS, then the CPU.

    framework: "torch", "tensorflow", or None for the one that is loaded, PyTorch if both are.
    Returns a Device: "cuda", "mps" or "cpu" for PyTorch, "/GPU:0" or "/CPU:0" for TensorFlow.
    Raises ValueError for another framework, or for None where neither is loaded.
    """
    if framework is None:
        framework = next((name for name in ("torch", "tensorflow") if name in sys.modules), None)
    if framework == "torch":
        return _best_torch()
    if framework == "tensorflow":
        return _best_tensorflow()
    raise ValueError(f'framework is {framework!r}, expected "torch", "tensorflow", or None once one of them is loaded')


def _best_torch():
    import torch

    if torch.cuda.is_available():
        return Device("cuda", f"CUDA, {torch.cuda.get_device_name(0)}, for PyTorch")
    if torch.backends.mps.is_available():
        return Device("mps", "MPS, the Apple GPU, for PyTorch")
    build = "PyTorch" if torch.version.cuda or torch.version.hip else "this build of PyTorch, made without CUDA,"
    return Device("cpu", f"CPU, {_cores()}: {build} finds neither CUDA nor MPS")


def _best_tensorflow():
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if not gpus:
        return Device("/CPU:0", f"CPU, {_cores()}: TensorFlow finds no GPU")
    kind = "Metal" if sys.platform == "darwin" else "CUDA"
    name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "a GPU")
    return Device("/GPU:0", f"{kind}, {name}, for TensorFlow")


def machine():
    """The machine's own device in words, asked without loading a framework."""
    if gpu := _nvidia_smi("name"):
        return f"{gpu} (no framework is loaded yet)"
    if sys.platform == "darwin" and platform.machine() == "arm64":
        return "Apple GPU (no framework is loaded yet)"
    return f"CPU, {_cores()} (no framework is loaded yet)"


def _cores():
    return f"{os.cpu_count()} cores"


def _nvidia_smi(fields):
    """The comma-separated fields of the first visible NVIDIA GPU as nvidia-smi words them, or "" without one."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    if visible in ("", "-1") or not shutil.which("nvidia-smi"):
        return ""
    command = ["nvidia-smi", f"--id={visible}", f"--query-gpu={fields}", "--format=csv,noheader,nounits"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


def share_gpu(tensorflow):
    """Let TensorFlow take GPU memory as it needs it instead of all at once, so that PyTorch can use the same GPU.

    tensorflow: the imported module. Raises RuntimeError if TensorFlow has run on a GPU without this.
    """
    for gpu in tensorflow.config.list_physical_devices("GPU"):
        tensorflow.config.experimental.set_memory_growth(gpu, True)


def memory(device=None):
    """Free and total memory, in bytes, of a device: the GPU's own, or the machine's for the CPU.

    device: as `best()` names it; None is `best()`. On MPS the total is what Metal recommends to use. Raises ValueError for
    another name.
    """
    device = best() if device is None else str(device)
    if not re.fullmatch(r"(cpu|cuda|mps)(:\d+)?|/[CG]PU:\d+", device):
        raise ValueError(f"device is {device!r}, expected cpu, cuda or mps (with :0, :1 …), /CPU:0 or /GPU:0")
    if device.startswith("cuda"):
        import torch

        return Memory(*torch.cuda.mem_get_info(device))
    if device.startswith("mps"):
        import torch

        total = torch.mps.recommended_max_memory()
        return Memory(total - torch.mps.driver_allocated_memory(), total)
    if device.startswith("/GPU") and (answer := _nvidia_smi("memory.free,memory.total")):
        return Memory(*(int(mebibytes) * 2**20 for mebibytes in answer.split(",")))
    return _machine_memory()


def _machine_memory():
    if sys.platform == "win32":
        import ctypes

        # MEMORYSTATUSEX: its own size (64) and the load in the first eight bytes, then total and available bytes.
        status = (ctypes.c_uint64 * 8)(64)
        ctypes.windll.kernel32.GlobalMemoryStatusEx(status)
        return Memory(status[2], status[1])
    page, pages = os.sysconf("SC_PAGE_SIZE"), os.sysconf("SC_PHYS_PAGES")
    if sys.platform == "darwin":
        lines = subprocess.run(["vm_stat"], capture_output=True, text=True, check=True).stdout.splitlines()
        free = sum(int(line.split()[-1].rstrip(".")) for line in lines
                   if line.startswith(("Pages free", "Pages inactive", "Pages speculative")))
        return Memory(free * page, pages * page)
    with open("/proc/meminfo") as meminfo:
        # MemAvailable counts the caches that the kernel gives up on demand, SC_AVPHYS_PAGES does not.
        available = next(line for line in meminfo if line.startswith("MemAvailable"))
    return Memory(int(available.split()[1]) * 1024, pages * page)


def autocast(device=None):
    """A context in which PyTorch computes in the mixed precision that suits the device.

    CUDA: bfloat16 where the GPU has it, else float16; MPS: float16; CPU: float32 throughout, since half precision is
    slower on most CPUs. Training in float16 needs a `torch.amp.GradScaler`, or small gradients become zero.

    device: a torch device or its name; None is `best("torch")`. Raises ValueError for any other device.
    """
    import torch

    kind = str(device or best("torch")).split(":")[0]
    if kind == "cuda":
        # Emulated bfloat16 runs, but slower than float32.
        real_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
        return torch.autocast("cuda", dtype=torch.bfloat16 if real_bfloat16 else torch.float16)
    if kind == "mps":
        return torch.autocast("mps", dtype=torch.float16)
    if kind == "cpu":
        return nullcontext()
    raise ValueError(f"device is {str(device)!r}, expected cuda, mps or cpu")


def scale(*, cpu, gpu):
    """`gpu` where `best()` is a GPU, else `cpu`; one printed line says which and why."""
    device = best()
    on_cpu = "cpu" in device.lower()
    value, other = (cpu, gpu) if on_cpu else (gpu, cpu)
    print(f"Sized for this device: {value}, not {other} ({device.why}).")
    return value


def largest_batch(step, start=1, limit=4096):
    """The largest batch size up to `limit` for which `step(batch_size)` does not run out of memory.

    Doubles from `start` until it fails, then bisects. Each try's memory is given back before the next and at the end,
    except what `step` itself keeps, such as the gradients of its model. On a CPU keep `limit` low: there the system may
    end the process before any error is raised.

    step: a function of one integer, best a whole training step. start, limit: batch sizes, 1 <= start <= limit.
    Raises ValueError for other sizes, MemoryError if a batch of 1 is too large, and whatever else `step` raises.
    """
    if not 1 <= start <= limit:
        raise ValueError(f"start is {start} and limit is {limit}, expected 1 <= start <= limit")
    fits, size = 0, start
    while _runs(step, size):
        if size == limit:
            return limit
        fits, size = size, min(2 * size, limit)
    too_large = size
    while too_large - fits > 1:
        size = (fits + too_large) // 2
        if _runs(step, size):
            fits = size
        else:
            too_large = size
    if fits == 0:
        raise MemoryError("step ran out of memory with a batch of 1")
    return fits


def _runs(step, size):
    try:
        step(size)
        fits = True
    except Exception as error:
        if not _out_of_memory(error):
            raise
        fits = False
    # Only after the except block is the error gone, and with it the frames that held the tensors.
    gc.collect()
    if "torch" in sys.modules:
        torch = sys.modules["torch"]
        torch.cuda.empty_cache()
        if torch.backends.mps.is_available():
            torch.mps.empty_cache()
    return fits


# What MPS, the CPU's allocator (Linux and macOS, then Windows) and cuBLAS say in a plain RuntimeError.
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "ALLOC_FAILED")


def _out_of_memory(error):
    # By name, since importing a framework's class would load the framework.
    return (isinstance(error, MemoryError) or type(error).__name__ in ("OutOfMemoryError", "ResourceExhaustedError")
            or any(words in str(error) for words in _OUT_OF_MEMORY))


def warn_about(device, layer):
    """Warn where a layer is known to give other numbers on this device than on a CPU: an LSTM on MPS.

    device: as `best()` names it. layer: the layer's name in lower case, such as "lstm".
    """
    if str(device).startswith("mps") and layer == "lstm":
        warnings.warn("An LSTM on Apple's MPS can give other numbers than on a CPU, stacked layers with dropout above "
                      'all (PyTorch issues 90421, 173640, 180744). Where numbers matter, use "cpu".', stacklevel=2)
