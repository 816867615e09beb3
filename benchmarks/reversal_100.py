"""Sequences of 100 symbols out of 20: every score in its paper's wiring, with and without positions, three seeds.

    python benchmarks/reversal_100.py
"""

from reversal import ACCURACY, side_by_side, train

from coursekit.results import record

SETTINGS = dict(length=100, vocab_size=20, units=64, epochs=15, batch_size=50, learning_rate=5e-3, clip=1.0,
                goal=0.995)
COLUMNS = {"Score": "{attention}", "Wiring": "{wiring}", "Positions": "{position_units}", **ACCURACY}
CAPTION = ("Length 100, 19 symbols, 2,000 training sequences: 1,000 test sequences, mean (lowest to highest) of "
           "three seeds. By chance 5.3% of tokens are right.")


def run(**setting):
    return train(**SETTINGS, **setting)[2]


if __name__ == "__main__":
    scores = [("dot", "luong"), ("general", "luong"), ("concat", "luong"), ("additive", "bahdanau")]
    rows = side_by_side(run, [dict(attention=attention, wiring=wiring, position_units=position_units, seed=seed)
                              for position_units in (16, 0) for attention, wiring in scores for seed in (0, 1, 2)])
    record("reversal_100", rows, columns=COLUMNS, caption=CAPTION, by=["attention", "wiring", "position_units"], settings=SETTINGS, threads=1)
