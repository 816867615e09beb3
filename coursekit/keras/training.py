"""What `model.fit` of the course's lectures is given: a progress bar that clears itself, and a stop rule."""

import keras

from coursekit.bar import ProgressBar


class Progress(keras.callbacks.Callback):
    """The course's progress bar for `model.fit(..., verbose=0)`: it leaves nothing in a stored notebook."""

    def on_train_begin(self, logs=None):
        self.note = ""
        steps = self.params["steps"]  # None for a data set of unknown size
        self.bar = ProgressBar(steps and self.params["epochs"] * steps, "training")
        self.bar.__enter__()

    def on_train_batch_end(self, batch, logs=None):
        self.bar.update(self.note)

    def on_epoch_end(self, epoch, logs=None):
        self.note = ", ".join(f"{name} {value:.3f}" for name, value in logs.items())

    def on_train_end(self, logs=None):
        self.bar.__exit__()


class Reached(keras.callbacks.Callback):
    """Stop rule for `model.fit`: after the first epoch whose `name` is at least `value`."""

    def __init__(self, name, value):
        super().__init__()
        self.name, self.value = name, value

    def on_epoch_end(self, epoch, logs=None):
        if logs[self.name] >= self.value:
            self.model.stop_training = True
