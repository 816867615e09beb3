"""For the tests and for the notebooks: no network, no busy waiting, and what a machine cannot run is skipped."""

import os
import shutil
import sys
from pathlib import Path

import pytest

NO_NETWORK = str(Path(__file__).parent / "tests" / "no_network")
sys.path.insert(0, NO_NETWORK)
import refuse  # noqa: E402, F401

# The environment is inherited by xdist's workers, notebook kernels and every other process that a test starts.
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [NO_NETWORK, os.environ.get("PYTHONPATH")]))
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["COURSEKIT_HEADLESS"] = "1"
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("needs a CUDA GPU")
    if item.get_closest_marker("browser") and not shutil.which("chromium"):
        pytest.skip("needs chromium")
