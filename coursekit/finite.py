"""Where an array is NaN or infinite: what the debugging switches of both frameworks report."""

import numpy as np

AXES = {2: ("batch", "unit"), 3: ("batch", "position", "unit"), 4: ("batch", "head", "position", "unit")}


def expect_finite(layer, argument, array):
    """Raise `ValueError` that names the layer, its argument and the first place, if an array has NaN or infinity.

        expect_finite("layers.1.attention", "query", array)
        ValueError: layers.1.attention: query is nan at batch 1, position 3, unit 0, the first of 2 out of 120 numbers
    """
    wrong = np.argwhere(~np.isfinite(array))
    if len(wrong):
        place = tuple(map(int, wrong[0]))
        axes = AXES.get(array.ndim)
        where = ", ".join(map("{} {}".format, axes, place)) if axes else f"index {place}"
        raise ValueError(f"{layer}: {argument} is {array[place]} at {where}, the first of {len(wrong)} out of "
                         f"{array.size} numbers")
