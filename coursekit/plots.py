"""Figures used by more than one lecture: labelled axes, colour-blind-safe colours, words beside every picture.

Figures are drawn on white, so that they read the same in light and dark themes. matplotlib is imported when the first
figure is drawn.
"""

import base64
import importlib.util
import io
import os
from itertools import cycle

import numpy as np

from coursekit.shapes import expect, expect_at_least

INCH = 100  # pixels on the page; the picture itself is stored sharper
SHARPER = 1.5
TICKS_PER_INCH = 5
TICK_POINTS = 8  # small enough that two digits leave a gap to the next tick

# Okabe and Ito (2008), without the yellow that white swallows; markers and dashes say the same without colour.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000"]
MARKERS = ["o", "s", "^", "D", "v", "P", "X"]
DASHES = ["-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)), (0, (1, 2))]


def show(figure, alt):
    """Show a matplotlib figure as a PNG with the text alternative `alt`, then close it.

    `alt` says in words what the picture shows; it is stored in the output's metadata (`image/png`, `alt`) and as its
    plain text. Outside IPython the words are printed. Raises ValueError if `alt` is empty.
    """
    from IPython import display, get_ipython
    from matplotlib import pyplot

    if not (alt or "").strip():
        raise ValueError("alt is empty, expected a sentence that says what the figure shows")
    if get_ipython() is None:
        print(alt)
    else:
        width, height = (round(inches * INCH) for inches in figure.get_size_inches())
        display.display(
            {"image/png": base64.b64encode(_png(figure)).decode(), "text/plain": alt},
            metadata={"image/png": {"alt": alt, "width": width, "height": height}},
            raw=True,
        )
    pyplot.close(figure)


def heatmap(matrix, rows, columns, *, xlabel, ylabel, title, alt, bar="weight", limits=None):
    """Show `matrix` (rows, columns) as a heatmap; `heatmaps` with one panel."""
    heatmaps({title: matrix}, rows, columns, xlabel=xlabel, ylabel=ylabel, alt=alt, bar=bar, limits=limits)


def heatmaps(matrices, rows, columns, *, xlabel, ylabel, alt, bar="weight", limits=None):
    """Show matrices of one shape side by side, with one colour bar.

    matrices: dict from a panel's title to an array (rows, columns); rows, columns: the labels of the two axes, the
    first row on top; bar: what a colour means; limits: (low, high) of the colours, by default the extremes of all
    matrices. Raises ValueError if a matrix has another shape than its labels.
    """
    from matplotlib.figure import Figure

    for name, given in (("matrices", matrices), ("rows", rows), ("columns", columns)):
        expect_at_least(f"the number of {name}", len(given), 1)
    matrices = {title: np.asarray(matrix, dtype=float) for title, matrix in matrices.items()}
    for title, matrix in matrices.items():
        axes = {"rows": (len(rows), "row labels"), "columns": (len(columns), "column labels")}
        expect(f"matrix {title!r}", matrix.shape, **axes)
    low, high = limits or (min(m.min() for m in matrices.values()), max(m.max() for m in matrices.values()))

    side = min(4.2, 9 / len(matrices))
    tall = side * min(max(len(rows) / len(columns), 0.3), 1.5)
    longest = max(len(str(label)) for label in columns)
    turned = longest > 3  # labels of several letters stand upright
    size = side * len(matrices) + 1.2, tall + 0.9 + turned * 0.07 * longest
    figure = Figure(figsize=size, layout="compressed")
    panels = figure.subplots(1, len(matrices), squeeze=False, sharey=True)[0]
    for axes, (title, matrix) in zip(panels, matrices.items()):
        image = axes.imshow(matrix, vmin=low, vmax=high, cmap="viridis", interpolation="nearest")
        axes.set(title=title, xlabel=xlabel)
        axes.set_xticks(**_ticks(columns, side), rotation=90 * turned)
    panels[0].set_yticks(**_ticks(rows, tall))
    panels[0].set_ylabel(ylabel)
    figure.colorbar(image, ax=list(panels), label=bar, shrink=0.9)
    show(figure, alt)


def curves(series, *, xlabel, ylabel, title, alt, bands=None, limits=None):
    """Show lines that differ in marker and dash as well as in colour.

    series: dict from a line's name to its values (length,), drawn at 1, 2, …, or to a pair (x, values) of that
    length; bands: dict from a line's name to (low, high), each (length,), such as the extremes over seeds; limits:
    (low, high) of the y axis. Raises ValueError if lengths differ or a band belongs to no line.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    expect_at_least("the number of series", len(series), 1)
    lines = {name: _line(name, values) for name, values in series.items()}
    if unknown := set(bands or {}) - set(lines):
        raise ValueError(f"bands has {', '.join(sorted(unknown))}, series has {', '.join(lines)}")

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for (name, (x, y)), colour, marker, dash in zip(lines.items(), cycle(COLOURS), cycle(MARKERS), cycle(DASHES)):
        axes.plot(x, y, label=name, color=colour, marker=marker, linestyle=dash, markevery=max(1, len(x) // 12))
        if name in (bands or {}):
            low, high = (np.asarray(edge, dtype=float) for edge in bands[name])
            expect(f"band {name!r}", low.shape, length=(len(x), "values"))
            expect(f"band {name!r}", high.shape, length=(len(x), "values"))
            axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0)
    places = np.unique(np.concatenate([x for x, _ in lines.values()]))
    axes.xaxis.set_major_locator(MaxNLocator(integer=bool(np.all(places == np.round(places)))))
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel, ylim=limits)
    axes.grid(alpha=0.3)
    if len(lines) > 1:
        axes.legend()
    show(figure, alt)


def flow(boxes, arrows, *, title, alt):
    """Show boxes with text and the arrows between them.

    boxes: dict from a box's name to its place (x, y), y upwards, or to (x, y, text) to write that text and not the
    name; a box whose text is empty is a bend of an arrow. Neighbours at a distance of 1 have room for about 14 letters.
    arrows: list of (from, to), (from, to, width) or (from, to, width, label), width from 0 to 1, 0.1 by default.
    Raises ValueError if an arrow names no box or a width lies outside 0 to 1.
    """
    from matplotlib.figure import Figure

    expect_at_least("the number of boxes", len(boxes), 1)
    places = {name: (*place, name)[:3] for name, place in boxes.items()}
    across, up = ([place[axis] for place in places.values()] for axis in (0, 1))
    size = max(1.3 * (max(across) - min(across) + 1), 4), 0.75 * (max(up) - min(up) + 1) + 0.4
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots()
    axes.set(title=title, xlim=(min(across) - 0.5, max(across) + 0.5), ylim=(min(up) - 0.5, max(up) + 0.5))
    axes.set_axis_off()
    edge = dict(boxstyle="round,pad=0.35", facecolor="white", edgecolor=COLOURS[0])
    drawn = {name: axes.text(x, y, text, ha="center", va="center", fontsize=9, bbox=edge if text else None, zorder=3)
             for name, (x, y, text) in places.items()}
    for start, end, *more in arrows:
        width, label = (*more, *(0.1, "")[len(more):])
        if unknown := {start, end} - set(places):
            raise ValueError(f"an arrow names {', '.join(sorted(unknown))}, boxes has {', '.join(places)}")
        if not 0 <= width <= 1:
            raise ValueError(f"the arrow from {start} to {end} has width {width}, expected 0 to 1")
        (x0, y0, _), (x1, y1, bend) = places[start], places[end][:2] + (not places[end][2],)
        line = dict(arrowstyle="-" if bend else "-|>", linewidth=0.6 + 6 * width, color=COLOURS[1], alpha=0.75,
                    mutation_scale=9 + 12 * width, shrinkA=0, shrinkB=0,
                    patchA=drawn[start].get_bbox_patch(), patchB=drawn[end].get_bbox_patch())
        axes.annotate("", (x1, y1), (x0, y0), arrowprops=line, zorder=1)
        axes.text((x0 + x1) / 2, (y0 + y1) / 2, label, ha="center", va="center", fontsize=8, zorder=2,
                  bbox=dict(boxstyle="round,pad=0.1", facecolor="white", edgecolor="none") if label else None)
    figure.draw_without_rendering()  # only now is it known how large a box is: an arrow ends at its edge
    wide = [axes.transData.inverted().transform_bbox(text.get_bbox_patch().get_window_extent())
            for text in drawn.values() if text.get_bbox_patch()]
    left, right = axes.get_xlim()
    axes.set_xlim(min(left, *(box.x0 - 0.2 for box in wide)), max(right, *(box.x1 + 0.2 for box in wide)))
    figure.draw_without_rendering()
    show(figure, alt)


def explore(draw, values, *, shown, name, title, alt, size=(3.2, 2.9)):
    """Show what one parameter does: small pictures at chosen values, and a slider below where someone can move it.

    `draw(axes, value)` draws one picture on matplotlib axes and gives them their labels. values: those of the slider;
    shown: the few among them that stand side by side; name: the parameter's; title, alt: of the row of pictures; size:
    of one picture, in inches. The slider needs a kernel and ipywidgets. A build or a test (COURSEKIT_HEADLESS or CI is
    set) gets the pictures alone, so that a stored notebook holds no widget that is dead.
    Raises ValueError if a value to be shown is none of the slider's.
    """
    from IPython import display, get_ipython
    from matplotlib.figure import Figure

    expect_at_least("the number of shown values", len(shown), 1)
    for value in shown:
        if value not in values:
            raise ValueError(f"shown has {value}, the slider has {', '.join(map(str, values))}")
    figure = Figure(figsize=(size[0] * len(shown), size[1] + 0.3), layout="constrained")
    figure.suptitle(title)
    for axes, value in zip(figure.subplots(1, len(shown), squeeze=False, sharex=True, sharey=True)[0], shown):
        draw(axes, value)
        axes.set_title(f"{name} = {value}", fontsize=10)
        axes.label_outer()
    show(figure, alt)

    headless = any(os.environ.get(variable) for variable in ("COURSEKIT_HEADLESS", "CI"))
    if headless or not hasattr(get_ipython(), "kernel") or importlib.util.find_spec("ipywidgets") is None:
        return
    import ipywidgets

    slider = ipywidgets.SelectionSlider(options=list(values), value=shown[0], description=name,
                                        continuous_update=False, style={"description_width": "initial"})
    picture = ipywidgets.Image(format="png", width=round(1.5 * size[0] * INCH))

    def redraw(_):
        figure = Figure(figsize=(1.5 * size[0], 1.5 * size[1]), layout="constrained")
        draw(figure.subplots(), slider.value)
        picture.value = _png(figure)

    redraw(None)
    slider.observe(redraw, "value")
    display.display(ipywidgets.VBox([slider, picture]))


def _png(figure):
    from PIL import Image

    drawn, stored = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=SHARPER * INCH, facecolor="white")
    # 256 colours of its own take a third of the bytes, and no colour moves by as much as an eye could see. What Pillow
    # writes has no text, such as the release of matplotlib, that would change the bytes with it.
    picture = Image.open(drawn).convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    picture.save(stored, format="png", optimize=True)
    return stored.getvalue()


def _ticks(labels, inches):
    step = -(-len(labels) // round(inches * TICKS_PER_INCH))
    shown = [str(label) for label in labels][::step]
    return {"ticks": range(0, len(labels), step), "labels": shown, "fontsize": TICK_POINTS}


def _line(name, values):
    x, y = values if isinstance(values, tuple) else (range(1, len(values) + 1), values)
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    expect(f"line {name!r}", y.shape, length=(len(x), "x"))
    return x, y
