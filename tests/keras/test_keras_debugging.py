"""The switch that reports NaN and infinity, in layers called directly and in models that are compiled."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from coursekit.keras import BahdanauAttention, Encoder, MultiHeadAttention, report_nan

BATCH, LENGTH, D_MODEL, HEADS, D_FF = 2, 5, 12, 3, 7


def x(number=None, dtype="float32"):
    made = np.random.default_rng(0).normal(size=(BATCH, LENGTH, D_MODEL)).astype(dtype)
    if number is not None:
        made[1, 3, 0] = number
    return made


def broken():
    """An encoder in whose second layer's feed-forward network one unit overflows."""
    stack = Encoder(2, D_MODEL, HEADS, D_FF, name="stack")
    stack.build()
    stack.layers[1].feed_forward.contract.bias.assign(np.where(np.arange(D_MODEL) == 4, np.inf, 0))
    return stack


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("argument", ["query", "key", "value"])
@pytest.mark.parametrize("policy", ["float32", "float64", "mixed_bfloat16"])
def test_every_argument_by_place_and_by_name(number, argument, policy):
    layer = MultiHeadAttention(D_MODEL, HEADS, dtype=policy, name="attention")
    inputs = dict.fromkeys(("query", "key", "value"), x()) | {argument: x(float(number))}
    message = (rf"attention \(MultiHeadAttention\): {argument} is {number} at batch 1, position 3, unit 0, "
               "the first of 1 out of 120 numbers")
    for call in (lambda: layer(*inputs.values()), lambda: layer(**inputs)):
        with report_nan(layer), pytest.raises(ValueError, match=message):
            call()
    assert layer(**inputs).shape == (BATCH, LENGTH, D_MODEL)  # not reported by default


def test_the_layer_that_made_it_comes_just_before_the_one_named():
    stack = broken()
    name = rf"{stack.layers[1].dropout.name} \(Dropout\): inputs is inf at batch 0, position 0, unit 4, the first of 10"
    assert np.isnan(stack(x())).all()
    with report_nan(stack), pytest.raises(ValueError, match=name):
        stack(x())


@pytest.mark.filterwarnings("ignore:Even though the `tf.config.experimental_run_functions_eagerly`")
def test_compiled_models_are_looked_at_as_well():
    stack, inputs = broken(), keras.Input((None, D_MODEL))
    model, graph = keras.Model(inputs, keras.layers.Dense(3)(stack(inputs))), tf.function(stack)
    model.compile("sgd", "mse")
    targets = np.zeros((BATCH, LENGTH, 3))
    calls = [lambda: model.predict(x(), verbose=0), lambda: model.evaluate(x(), targets, verbose=0), lambda: graph(x()),
             lambda: model.fit(x(), targets, verbose=0)]  # the last, as it makes every weight NaN
    for call in calls[:3]:
        call()
    for call in calls:
        with report_nan(model), pytest.raises(ValueError, match=r"\(Dropout\): inputs is inf at batch 0, position 0"):
            call()
    assert not tf.config.functions_run_eagerly()
    calls[3]()
    name = r"stack/encoder_layer\w*/multi_head_attention\w*/dense\w* \(Dense\): inputs is nan"
    with report_nan(model), pytest.raises(ValueError, match=name):
        model.predict(x(), verbose=0)
    assert np.isnan(model.predict(x(), verbose=0)).all()


def test_finite_numbers_pass_unchanged_and_models_can_be_built():
    stack, bahdanau, large = Encoder(2, D_MODEL, HEADS, D_FF, dtype="float64"), BahdanauAttention(D_MODEL), 1e100
    expected = stack(large * x(dtype="float64"), mask=np.tri(LENGTH, dtype=bool))
    with report_nan(stack), report_nan(bahdanau):
        np.testing.assert_array_equal(stack(large * x(dtype="float64"), mask=np.tri(LENGTH, dtype=bool)), expected)
        inputs = keras.Input((None, D_MODEL), dtype="float64")
        model = keras.Model(inputs, stack(inputs))
        with pytest.raises(ValueError, match="BahdanauAttention.*: query is nan at batch 0, unit 0"):
            bahdanau(np.full((BATCH, D_MODEL), np.nan, "float32"), x())
    assert model.output_shape == (None, None, D_MODEL)


def test_nothing_of_it_is_left(tmp_path):
    stack = broken()
    with pytest.raises(ZeroDivisionError), report_nan(stack):
        raise ZeroDivisionError
    assert not any("call" in vars(layer) for layer in (stack, *stack.layers))
    assert np.isnan(stack(x(np.nan))).all()
