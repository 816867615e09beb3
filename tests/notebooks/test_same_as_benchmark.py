"""What lectures train live is what their stored tables measure."""

import ast
import re

import pytest

from coursekit.notebooks import NOTEBOOKS
from coursekit.results import PROJECT


def definition(path, name):
    """The class or function as it is in this file, but for docstrings, comments and the ways to write torch.nn."""
    tree = ast.parse(re.sub(r"(?m)^# %pip.*$", "", path.read_text(encoding="utf-8")))
    found = next(node for node in tree.body if getattr(node, "name", None) == name)
    for node in ast.walk(found):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and ast.get_docstring(node) is not None:
            node.body = node.body[1:]
    return ast.unparse(found).replace("torch.nn.", "nn.")


@pytest.mark.parametrize("name, benchmark, lecture", [
    ("Finder", "positions", "04_positional_encoding"),
    ("windows", "causal_leak", "05_self_attention"),
    ("InBatches", "translation", "08_decoder_and_translation"),
    ("inputs_and_targets", "scaling", "09_language_model"),
    ("Questions", "pretraining", "10_bert_pretraining"),
    ("questions", "pretraining", "10_bert_pretraining"),
    ("asked", "pretraining", "10_bert_pretraining"),
    ("measured", "pretraining", "10_bert_pretraining"),
    ("baselines", "pretraining", "10_bert_pretraining"),
    ("pretrain", "pretraining", "10_bert_pretraining"),
    ("fine_tune", "fine_tuning_tasks", "12_bert_fine_tuning"),
    ("predict", "fine_tuning_tasks", "12_bert_fine_tuning"),
    ("both_right", "fine_tuning_tasks", "12_bert_fine_tuning"),
    ("gazetteer", "fine_tuning_tasks", "12_bert_fine_tuning"),
    ("looked_up", "fine_tuning_tasks", "12_bert_fine_tuning"),
    ("windowed", "fine_tuning_tasks", "12_bert_fine_tuning"),
    ("answers", "fine_tuning_tasks", "12_bert_fine_tuning"),
    ("word_states", "homographs", "11_bert_in_context"),
    ("pairs", "homographs", "11_bert_in_context"),
    ("bootstrap", "homographs", "11_bert_in_context"),
    ("contributions", "homographs", "11_bert_in_context"),
    ("turns", "homographs", "11_bert_in_context"),
    ("rollout", "homographs", "11_bert_in_context"),
    ("compiled", "fine_tuning_keras", "13_bert_in_keras"),
    ("swapped", "associations", "14_what_language_models_learned"),
])
def test_the_lecture_and_the_benchmark_define_the_same(name, benchmark, lecture):
    there = definition(PROJECT / f"benchmarks/{benchmark}.py", name)
    assert len(there.splitlines()) >= 4
    assert definition(NOTEBOOKS / f"source/{lecture}.py", name) == there


def settings(path, name):
    """The keyword arguments, as values, of the last call that is assigned to this name in the file."""
    tree = ast.parse(re.sub(r"(?m)^# %pip.*$", "", path.read_text(encoding="utf-8")))
    calls = [node.value for node in tree.body if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
             and getattr(node.targets[0], "id", None) == name]
    return {keyword.arg: ast.literal_eval(keyword.value) for keyword in calls[-1].keywords
            if not isinstance(keyword.value, ast.Name)}


def test_lecture_08_trains_with_the_settings_of_its_benchmark():
    benchmark, lecture = PROJECT / "benchmarks/translation.py", NOTEBOOKS / "source/08_decoder_and_translation.py"
    assert settings(lecture, "model") == settings(benchmark, "MODEL")
    training = settings(benchmark, "TRAINING")
    text = lecture.read_text(encoding="utf-8")
    epochs = re.search(r"EPOCHS, BATCH = ({.*})\[language\], (\d+)", text)
    there = re.search(r"(?m)^EPOCHS = ({.*})", benchmark.read_text(encoding="utf-8"))
    assert ast.literal_eval(epochs[1]) == ast.literal_eval(there[1]) and int(epochs[2]) == training["batch_size"]
    names = {"n_steps": 2000}
    exec(definition(lecture, "rate"), names)
    assert names["rate"](training["warm_up"]) == training["peak"] == 2 * names["rate"](training["warm_up"] // 2)
    assert names["rate"](2000) < training["peak"] / 1000
    smoothing = re.search(r"smoothing=([\d.]+)", definition(lecture, "smoothed_loss_of_batch"))
    assert float(smoothing[1]) == training["smoothing"]
