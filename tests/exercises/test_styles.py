"""No honest solution is refused: at least five coding styles for each exercise, one thread and two."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from coursekit.exercises import library
from coursekit.exercises.exercise import examine
from all_exercises import SEEDS
from exercise_styles import KERAS_STYLES, STYLES

for file in sorted(Path(__file__).parent.glob("styles_*.py")):
    importlib.import_module(file.stem)


def accepted(exercise, definition, seed):
    verdict = examine(exercise, exercise.namespace(definition), seed)
    return verdict.status == "passed" or f"{definition}: {verdict.text}"


def test_every_style_is_accepted(exercise):
    assert len(STYLES[exercise.id]) >= (4 if exercise.kind == "class" else 5)  # more in Keras, below
    for definition in STYLES[exercise.id]:
        for seed in SEEDS[:5]:
            assert accepted(exercise, definition, seed) is True


def test_keras_layers_are_accepted():
    assert {"02.attentional_vector", "05.causal_self_attention", "06.multi_head"} <= KERAS_STYLES.keys()
    for id, layers in KERAS_STYLES.items():
        for definition in layers():
            for seed in SEEDS[:3]:
                assert accepted(library.find(id), definition, seed) is True


def test_keras_layers_on_the_torch_backend_are_accepted():
    """There a Keras layer is an nn.Module too. A process has one backend, so another process is asked."""
    done = subprocess.run(
        [sys.executable, "-c", "import test_styles; test_styles.test_keras_layers_are_accepted()"],
        cwd=Path(__file__).parent, env={**os.environ, "KERAS_BACKEND": "torch"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("threads", [1, 2])
def test_threads_do_not_matter(threads):
    torch.set_num_threads(threads)
    try:
        for id in ("02.four_scores", "02.attentional_vector", "02.alignment"):
            exercise = library.find(id)
            assert [accepted(exercise, definition, 0) for definition in STYLES[id]] == [True] * len(STYLES[id])
    finally:
        torch.set_num_threads(1)
