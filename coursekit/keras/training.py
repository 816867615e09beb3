"""What `model.fit` of the course's lectures is given: a progress bar that clears itself, a stop rule, batches of rows
of like length, and the learning rate of fine-tuning."""

import keras
import numpy as np
from keras import ops

from coursekit.bar import ProgressBar
from coursekit.shapes import expect, expect_at_least


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


class Batches(keras.utils.PyDataset):
    """Dynamic padding for `model.fit`: batches of rows of like length, cut after the longest, new ones every epoch.

    inputs: a dict of arrays with the examples on the first axis, among them "mask" (examples, length), boolean, True
    for a token and False for the padding at a row's end; targets: an array. Every input of the mask's shape is cut.
    `lengths`, if given, are the only lengths that batches are cut to: for a compiler that starts anew for each. `seed`
    fixes the order. On any backend; among `pool` batches' rows, any two may meet.
    Raises `ValueError` for unequal numbers of examples, padding before a token, and rows longer than all `lengths`.
    """

    def __init__(self, inputs, targets, batch_size=16, *, lengths=None, seed=0, pool=20):
        super().__init__()
        expect_at_least("batch_size", batch_size, 1)
        self.inputs, self.targets, self.batch_size, self.pool = inputs, targets, batch_size, pool
        self.random, mask = np.random.default_rng(seed), inputs["mask"]
        for name, array in inputs.items():
            if len(array) != len(targets):
                raise ValueError(f"{name} has {len(array)} examples, targets have {len(targets)}")
        expect("mask", mask.shape, examples=None, length=None)
        self.tokens = mask.sum(1)
        if not np.array_equal(mask, np.arange(mask.shape[1]) < self.tokens[:, None]):
            raise ValueError("mask has padding before a token, expected it at the end of a row")
        self.lengths = np.unique(self.tokens if lengths is None else lengths)
        if self.tokens.max() > self.lengths.max():
            raise ValueError(f"lengths end at {self.lengths.max()}, a row has {self.tokens.max()} tokens")
        self.on_epoch_end()

    def on_epoch_end(self):
        rows, pool = self.random.permutation(len(self.targets)), self.pool * self.batch_size
        pools = [rows[start:start + pool] for start in range(0, len(rows), pool)]
        rows = np.concatenate([pool[self.tokens[pool].argsort(kind="stable")] for pool in pools])
        batches = [rows[start:start + self.batch_size] for start in range(0, len(rows), self.batch_size)]
        lengths = [self.length(batch) for batch in batches]
        # With TensorFlow, Keras takes what the first two batches have in common for what all have.
        first = np.argmax(lengths), np.argmin(lengths)
        self.batches = [batches[place] for place in dict.fromkeys((*first, *self.random.permutation(len(batches))))]

    def length(self, rows):
        """The smallest of the lengths that these rows fit in."""
        return self.lengths[np.searchsorted(self.lengths, self.tokens[rows].max())]

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, place):
        rows = self.batches[place]
        length, shape = self.length(rows), self.inputs["mask"].shape
        return ({name: array[rows, :length] if array.shape == shape else array[rows]
                 for name, array in self.inputs.items()}, self.targets[rows])


@keras.saving.register_keras_serializable(package="coursekit")
class LinearDecay(keras.optimizers.schedules.LearningRateSchedule):
    """The learning rate of fine-tuning: it rises to `highest` in `warm_up_steps`, then falls in a straight line.

    rate(step) = highest · min(step / warm_up_steps, (steps + 1 - step) / (steps + 1 - warm_up_steps)),
    step = 1, 2, …, steps; 0 after `steps`. Keras counts from 0: step is one more than its count.

    Raises `ValueError` for steps below 1, and for a warm-up below 1 or longer than `steps`.
    Source: Devlin et al. 2019, BERT, appendix A.2.
    """

    def __init__(self, highest, warm_up_steps, steps):
        expect_at_least("warm_up_steps", warm_up_steps, 1)
        expect_at_least("steps", steps, warm_up_steps)
        self.highest, self.warm_up_steps, self.steps = highest, warm_up_steps, steps

    def __call__(self, step):
        step = ops.cast(step, "float32") + 1
        falling = (self.steps + 1 - step) / (self.steps + 1 - self.warm_up_steps)
        return self.highest * ops.maximum(0.0, ops.minimum(step / self.warm_up_steps, falling))

    def get_config(self):
        return {"highest": self.highest, "warm_up_steps": self.warm_up_steps, "steps": self.steps}
