import os
import shutil
import sys
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest

from coursekit.grading.mark import Boxes

sys.path.insert(0, str(Path(__file__).parent.parent / "exercises"))  # the coding styles


@pytest.fixture(scope="session")
def boxes():
    """Warm boxes, which all tests share: no submission is to notice another."""
    if not shutil.which("bwrap"):
        pytest.skip("bubblewrap is not installed")
    boxes = Boxes("bubblewrap")
    yield boxes
    boxes.close()
