"""The setting of the source material (4 symbols, one-hot width 10, 16 units, batch 10) in both frameworks, three seeds.

    python benchmarks/reversal_source.py
"""

import time

import numpy as np
from reversal import ACCURACY, data, side_by_side, train

from coursekit import start
from coursekit.results import record
from coursekit.torch.training import evaluate

SETTINGS = dict(length=4, vocab_size=10, units=16, epochs=60, batch_size=10, learning_rate=1e-3, goal=0.99)
COLUMNS = {"Framework": "{framework}", "Attention": "{attention}", **ACCURACY}
CAPTION = ("Length 4, 9 symbols, 16 units: 1,000 test sequences, mean (lowest to highest) of three seeds. By "
           "chance 11.1% of tokens are right.")


def in_torch(seed, attention):
    network, _, row = train(**SETTINGS, clip=None, seed=seed, attention=attention)
    return row | {"train_token_accuracy": evaluate(network, data(4, 10, seed)[0])["token_accuracy"]}


def in_keras(seed, attention):
    import keras

    from coursekit.keras import Seq2Seq
    from coursekit.keras.training import Reached

    start(seed, threads=1)
    training, validation, test = [[part.numpy() for part in pair] for pair in data(4, 10, seed)]
    model = Seq2Seq(10, 16, attention=attention)
    model.compile(keras.optimizers.Adam(SETTINGS["learning_rate"]),
                  keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    started = time.process_time()
    history = model.fit(*training, validation_data=validation, batch_size=10, epochs=SETTINGS["epochs"], verbose=0,
                        callbacks=[Reached("val_accuracy", SETTINGS["goal"])])
    seconds = time.process_time() - started
    right = model.predict(test[0], verbose=0).argmax(-1) == test[1]
    return {"attention": attention or "none", "seed": seed, "parameters": model.count_params(),
            "epochs": len(history.epoch), "token_accuracy": right.mean(), "exact_match": right.all(-1).mean(),
            "seconds": round(seconds, 1),
            "train_token_accuracy": (model.predict(training[0], verbose=0).argmax(-1) == training[1]).mean()}


def run(framework, seed, attention):
    row = {"framework": framework} | (in_torch if framework == "torch" else in_keras)(seed, attention)
    return {name: round(float(value), 4) if isinstance(value, float | np.floating) else value
            for name, value in row.items()}


if __name__ == "__main__":
    start(threads=1)
    import tensorflow  # loaded here too, so that its version and Keras's are recorded

    rows = side_by_side(run, [dict(framework=framework, seed=seed, attention=attention)
                              for framework in ("keras", "torch") for attention in (None, "dot") for seed in (0, 1, 2)])
    record("reversal_source", rows, columns=COLUMNS, caption=CAPTION, by=["framework", "attention"], settings=SETTINGS, threads=1)
