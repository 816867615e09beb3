import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import pytest
import torch
from all_exercises import ALL

torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def own_progress(tmp_path, monkeypatch):
    """No test reads or writes the progress of whoever runs it."""
    monkeypatch.setenv("COURSEKIT_PROGRESS", str(tmp_path / "progress.json"))


def pytest_generate_tests(metafunc):
    if "exercise" in metafunc.fixturenames:
        metafunc.parametrize("exercise", ALL, ids=[exercise.id for exercise in ALL])
