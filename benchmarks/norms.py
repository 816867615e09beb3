"""Pre-norm and post-norm on the reversal of 10 symbols: depths, learning rates, with and without warm-up, three seeds.

    python benchmarks/norms.py
"""

import time

from reversal import side_by_side  # first: it sets what torch reads when it loads

import torch
from torch import nn

from coursekit.datasets import reversal
from coursekit.results import record
from coursekit.torch import Encoder, PositionalEncoding
from coursekit.torch.training import evaluate, token_cross_entropy

LENGTH, VOCABULARY, D_MODEL, HEADS, BATCH, STEPS, WARM_UP, EVERY = 10, 16, 32, 4, 64, 400, 100, 20
COLUMNS = {"Layers": "{n_layers}", "Learning rate": "{learning_rate}", "Norm": "{norm}", "Warm-up": "{warm_up}",
           "Last loss": "{last_loss:.3f} ({last_loss_low:.3f} to {last_loss_high:.3f})",
           "Tokens right": "{token_accuracy:.1%} ({token_accuracy_low:.1%} to {token_accuracy_high:.1%})",
           "Steps to loss 0.1": "{steps_to_goal:.0f} ({steps_to_goal_low} to {steps_to_goal_high})",
           "Seconds of one core": "{seconds:.0f}"}
CAPTION = ("An encoder 32 wide reverses 10 symbols out of 15: 400 steps of Adam, batch 64, no clipping. Mean (lowest "
           "to highest) of three seeds; by chance 6.7% of tokens are right. A run that never reaches loss 0.1 counts "
           "as 400 steps.")


def train(norm, n_layers, learning_rate, warm_up, seed):
    """One row: accuracy on fresh sequences, and the mean loss of every 20 steps."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Embedding(VOCABULARY, D_MODEL), PositionalEncoding(D_MODEL, LENGTH),
                          Encoder(n_layers, D_MODEL, HEADS, 4 * D_MODEL, norm_first=norm == "pre"),
                          nn.Linear(D_MODEL, VOCABULARY))
    source, target = (torch.from_numpy(array) for array in reversal(STEPS * BATCH, LENGTH, VOCABULARY, 1000 * seed))
    test = tuple(torch.from_numpy(array) for array in reversal(1000, LENGTH, VOCABULARY, 1000 * seed + 1))
    optimizer = torch.optim.Adam(model.parameters(), learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1, (step + 1) / WARM_UP) if warm_up else 1)
    started, losses = time.process_time(), []
    for inputs, targets in zip(source.split(BATCH), target.split(BATCH)):
        loss = token_cross_entropy(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    seconds = time.process_time() - started
    means = {step: sum(losses[step - EVERY:step]) / EVERY for step in range(EVERY, STEPS + 1, EVERY)}
    measured = evaluate(model, test)
    return {"norm": norm, "n_layers": n_layers, "learning_rate": learning_rate, "warm_up": "yes" if warm_up else "no",
            "seed": seed, "last_loss": round(means[STEPS], 4),
            "steps_to_goal": next((step for step, mean in means.items() if mean < 0.1), STEPS),
            "token_accuracy": round(measured["token_accuracy"], 4), "exact_match": round(measured["exact_match"], 4),
            "seconds": round(seconds, 1), **{f"loss_{step}": round(mean, 4) for step, mean in means.items()}}


if __name__ == "__main__":
    settings = [dict(n_layers=n_layers, learning_rate=learning_rate, norm=norm, warm_up=warm_up, seed=seed)
                for n_layers in (6, 12) for learning_rate in (0.001, 0.003, 0.01) for norm in ("post", "pre")
                for warm_up in (False, True) for seed in (0, 1, 2)]
    rows = side_by_side(train, settings)
    record("norms", rows, columns=COLUMNS, caption=CAPTION, by=["n_layers", "learning_rate", "norm", "warm_up"],
           threads=1, settings=dict(length=LENGTH, vocab_size=VOCABULARY, d_model=D_MODEL, n_heads=HEADS,
                                    batch_size=BATCH, steps=STEPS, warm_up_steps=WARM_UP))
