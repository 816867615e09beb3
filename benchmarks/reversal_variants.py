"""Every score in both wirings, and no attention, on sequences of 20 symbols: three seeds each.

    python benchmarks/reversal_variants.py
"""

import numpy as np
from reversal import ACCURACY, side_by_side, train

from coursekit.results import record

SETTINGS = dict(length=20, vocab_size=16, units=64, epochs=30, batch_size=50, learning_rate=5e-3, clip=1.0)
COLUMNS = {"Score": "{attention}", "Wiring": "{wiring}", "Parameters": "{parameters_low:,}", **ACCURACY,
           "On the mirrored place": "{on_diagonal:.1%}", "One beside": "{one_off:.1%}"}
CAPTION = ("Length 20, 15 symbols, 64 units: 1,000 test sequences, mean (lowest to highest) of three seeds. By "
           "chance 6.7% of tokens are right.")


def run(**setting):
    """One row: accuracy, effort, and where the attention lies against the mirrored place."""
    network, (source, _), row = train(**SETTINGS, **setting)
    if network.attention is None:
        return row | {"wiring": "none", "on_diagonal": None, "one_off": None, "mass": None}
    weights = network(source, return_weights=True)[1].detach().numpy()
    mirrored = np.arange(source.shape[1])[::-1]
    distance = abs(weights.argmax(-1) - mirrored)
    return row | {"on_diagonal": round((distance == 0).mean(), 3), "one_off": round((distance == 1).mean(), 3),
                  "mass": round(weights[:, ::-1].diagonal(axis1=1, axis2=2).mean(), 3)}


if __name__ == "__main__":
    variants = [dict(attention=None)] + [dict(attention=attention, wiring=wiring) for wiring in ("bahdanau", "luong")
                                         for attention in ("dot", "general", "concat", "additive")]
    rows = side_by_side(run, [variant | dict(seed=seed) for variant in variants for seed in (0, 1, 2)])
    record("reversal_variants", rows, columns=COLUMNS, caption=CAPTION, by=["attention", "wiring"], settings=SETTINGS, threads=1)
