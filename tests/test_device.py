import gc
import os
import subprocess
import sys
import weakref
from types import SimpleNamespace

import pytest
import torch

from coursekit import device

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU")


@pytest.fixture(scope="module")
def tf():
    return pytest.importorskip("tensorflow")


def pretend(monkeypatch, cuda=False, mps=False):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "Tesla T4")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


@pytest.fixture
def nvidia_smi(monkeypatch, tmp_path):
    """A program on the PATH that answers as nvidia-smi does."""
    if sys.platform == "win32":
        pytest.skip("the stand-in is a shell script")

    def install(script):
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return install


@pytest.mark.parametrize("cuda, mps, name, why", [
    (True, True, "cuda", "CUDA, Tesla T4, for PyTorch"),
    (True, False, "cuda", "CUDA, Tesla T4, for PyTorch"),
    (False, True, "mps", "MPS, the Apple GPU, for PyTorch"),
    (False, False, "cpu", "finds neither CUDA nor MPS"),
])
def test_best_for_torch_prefers_cuda_then_mps_then_cpu(monkeypatch, cuda, mps, name, why):
    pretend(monkeypatch, cuda, mps)
    chosen = device.best("torch")
    assert chosen == name and why in chosen.why
    assert torch.device(chosen).type == name


def test_best_on_a_cpu_is_taken_by_torch_and_says_when_the_build_is_the_reason(monkeypatch):
    pretend(monkeypatch)
    assert torch.nn.Linear(2, 3).to(device.best("torch")).weight.device.type == "cpu"
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(torch.version, "hip", None)
    assert "this build of PyTorch, made without CUDA, finds" in device.best("torch").why
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    assert "this build" not in device.best("torch").why


@pytest.mark.parametrize("platform, kind", [("linux", "CUDA"), ("darwin", "Metal")])
def test_best_for_tensorflow(monkeypatch, tf, platform, kind):
    gpu = SimpleNamespace(name="/physical_device:GPU:0")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [gpu])
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: {"device_name": "Tesla T4"})
    monkeypatch.setattr(sys, "platform", platform)
    chosen = device.best("tensorflow")
    assert (chosen, chosen.why) == ("/GPU:0", f"{kind}, Tesla T4, for TensorFlow")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    chosen = device.best("tensorflow")
    assert chosen == "/CPU:0" and "TensorFlow finds no GPU" in chosen.why
    with tf.device(chosen):
        assert tf.constant(1).device.endswith("CPU:0")


def test_best_without_a_name_asks_what_is_loaded(monkeypatch, tf):
    pretend(monkeypatch)
    assert device.best() == "cpu"
    monkeypatch.delitem(sys.modules, "torch")
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [])
    assert device.best() == "/CPU:0"
    monkeypatch.delitem(sys.modules, "tensorflow")
    with pytest.raises(ValueError, match="framework is None"):
        device.best()
    with pytest.raises(ValueError, match="framework is 'jax', expected"):
        device.best("jax")


def test_machine_asks_the_driver(monkeypatch, nvidia_smi):
    nvidia_smi('[ "$1" = --id=0 ] && echo "NVIDIA L4"')
    assert device.machine() == "NVIDIA L4 (no framework is loaded yet)"
    nvidia_smi('echo "NVIDIA L4"')
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    monkeypatch.setattr(sys, "platform", "linux")
    assert device.machine().startswith(f"CPU, {os.cpu_count()} cores")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    nvidia_smi("echo 'NVIDIA-SMI has failed'; exit 9")
    assert device.machine().startswith("CPU")
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(device.platform, "machine", lambda: "arm64")
    assert device.machine().startswith("Apple GPU")


def test_share_gpu_lets_every_gpu_grow():
    grown = []
    tensorflow = SimpleNamespace(config=SimpleNamespace(
        list_physical_devices=lambda kind: [f"{kind} 0", f"{kind} 1"],
        experimental=SimpleNamespace(set_memory_growth=lambda gpu, enable: grown.append((gpu, enable))),
    ))
    device.share_gpu(tensorflow)
    assert grown == [("GPU 0", True), ("GPU 1", True)]


def test_memory_of_a_gpu(monkeypatch, nvidia_smi):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda name: (3, 7))
    assert device.memory("cuda:1") == device.Memory(free=3, total=7)
    monkeypatch.setattr(torch.mps, "recommended_max_memory", lambda: 50)
    monkeypatch.setattr(torch.mps, "driver_allocated_memory", lambda: 8)
    assert device.memory(torch.device("mps")) == device.Memory(free=42, total=50)
    nvidia_smi('[ "$2" = --query-gpu=memory.free,memory.total ] && echo "1000, 15360"')
    assert device.memory("/GPU:0") == device.Memory(free=1000 * 2**20, total=15360 * 2**20)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_of_a_linux_machine():
    with open("/proc/meminfo") as lines:
        total = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemTotal"))
    memory = device.memory("cpu")
    assert memory.total == total and 0 < memory.free < total


def test_memory_of_other_machines(monkeypatch):
    pages = ("Mach Virtual Memory Statistics: (page size of 16384 bytes)\nPages free:        100.\n"
             "Pages active:    900.\nPages inactive:     20.\nPages speculative:   3.\n")
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 16384, "SC_PHYS_PAGES": 2000}.get, raising=False)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: SimpleNamespace(stdout=pages))
    assert device.memory("cpu") == (123 * 16384, 2000 * 16384)

    import ctypes

    def fill(status):
        assert status[0] == 64
        status[1], status[2] = 16 * 2**30, 5 * 2**30

    kernel32 = SimpleNamespace(GlobalMemoryStatusEx=fill)
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=kernel32), raising=False)
    monkeypatch.setattr(sys, "platform", "win32")
    assert device.memory("cpu") == (5 * 2**30, 16 * 2**30)


@pytest.mark.filterwarnings("ignore:.*autocast.*", "ignore:.*CUDA is not available.*")
@pytest.mark.parametrize("name, bfloat16, dtype", [
    ("cuda", True, torch.bfloat16), ("cuda:1", False, torch.float16), ("mps", False, torch.float16),
])
def test_autocast_dtype_per_device(monkeypatch, name, bfloat16, dtype):
    def is_bf16_supported(including_emulation=True):  # a GPU without bfloat16 units says yes when emulation counts
        return bfloat16 or including_emulation

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_bf16_supported)
    context = device.autocast(name)
    assert (context.device, context.fast_dtype) == (name.split(":")[0], dtype)


def test_autocast_leaves_a_cpu_in_float32_and_refuses_others(monkeypatch):
    pretend(monkeypatch)
    with device.autocast():
        assert (torch.ones(2, 3) @ torch.ones(3, 4)).dtype == torch.float32
    with pytest.raises(ValueError, match="device is '/GPU:0', expected cuda, mps or cpu"):
        device.autocast("/GPU:0")


@pytest.mark.parametrize("cuda, value, line", [
    (False, 200, "Sized for this device: 200, not 5000 (CPU, "),
    (True, 5000, "Sized for this device: 5000, not 200 (CUDA, Tesla T4, for PyTorch)."),
])
def test_scale_says_what_it_chose_and_why(monkeypatch, capsys, cuda, value, line):
    pretend(monkeypatch, cuda)
    assert device.scale(cpu=200, gpu=5000) == value
    printed = capsys.readouterr().out
    assert line in printed and printed.count("\n") == 1


@pytest.fixture
def quick(monkeypatch):
    """A collection of garbage takes half a second once TensorFlow is loaded."""
    monkeypatch.setattr(device, "gc", SimpleNamespace(collect=lambda: None))


@pytest.mark.parametrize("start, limit, room, largest", [
    (1, 4096, 37, 37), (3, 50, 1000, 50), (64, 64, 5, 5), (8, 4096, 8, 8), (1, 1, 1, 1), (5, 100, 99, 99),
])
def test_largest_batch(quick, start, limit, room, largest):
    tried = []

    def step(size):
        tried.append(size)
        if size > room:
            raise MemoryError

    assert device.largest_batch(step, start, limit) == largest
    assert len(set(tried)) == len(tried) and max(tried) <= limit


@pytest.mark.parametrize("message", [
    "CUDA out of memory. Tried to allocate 2.00 GiB",
    "MPS backend out of memory (MPS allocated: 9 GB)",
    "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes",
    "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes",
])
def test_largest_batch_knows_the_words_of_torch(quick, message):
    def step(size):
        if size > 6:
            raise RuntimeError(message)

    assert device.largest_batch(step) == 6


def test_largest_batch_knows_the_classes_of_both_frameworks(quick, tf):
    for error in (torch.OutOfMemoryError("no words"), tf.errors.ResourceExhaustedError(None, None, "no words")):
        def step(size, error=error):
            if size > 6:
                raise error

        assert device.largest_batch(step) == 6


def test_largest_batch_gives_the_memory_of_each_try_back():
    class Cycle:
        def __init__(self):
            self.me = self

    held = []

    def step(size):
        assert all(reference() is None for reference in held), "a try before still holds its memory"
        batch = Cycle()
        held.append(weakref.ref(batch))
        if size > 5:
            raise torch.OutOfMemoryError("CUDA out of memory")

    gc.disable()
    gc.freeze()  # leaves the objects of the frameworks out of each collection, which then takes no time
    try:
        assert device.largest_batch(step) == 5
        assert all(reference() is None for reference in held)
    finally:
        gc.unfreeze()
        gc.enable()


@pytest.mark.parametrize("name", ["tpu", "gpu", "cuda:x", "5"])
def test_memory_of_an_unknown_device_is_refused(name):
    with pytest.raises(ValueError, match=f"device is '{name}', expected cpu, cuda or mps"):
        device.memory(name)


def test_largest_batch_raises_what_is_not_about_memory(quick):
    def broken(size):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    def hopeless(size):
        raise MemoryError

    with pytest.raises(RuntimeError, match="shapes"):
        device.largest_batch(broken)
    with pytest.raises(MemoryError, match="batch of 1"):
        device.largest_batch(hopeless, start=4)
    with pytest.raises(ValueError, match="start is 0 and limit is 4096"):
        device.largest_batch(hopeless, start=0)
    with pytest.raises(ValueError, match="start is 9 and limit is 8"):
        device.largest_batch(hopeless, start=9, limit=8)


def test_warn_about_an_lstm_on_mps_alone(recwarn):
    device.warn_about("cuda", "lstm")
    device.warn_about("mps", "linear")
    assert not recwarn.list
    with pytest.warns(UserWarning, match="LSTM on Apple's MPS can give other numbers"):
        device.warn_about(torch.device("mps"), "lstm")


@pytest.mark.gpu
@needs_cuda
def test_cuda_is_chosen_measured_and_used_in_half_precision():
    name = device.best("torch")
    assert name == "cuda" and torch.cuda.get_device_name(0) in name.why
    before = device.memory(name)
    block = torch.empty(2**28, dtype=torch.uint8, device=name)
    after = device.memory(name)
    assert before.total == after.total and before.free - after.free >= block.numel()
    with device.autocast(name):
        assert (torch.ones(2, 3, device=name) @ torch.ones(3, 4, device=name)).dtype in (torch.bfloat16, torch.float16)


@pytest.mark.gpu
@needs_cuda
def test_largest_batch_on_cuda_leaves_no_memory_behind():
    torch.cuda.empty_cache()
    reserved = torch.cuda.memory_reserved()
    unit = device.memory("cuda").free // 20
    largest = device.largest_batch(lambda size: torch.empty(size * unit, dtype=torch.uint8, device="cuda"))
    assert 15 <= largest <= 20
    assert torch.cuda.memory_reserved() == reserved


@pytest.mark.gpu
@needs_cuda
def test_tensorflow_leaves_room_for_torch_on_one_gpu():
    code = """
import coursekit
coursekit.start()
import tensorflow, torch
tensorflow.zeros((1000, 1000)) + 1
memory = coursekit.device.memory("cuda")
assert memory.free > memory.total / 2, memory
torch.ones(1000, device="cuda").sum().item()
"""
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stderr) == (0, "")
