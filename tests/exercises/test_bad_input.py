"""What learners' code does besides being right or wrong: a card says what happened, and check never raises."""

import os
import sys
import threading
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from coursekit.exercises import library
from coursekit.exercises.call import Case, call
from coursekit.exercises.exercise import examine
from coursekit.exercises.notebook import check
from coursekit.exercises.plain import plain


def context(definition, capsys):
    """The text of the card for a context_vector."""
    check("02.context_vector", definition)
    return capsys.readouterr().out


def right(weights, values):
    return np.einsum("bs,bsu->bu", weights, values)


QUICK = SimpleNamespace(name="answer", kind="function", framework="numpy", seconds=0.2, signature="answer()")


@pytest.mark.parametrize("result, said", [
    (lambda w, v: [None, None], "None came back"),
    (lambda w, v: (row for row in v), "A generator came back"),
    (lambda w, v: {"context": 1}, "an object of type dict"),
    (lambda w, v: right, "is a function"),
    (lambda w, v: np.ma.masked_less(right(w, v), 0.5), "masked entries"),
    (lambda w, v: right(w, v).astype(np.float16), "dtype float16"),
    (lambda w, v: torch.tensor(right(w, v)).bfloat16(), "dtype torch.bfloat16"),
    (lambda w, v: right(w, v).astype(int), "whole numbers (int64), expected real numbers"),
    (lambda w, v: right(w, v) > 0, "booleans (bool), expected real numbers"),
    (lambda w, v: right(w, v).astype(complex), "complex numbers"),
    (lambda w, v: right(w, v).astype(str), "dtype <U"),
    (lambda w, v: np.array([[object()]]), "dtype object"),
    (lambda w, v: "context", "context is a text"),
    (lambda w, v: (right(w, v), w), "A sequence of 2 came back, expected one array."),
    (lambda w, v: (right(w, v), right(w, v)), "A sequence of 2 came back, expected one array."),
    (lambda w, v: ["a", "b"], "context holds texts, expected real numbers"),
    (lambda w, v: [], "An empty list came back."),
    (lambda w, v: 1.5, "context is a single number, expected (1, 3): (batch, units)."),
    (lambda w, v: [np.ones(3), np.ones(2)], "Row 0 has shape (3,), row 1 has shape (2,); in an array all rows"),
    (lambda w, v: [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0], [1.0]], "Row 0 has shape (3,), row 2 has shape (1,)"),
    (lambda w, v: right(w, v) / 0.0, "differs in"),
    (lambda w, v: right(w, v) * np.nan, "contains NaN, first at [batch 0, units 0]"),
    (lambda w, v: right(w, v)[:, :1], "axis 1 (units) is 1, not 3"),
    (lambda w, v: right(w, v)[0], "has shape (3,), expected (1, 3): (batch, units)"),
    (lambda w, v: torch.empty(right(w, v).shape, device="meta"), 'device "meta"'),
    (lambda w, v: np.broadcast_to(np.float32(1), (10 ** 5, 10 ** 5)), "10,000,000,000 numbers"),
    (lambda w, v: right(w, v) + 1e-3, "differs in 3 of 3 values, first at [batch 0, units 0]"),
])
@pytest.mark.filterwarnings("ignore")
def test_unusable_and_wrong_answers(result, said, capsys):
    printed = context(result, capsys)
    assert said in printed and "not yet" in printed and "smallest failing case, batch 1, length 2, units 3" in printed


@pytest.mark.parametrize("result", [
    lambda w, v: np.ma.array(right(w, v)),
    lambda w, v: torch.tensor(right(w, v), requires_grad=True) * 1,
    lambda w, v: np.concatenate([right(w, v), right(w, v)])[:len(w)],  # a view
    lambda w, v: np.asfortranarray(right(w, v))[...],
    lambda w, v: np.matrix(right(w, v)),
    lambda w, v: torch.tensor(right(w, v)).to_sparse(),
    lambda w, v: right(w, v).astype(np.longdouble),
    lambda w, v: right(w, v).astype(">f8"),
])
@pytest.mark.filterwarnings("ignore")
def test_unusual_but_right_answers(result, capsys):
    assert "passed, 3 of 3 cases, 1 point" in context(result, capsys)


def test_no_result(capsys):
    def forgot_return(weights, values):
        result = right(weights, values)  # noqa: F841

    assert "None came back. Does every path" in context(forgot_return, capsys)


def test_not_attempted_is_exactly_this(capsys):
    def only_a_docstring(weights, values):
        """Text."""
        ...

    def says_so(weights, values):
        raise NotImplementedError

    def placeholder(weights, values):
        return ...

    for starter in (only_a_docstring, says_so, placeholder, ...):
        assert context(starter, capsys).startswith("[–] 02.context_vector The context vector: not attempted")

    def library_lacks_it(weights, values):
        torch.nn.Module()(values)  # torch itself raises NotImplementedError

    assert "raised an exception" in context(library_lacks_it, capsys)


def test_half_written_work_is_no_starter(capsys):
    def context_vector(weights, values):
        if len(weights) > 1:
            raise NotImplementedError
        return right(weights, values)

    shown = context(context_vector, capsys)
    assert "not yet, 1 of 3 cases pass" in shown and "This case is not written yet" in shown
    assert "smallest failing case, batch 2" in shown

    def smallest_case_left_out(weights, values):
        return right(weights, values) if len(weights) > 1 else ...

    assert "not yet, 2 of 3 cases pass" in context(smallest_case_left_out, capsys)


def test_empty_methods_of_a_class(capsys):
    class AttentionalVector(torch.nn.Module):
        def __init__(self, units):
            super().__init__()
            self.W = torch.nn.Linear(2 * units, units, bias=False)

        def forward(self, context, state):
            """To do."""

    check("02.attentional_vector", AttentionalVector)
    assert "not attempted" in capsys.readouterr().out


def test_changed_inputs_are_reported(capsys):
    def in_place(weights, values):
        values *= weights[:, :, None]
        return values.sum(1)

    assert "the call changed values, which belongs to whoever called" in context(in_place, capsys)

    def wrong_because_in_place(weights, values):
        weights[0] = 0
        return (weights[:, :, None] * values).sum(1)

    shown = context(wrong_because_in_place, capsys)
    assert "0 came, expected" in shown and "The call also changed weights in place" in shown

    def in_place_torch(weights):
        result = library.find("02.alignment").right(weights)
        weights.zero_()
        return result

    check("02.alignment", in_place_torch)
    assert "the call changed weights" in capsys.readouterr().out


def test_exception_is_shown_with_the_learners_own_line(capsys):
    def helper(values):
        return np.stack([values, np.zeros(7)])  # this line

    def context_vector(weights, values):
        return helper(values)

    printed = context(context_vector, capsys)
    line = helper.__code__.co_firstlineno + 1
    assert f"Line {line}: return np.stack([values, np.zeros(7)])  # this line" in printed
    assert "ValueError: all input arrays must have the same shape" in printed and "stack(arrays" not in printed


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), GeneratorExit(), BaseException("out")])
def test_any_exception_is_an_answer(error, capsys):
    def context_vector(weights, values):
        raise error

    assert f"{type(error).__name__}" in context(context_vector, capsys)


@pytest.mark.skipif(not hasattr(__import__("signal"), "setitimer"), reason="needs timer signals")
@pytest.mark.parametrize("words", [lambda self: 1 / 0, lambda self: time.sleep(60), lambda self: forever()])
def test_exceptions_that_cannot_say_what_they_are(words, capsys):
    error = type("Mute", (Exception,), {"__str__": words})()

    def answer():
        raise error

    outcome = call({"answer": answer}, QUICK, Case({}))
    assert outcome.status == "raised" and outcome.message.endswith(": raise error\nMute")


def test_messages_in_bold_are_shown_without_the_codes(capsys):
    def context_vector(weights, values):
        raise ValueError("\x1b[1mLayer W\x1b[0m has no weights")

    assert "ValueError: Layer W has no weights" in context(context_vector, capsys)


def test_a_lazy_layer_makes_its_weights_first(capsys):
    class AttentionalVector(torch.nn.Module):
        def __init__(self, units):
            super().__init__()
            self.W = torch.nn.LazyLinear(units, bias=False)

        def forward(self, context, state):
            return torch.tanh(self.W(torch.cat([context, state], dim=-1)))

    check("02.attentional_vector", AttentionalVector)
    assert "passed" in capsys.readouterr().out


def test_ctrl_c_ends_the_check():
    calls = []

    def context_vector(weights, values):
        calls.append(1)
        raise KeyboardInterrupt

    verdict = examine(library.find("02.context_vector"), {"context_vector": context_vector})
    assert verdict.status == "failed" and verdict.text.startswith("It was stopped from the keyboard")
    assert len(calls) == 1


def test_a_check_inside_the_code_it_checks(capsys):
    calls = []

    def context_vector(weights, values):
        calls.append(1)
        check("02.context_vector", context_vector)

    shown = context(context_vector, capsys)
    assert 'check("02.context_vector") is called inside the code that it checks.' in shown
    assert "None came back" in shown and len(calls) == 3
    assert "passed" in context(right, capsys)


def test_the_notebooks_default_device_does_not_matter(capsys):
    torch.set_default_device("meta")  # as "cuda" would, it puts new tensors where the inputs are not
    try:
        library.find("02.alignment").questions.cache_clear()
        check("02.alignment", library.find("02.alignment").right)
        assert torch.ones(1).device.type == "meta"
    finally:
        torch.set_default_device(None)
    assert "passed" in capsys.readouterr().out


def test_arrays_of_jax(monkeypatch):
    class Array:
        def __array__(self, dtype=None, copy=None):
            return np.arange(3.0)

    monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(Array=Array))
    assert np.array_equal(plain(Array()), [0, 1, 2])


def test_exception_without_end(capsys):
    def context_vector(weights, values):
        return context_vector(weights, values)

    assert "RecursionError" in context(context_vector, capsys)


def forever():
    while True:
        pass


def forever_swallowing():
    while True:
        try:
            time.sleep(0.001)
        except:  # noqa: E722
            pass


def sleeping():
    time.sleep(60)


@pytest.mark.skipif(not hasattr(__import__("signal"), "setitimer"), reason="needs timer signals")
@pytest.mark.parametrize("body", [forever, forever_swallowing, sleeping])
def test_time_limit(body):
    trace = sys.gettrace()
    outcome = call({"answer": body}, QUICK, Case({}))
    assert outcome.status == "timed out" and "stopped after 0.2 seconds" in outcome.message
    assert sys.gettrace() is trace


def test_time_limit_outside_the_main_thread():
    outcomes = []
    thread = threading.Thread(target=lambda: outcomes.append(call({"answer": forever}, QUICK, Case({}))))
    thread.start()
    thread.join(20)
    assert outcomes[0].status == "timed out"


def test_time_up_ends_the_check_at_once():
    exercise, calls = library.find("02.context_vector"), []

    def context_vector(weights, values):
        calls.append(1)
        forever()

    quick = SimpleNamespace(task=replace(exercise.task, seconds=0.2), questions=exercise.questions)
    assert examine(quick, {"context_vector": context_vector}).status == "failed"
    assert len(calls) == 1


def test_floods_of_output_are_kept_short(capsys):
    def context_vector(weights, values):
        for _ in range(1000):
            print("x" * 10000)
        print("error", file=sys.stderr)
        return 0 * right(weights, values)

    captured = context(context_vector, capsys)
    assert "It printed 10,001,006 characters, beginning with:" in captured and len(captured) < 2500


def test_name_missing_and_wrong_kind(capsys):
    check("02.context_vector")
    assert "Run the cell that defines context_vector(weights, values)." in capsys.readouterr().out
    assert "is an object of type int, expected a function" in context(3, capsys)
    assert "is the class Case, expected a function" in context(Case, capsys)
    check("02.attentional_vector", right)
    assert "AttentionalVector is a function, expected a class" in capsys.readouterr().out
    check("02.attentional_vector", Case)
    assert "raised an exception" in capsys.readouterr().out
    check("01.encoder_weights", "1728")
    assert "encoder_weights is a text, expected a number: without quotes." in capsys.readouterr().out
    check("01.encoder_weights", [1728])
    assert "encoder_weights is not a number" in capsys.readouterr().out
    check("01.encoder_weights", 1700)
    assert "1700 is not the number asked for." in capsys.readouterr().out
    assert examine(library.find("01.encoder_weights"), {"encoder_weights": None}).text == (
        "encoder_weights is None, expected a number.")
    check("01.encoder_weights", lambda: 1728)
    assert "encoder_weights is a function, expected a number." in capsys.readouterr().out
    check("01.bottleneck", lambda: "b")
    assert "bottleneck is a function, expected a letter in quotes." in capsys.readouterr().out
    check("01.bottleneck", "e")
    assert 'Expected one of "a", "b", "c", "d", in quotes.' in capsys.readouterr().out
    check("01.bottleneck", 2)
    assert "Expected one of" in capsys.readouterr().out


@pytest.mark.parametrize("layer, said", [
    (lambda units: torch.nn.Linear(2 * units, units), "W has a bias"),
    (lambda units: torch.nn.Linear(units, 2 * units, bias=False), "W has shape"),
    (lambda units: "W", "W is an object of type str, expected an nn.Linear or an nn.Parameter"),
    (None, "has no attribute W"),
])
def test_classes_without_the_weights_asked_for(layer, said, capsys):
    class AttentionalVector(torch.nn.Module):
        def __init__(self, units):
            super().__init__()
            if layer:
                self.W = layer(units)

        def forward(self, context, state):
            return torch.tanh(self.W(torch.cat([context, state], dim=-1)))

    check("02.attentional_vector", AttentionalVector)
    assert said in capsys.readouterr().out


def test_predictors(capsys):
    check("01.length_20", lambda source: source[:, ::-1] * 1.0)
    assert "no whole numbers" in capsys.readouterr().out
    check("01.length_20", lambda source: source[:, :5])
    assert "shape (200, 5), expected (200, 20)" in capsys.readouterr().out
    check("01.length_20", lambda source: np.ones_like(source))
    assert "That is guessing." in capsys.readouterr().out
    check("01.length_20", "model")
    assert "expected reverse_20 = a function of source" in capsys.readouterr().out
    check("02.length_100", lambda source: source)
    assert "expected the pair" in capsys.readouterr().out
    check("02.length_100", (lambda source: source[:, ::-1], 300.0))
    assert "took 300 seconds; the limit is 120" in capsys.readouterr().out
    check("02.length_100", (lambda source: np.where(np.arange(100) < 50, source[:, ::-1], 1), 60))
    assert "By quarter of the sequence: 100%, 100%, " in capsys.readouterr().out


@pytest.mark.parametrize("seconds", ["90", -1, None, float("nan")])
def test_predictors_with_seconds_that_are_none(seconds, capsys):
    check("02.length_100", (lambda source: source[:, ::-1], seconds))
    assert "is how long the training took: a number of seconds, at least 0." in capsys.readouterr().out


@pytest.mark.parametrize("pair", [tuple, list])
def test_predictors_as_pairs(pair, capsys):
    check("02.length_100", pair((lambda source: source[:, ::-1], np.float32(60))))
    assert "passed" in capsys.readouterr().out


@pytest.mark.parametrize("pair", [(), [], (1, 2)])
def test_predictors_that_are_no_pair(pair, capsys):
    check("02.length_100", pair)
    assert "expected reverse_100 = " in capsys.readouterr().out


def test_objects_that_equal_everything():
    class Equal(np.ndarray):
        def __eq__(self, other):
            return True

        def __array_ufunc__(self, *args, **kwargs):
            return True

    class Number(float):
        def __eq__(self, other):
            return True

    exercise = library.find("02.context_vector")
    for fake in (np.zeros((1, 3)).view(Equal), Number(0.0)):
        assert examine(exercise, {"context_vector": lambda weights, values: fake}).status == "failed"
    assert type(plain(np.zeros(2).view(Equal))) is np.ndarray


def test_nothing_of_the_learners_leaves_its_place():
    stdout, folder = sys.stdout, os.getcwd()

    def replaces_stdout():
        sys.stdout = None
        return 1

    call({"answer": replaces_stdout}, QUICK, Case({}))
    assert sys.stdout is stdout and os.getcwd() == folder
