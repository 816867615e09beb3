"""The callbacks of the lectures: when the stop rule stops, and what the bar counts."""

import keras
import numpy as np
import pytest

from coursekit.keras import Progress, Reached
from coursekit.keras import training


class Loss(keras.callbacks.Callback):
    """Puts given numbers in place of what was measured."""

    def __init__(self, values):
        super().__init__()
        self.values = iter(values)

    def on_epoch_end(self, epoch, logs=None):
        logs["val_accuracy"] = next(self.values)


def model():
    made = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    made.compile("sgd", "mse")
    return made


@pytest.mark.parametrize("values, epochs", [([0.5, 0.899, 0.9, 0.2, 0.1], 3), ([0.1] * 5, 5)])
def test_stops_after_the_first_epoch_that_reached_it(values, epochs):
    history = model().fit(np.ones((4, 3)), np.ones((4, 1)), epochs=5, verbose=0,
                          callbacks=[Loss(values), Reached("val_accuracy", 0.9)])
    assert len(history.epoch) == epochs


def test_bar_counts_every_batch_and_is_closed(monkeypatch):
    seen = []

    class Bar:
        def __init__(self, total, label):
            seen.append(total)

        def __enter__(self):
            return self

        def update(self, note):
            seen.append(note)

        def __exit__(self, *exception):
            seen.append("closed")

    monkeypatch.setattr(training, "ProgressBar", Bar)
    model().fit(np.ones((5, 3)), np.ones((5, 1)), batch_size=2, epochs=2, verbose=0, callbacks=[Progress()])
    assert seen[0] == 6 and seen[-1] == "closed" and len(seen) == 1 + 6 + 1
    assert seen[1:4] == ["", "", ""] and seen[4].startswith("loss ")
