import base64
import io
import struct
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from coursekit import plots

WEIGHTS = np.array([[0.1, 0.2, 0.7], [0.6, 0.3, 0.1]])
AXES = {"xlabel": "input symbol", "ylabel": "output symbol", "alt": "What the map shows."}


@pytest.fixture
def drawn(monkeypatch):
    """The figures and their texts, instead of showing them."""
    shown = []
    monkeypatch.setattr(plots, "show", lambda figure, alt: shown.append((figure, alt)))
    return shown


def test_heatmap_has_labelled_axes_a_bar_and_the_data(drawn):
    plots.heatmap(WEIGHTS, ["b", "a"], ["x", "y", "z"], title="Luong dot", bar="attention weight", **AXES)
    figure, alt = drawn[0]
    axes, bar = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == ("input symbol", "output symbol", "Luong dot")
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["x", "y", "z"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["b", "a"]
    assert axes.yaxis_inverted(), "the first row is on top"
    np.testing.assert_array_equal(axes.images[0].get_array(), WEIGHTS)
    assert axes.images[0].get_clim() == (0.1, 0.7)
    assert axes.images[0].cmap.name == "viridis"
    assert bar.get_ylabel() == "attention weight"
    assert alt == "What the map shows."


def test_heatmaps_share_one_bar_and_one_range_of_colours(drawn):
    plots.heatmaps({"dot": WEIGHTS, "general": WEIGHTS / 2, "concat": WEIGHTS * 1.25}, "ba", "xyz", **AXES)
    *panels, bar = drawn[0][0].axes
    assert [axes.get_title() for axes in panels] == ["dot", "general", "concat"]
    assert {axes.images[0].get_clim() for axes in panels} == {(0.05, 0.875)}
    np.testing.assert_array_equal(panels[1].images[0].get_array(), WEIGHTS / 2)


def test_limits_fix_the_colours(drawn):
    plots.heatmap(WEIGHTS, "ba", "xyz", title="", limits=(0, 1), **AXES)
    assert drawn[0][0].axes[0].images[0].get_clim() == (0, 1)


def test_labels_of_a_long_axis_are_thinned_and_keep_their_places(drawn):
    plots.heatmap(np.zeros((2, 100)), "ba", range(100), title="", **AXES)
    axes = drawn[0][0].axes[0]
    labels = {int(tick.get_text()): place for tick, place in zip(axes.get_xticklabels(), axes.get_xticks())}
    assert 10 <= len(labels) <= 20
    assert all(label == place for label, place in labels.items())


@pytest.mark.parametrize("rows, columns, message", [
    ("bac", "xyz", "matrix 'T' has rows 2, row labels have 3"),
    ("ba", "xy", "matrix 'T' has columns 3, column labels have 2"),
])
def test_a_matrix_must_fit_its_labels(drawn, rows, columns, message):
    with pytest.raises(ValueError, match=message):
        plots.heatmap(WEIGHTS, rows, columns, title="T", **AXES)


def test_curves_differ_in_more_than_colour(drawn):
    plots.curves({"dot": [0.2, 0.9], "general": [0.1, 0.5, 0.7], "none": ([4, 8], [1.0, 0.9])}, title="Accuracy",
                 bands={"general": ([0.0, 0.4, 0.6], [0.2, 0.6, 0.8])}, limits=(0, 1), **AXES)
    axes = drawn[0][0].axes[0]
    assert [list(line.get_xdata()) for line in axes.lines] == [[1, 2], [1, 2, 3], [4, 8]]
    assert [list(line.get_ydata()) for line in axes.lines] == [[0.2, 0.9], [0.1, 0.5, 0.7], [1.0, 0.9]]
    for look in ("get_color", "get_marker", "get_linestyle"):
        assert len({getattr(line, look)() for line in axes.lines}) == 3
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["dot", "general", "none"]
    corners = axes.collections[0].get_paths()[0].vertices
    assert {(3.0, 0.6), (3.0, 0.8)} <= {tuple(corner) for corner in corners.round(6).tolist()}
    assert axes.get_ylim() == (0, 1)


@pytest.mark.parametrize("series, bands, message", [
    ({"dot": ([1, 2, 3], [0.1, 0.2])}, None, "line 'dot' has length 2, x has 3"),
    ({"dot": [0.1, 0.2]}, {"dot": ([0.1, 0.2], [0.3])}, "band 'dot' has length 1, values have 2"),
    ({"dot": [0.1, 0.2]}, {"general": ([0, 0], [1, 1])}, "bands has general, series has dot"),
])
def test_curves_must_fit_together(drawn, series, bands, message):
    with pytest.raises(ValueError, match=message):
        plots.curves(series, title="", bands=bands, **AXES)


def test_in_ipython_the_picture_carries_its_text_and_the_figure_is_closed(monkeypatch):
    from matplotlib import pyplot

    figures = [pyplot.figure(figsize=(3, 2)) for _ in range(2)]
    outputs = []
    monkeypatch.setattr("IPython.get_ipython", lambda: "a notebook")
    monkeypatch.setattr("IPython.display.display", lambda data, metadata, raw: outputs.append((data, metadata)))
    for figure in figures:
        figure.subplots().plot([1, 2, 0])
        plots.show(figure, "A line that rises and falls.")
        assert not pyplot.fignum_exists(figure.number)
    (data, metadata), again = outputs
    assert (data, metadata) == again, "the same figure gives the same bytes"
    assert data["text/plain"] == "A line that rises and falls."
    assert metadata["image/png"] == {"alt": "A line that rises and falls.", "width": 300, "height": 200}
    png = base64.b64decode(data["image/png"])
    assert struct.unpack(">II", png[16:24]) == (450, 300)
    assert b"matplotlib" not in png.lower()


def test_the_stored_picture_is_small_and_has_the_colours_that_were_drawn():
    figure = Figure(figsize=(5, 3), layout="constrained")
    left, right = figure.subplots(1, 2)
    left.imshow(np.random.default_rng(0).random((20, 20)), cmap="viridis")
    right.plot(np.arange(20) % 7, color=plots.COLOURS[1])
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=150, facecolor="white")
    stored = plots._png(figure)
    assert len(stored) < 0.5 * len(drawn.getvalue())
    before, after = (np.asarray(Image.open(file).convert("RGB"), int) for file in (drawn, io.BytesIO(stored)))
    assert np.abs(before - after).max() <= 8
    np.testing.assert_array_equal(after[(before == 255).all(-1)], 255)


def test_outside_ipython_the_words_are_printed_and_empty_words_refused():
    code = """if True:
        import sys
        from coursekit import plots
        assert "matplotlib" not in sys.modules, "loaded before a figure was asked for"
        from matplotlib.figure import Figure
        plots.show(Figure(), "A line.")
        try:
            plots.show(Figure(), " ")
        except ValueError as error:
            print(error)
    """
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == ["A line.", "alt is empty, expected a sentence that says what the figure shows"]


@pytest.mark.parametrize("draw, message", [
    (lambda: plots.heatmaps({}, [1], [1], xlabel="", ylabel="", alt="a"), "the number of matrices is 0"),
    (lambda: plots.heatmap(np.zeros((2, 0)), [1, 2], [], xlabel="", ylabel="", title="", alt="a"),
     "the number of columns is 0"),
    (lambda: plots.curves({}, xlabel="", ylabel="", title="", alt="a"), "the number of series is 0"),
    (lambda: plots.curves({"a": [1]}, xlabel="", ylabel="", title="", alt=None), "alt is empty"),
])
def test_nothing_to_draw_and_nothing_said_are_refused(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()


def test_flow_draws_every_box_and_an_arrow_as_wide_as_its_weight(drawn):
    boxes = {"x": (0, 0), "v": (0, 1, "value\n(2, 3)"), "bend": (1, 0, ""), "sum": (1, 2)}
    arrows = [("x", "v"), ("v", "sum", 0.6, "0.60"), ("x", "bend", 0.3), ("bend", "sum", 0)]
    plots.flow(boxes, arrows, title="T", alt="A")
    axes = drawn[0][0].axes[0]
    texts = {text.get_text(): text.get_position() for text in axes.texts if text.get_text()}
    assert texts == {"x": (0, 0), "value\n(2, 3)": (0, 1), "sum": (1, 2), "0.60": (0.5, 1.5)}
    arrows = [text.arrow_patch for text in axes.texts if getattr(text, "arrow_patch", None)]
    assert [round(arrow.get_linewidth(), 6) for arrow in arrows] == [1.2, 4.2, 2.4, 0.6]
    heads = [type(arrow.get_arrowstyle()).__name__ for arrow in arrows]
    assert heads == ["CurveFilledB", "CurveFilledB", "Curve", "CurveFilledB"], "no head where an arrow only bends"
    reach = arrows[1].get_path().vertices  # in pixels
    target = next(text for text in axes.texts if text.get_text() == "sum").get_bbox_patch().get_window_extent()
    assert target.y0 - 10 < reach[:, 1].max() < target.y0 + 2, "the arrow ends at the edge of the box, not under it"


def test_flow_makes_room_for_a_wide_box(drawn):
    plots.flow({"x": (0, 0, "a box with many words at the left edge"), "y": (3, 0)}, [("x", "y")], title="", alt="A")
    axes = drawn[0][0].axes[0]
    box, page = axes.texts[0].get_bbox_patch().get_window_extent(), axes.get_window_extent()
    assert page.x0 <= box.x0 and box.x1 <= page.x1


@pytest.mark.parametrize("arrow, message", [
    (("x", "y"), "an arrow names y, boxes has x, z"),
    (("x", "z", 1.5), "the arrow from x to z has width 1.5, expected 0 to 1"),
])
def test_flow_refuses_what_it_cannot_draw(arrow, message):
    with pytest.raises(ValueError, match=message):
        plots.flow({"x": (0, 0), "z": (1, 0)}, [arrow], title="", alt="A")


def bars(axes, temperature):
    axes.bar(range(3), np.exp(np.array([2.0, 1.0, 0.0]) / temperature))
    axes.set(xlabel="token", ylabel="power")


def test_explore_shows_the_chosen_values_side_by_side(drawn):
    plots.explore(bars, [0.5, 1, 2, 4], shown=[0.5, 2], name="temperature", title="T", alt="A")
    figure, alt = drawn[0]
    assert [axes.get_title() for axes in figure.axes] == ["temperature = 0.5", "temperature = 2"]
    heights = [[round(patch.get_height(), 4) for patch in axes.patches] for axes in figure.axes]
    assert heights == [[54.5982, 7.3891, 1.0], [2.7183, 1.6487, 1.0]]
    assert (figure.get_suptitle(), alt) == ("T", "A")
    with pytest.raises(ValueError, match="shown has 3, the slider has 0.5, 1"):
        plots.explore(bars, [0.5, 1], shown=[3], name="temperature", title="T", alt="A")


@pytest.mark.parametrize("variable, sliders", [(None, 1), ("COURSEKIT_HEADLESS", 0), ("CI", 0)])
def test_explore_has_a_slider_only_where_someone_can_move_it(drawn, monkeypatch, variable, sliders):
    shown = []
    monkeypatch.delenv("COURSEKIT_HEADLESS", raising=False)
    monkeypatch.delenv("CI", raising=False)
    if variable:
        monkeypatch.setenv(variable, "1")
    monkeypatch.setattr("IPython.get_ipython", lambda: type("Shell", (), {"kernel": None})())
    monkeypatch.setattr("IPython.display.display", shown.append)
    plots.explore(bars, [0.5, 1, 2], shown=[1], name="temperature", title="T", alt="A")
    assert len(shown) == sliders
    if sliders:
        slider, picture = shown[0].children
        before = picture.value
        slider.value = 2
        assert picture.value != before and picture.value[1:4] == b"PNG"
        slider.value = 1
        assert picture.value == before, "the same value gives the same picture"
    monkeypatch.setattr("IPython.get_ipython", lambda: None)
    plots.explore(bars, [1], shown=[1], name="temperature", title="T", alt="A")
    assert len(shown) == sliders, "no kernel, no slider"
