"""The worked solutions of the trained predictors pass, each trained with two seeds and judged on the data of two."""

from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

import coursekit.torch
from coursekit.exercises import library
from coursekit.exercises.exercise import examine
from train_predictors import path


@pytest.mark.parametrize("seed", [0, 1])
def test_length_20_trained_here(seed):
    torch.manual_seed(seed)
    exercise, namespace = library.find("01.length_20"), {}
    exec(exercise.solution, namespace)
    verdicts = [examine(exercise, namespace, data) for data in (0, 1)]
    assert [verdict.status for verdict in verdicts] == ["passed", "passed"], verdicts[0].text


@pytest.mark.parametrize("seed", [0, 1])
def test_length_100_with_the_stored_model_of_this_seed(seed, monkeypatch):
    def reuse(model, *args, **kwargs):
        model.load_state_dict({name: tensor.float() for name, tensor in load_file(path("02.length_100", seed)).items()})
        return SimpleNamespace(seconds=60.0)

    monkeypatch.setattr(coursekit.torch, "fit", reuse)
    exercise, namespace = library.find("02.length_100"), {}
    exec(exercise.solution, namespace)
    verdicts = [examine(exercise, namespace, data) for data in (0, 1)]
    assert [verdict.status for verdict in verdicts] == ["passed", "passed"], verdicts[0].text


def test_an_untrained_model_is_told_so():
    torch.manual_seed(0)
    model = coursekit.torch.Seq2Seq(16, 8)
    exercise = library.find("01.length_20")
    verdict = examine(exercise, {"reverse_20": lambda source: model.greedy(torch.from_numpy(source))})
    assert verdict.status == "failed" and "That is guessing." in verdict.text
