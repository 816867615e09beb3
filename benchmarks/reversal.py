"""One trained reversal model, and many of them side by side: shared by the reversal benchmarks."""

import os
import time
from concurrent.futures import ProcessPoolExecutor, as_completed

# Two busy processes of spinning OpenMP threads run 20 to 80 times slower; read when torch loads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

from coursekit.datasets import reversal
from coursekit.torch import Seq2Seq, fit, reached
from coursekit.torch.training import evaluate

TRAIN, VALIDATION, TEST = 2000, 200, 1000
ACCURACY = {"Tokens right": "{token_accuracy:.1%} ({token_accuracy_low:.1%} to {token_accuracy_high:.1%})",
            "Sequences right": "{exact_match:.1%} ({exact_match_low:.1%} to {exact_match_high:.1%})",
            "Epochs": "{epochs_low} to {epochs_high}", "Seconds of one core": "{seconds:.0f}"}


def data(length, vocab_size, seed):
    """Training, validation and test pairs, of three different seeds each."""
    return [tuple(torch.from_numpy(array) for array in reversal(n, length, vocab_size, seed=1000 * seed + part))
            for part, n in enumerate((TRAIN, VALIDATION, TEST))]


def train(*, length, vocab_size, units, seed, epochs, batch_size, learning_rate, clip, goal=0.99, **model):
    """Trains one model until `goal` of the validation tokens are right; returns the model, the test set and a row.

    "seconds" are those of one core (one thread, processor time), so that a busy machine does not change them much.
    """
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    training, validation, test = data(length, vocab_size, seed)
    network = Seq2Seq(vocab_size, units, **model)
    started = time.process_time()
    history = fit(network, training, validation, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate,
                  clip=clip, stop=reached("val_token_accuracy", goal), seed=seed)
    seconds = time.process_time() - started
    measured = evaluate(network, test)
    row = {**model, "attention": model.get("attention") or "none", "seed": seed,
           "parameters": sum(parameter.numel() for parameter in network.parameters()),
           "epochs": len(history.epochs), "token_accuracy": round(measured["token_accuracy"], 4),
           "exact_match": round(measured["exact_match"], 4), "seconds": round(seconds, 1)}
    return network, test, row


def side_by_side(function, settings, workers=2):
    """`function(**setting)` for every setting, in as many processes as the course assumes cores; rows in order."""
    rows = [None] * len(settings)
    with ProcessPoolExecutor(workers) as pool:
        futures = {pool.submit(function, **setting): index for index, setting in enumerate(settings)}
        for future in as_completed(futures):
            rows[futures[future]] = future.result()
            print(rows[futures[future]], flush=True)
    return rows
