"""Accuracy against length, with dot attention (Luong's wiring) and without any: three seeds each.

    python benchmarks/reversal_lengths.py
"""

from reversal import ACCURACY, side_by_side, train

from coursekit.results import record

SETTINGS = dict(vocab_size=16, units=64, epochs=30, batch_size=50, learning_rate=5e-3, clip=1.0)
COLUMNS = {"Length": "{length}", "Attention": "{attention}", **ACCURACY}
CAPTION = ("Accuracy against length on 1,000 test sequences: mean (lowest to highest) of three seeds. By chance "
           "6.7% of tokens are right.")


def run(length, **setting):
    return {"length": length} | train(length=length, **SETTINGS, **setting)[2]


if __name__ == "__main__":
    settings = [dict(length=length, seed=seed, **model) for length in (30, 20, 16, 12, 8, 4) for seed in (0, 1, 2)
                for model in (dict(attention=None), dict(attention="dot", wiring="luong"))]
    rows = side_by_side(run, settings)
    rows.sort(key=lambda row: (row["length"], row["attention"], row["seed"]))
    record("reversal_lengths", rows, columns=COLUMNS, caption=CAPTION, by=["length", "attention"], settings=SETTINGS, threads=1)
