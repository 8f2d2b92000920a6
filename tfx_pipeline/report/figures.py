"""The report's figures, as SVG or PNG that stand in the page itself.

Colours are those of Okabe and Ito, which colour-blind readers can tell apart; lines differ in their
markers as well, and every cell of a heat map has its number.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot, ticker

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
# Text stays text, to be read aloud and searched, and no "$" in it a formula; names of parts do not
# change from run to run.
pyplot.rcParams.update(
    {"svg.fonttype": "none", "svg.hashsalt": "addrl", "text.parse_math": False, "font.size": 10,
     "axes.grid": True, "grid.color": "#dddddd", "axes.axisbelow": True, "axes.spines.top": False,
     "axes.spines.right": False, "figure.constrained_layout.use": True}
)  # fmt: skip


def draw_lines(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]], x: str, y: str, title: str
) -> str:
    """Draws lines with markers.

    Args:
        lines: By name the points' x and y.
        x: Label of the axis.
        y: Likewise.
        title: Heading.

    Returns:
        SVG.
    """
    figure, axes = pyplot.subplots(figsize=(4.6, 3.2))
    for number, (name, (xs, ys)) in enumerate(lines.items()):
        style = {"color": COLOURS[number % 8], "marker": _MARKERS[number % 8], "markersize": 4}
        axes.plot(xs, ys, label=name, linewidth=1.5, **style)
    axes.set(xlabel=x, ylabel=y, title=title)
    if all(float(place).is_integer() for xs, _ in lines.values() for place in xs):
        axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
    if len(lines) > 1:
        # Below: there is no corner that no line runs through.
        figure.legend(frameon=False, fontsize=8, loc="outside lower center", ncols=3)
    return _to_svg(figure)


def draw_heat_map(
    values: np.ndarray, rows: Sequence[str], columns: Sequence[str], title: str
) -> str:
    """Draws numbers in 0..1 as a heat map, each cell with its number.

    Args:
        values: Float `[num_rows, num_columns]`; NaN is an empty cell.
        rows: Names.
        columns: Names.
        title: Heading.

    Returns:
        SVG.
    """
    size = (1.6 + 0.8 * len(columns), 1.2 + 0.42 * len(rows))
    figure, axes = pyplot.subplots(figsize=size)
    axes.imshow(values, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(columns)), columns, rotation=30, ha="right")
    axes.set_yticks(range(len(rows)), rows)
    axes.grid(False)
    # Over the names of the rows too: a few narrow columns are shorter than a title.
    figure.suptitle(title, size=pyplot.rcParams["axes.titlesize"])
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "white" if value < 0.5 else "black"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour, size=9)
    return _to_svg(figure)


def draw_bars(bars: Mapping[str, float], x: str, title: str) -> str:
    """Draws horizontal bars with their figures.

    Args:
        bars: Length by name, from the top.
        x: Label of the axis.
        title: Heading.

    Returns:
        SVG.
    """
    names = list(bars)[::-1]
    figure, axes = pyplot.subplots(figsize=(4.6, 0.7 + 0.3 * len(names)))
    axes.barh(names, [bars[name] for name in names], color=COLOURS[0], height=0.65)
    for place, name in enumerate(names):
        axes.text(bars[name], place, f" {bars[name]:.3f}", va="center", size=8)
    axes.set(xlabel=x, title=title)
    axes.margins(x=0.15)
    axes.grid(axis="y", visible=False)
    return _to_svg(figure)


def draw_map(points: np.ndarray, labels: np.ndarray, names: Sequence[str], title: str) -> str:
    """Draws points in the plane, coloured and marked by what they are; the most frequent seven.

    Args:
        points: Float `[num_points, 2]`.
        labels: Int `[num_points]`, -1 where it is not known.
        names: What the labels mean.
        title: Heading.

    Returns:
        An address of a PNG that contains it: a point each would make a large SVG.
    """
    figure, axes = pyplot.subplots(figsize=(4.6, 4.0))
    scatter_values(axes, points, labels, names)
    axes.set_title(title)
    axes.legend(frameon=False, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, 0), ncols=2)
    return _to_png(figure)


def place_in_plane(vectors: np.ndarray, max_iter: int) -> np.ndarray:
    """Places vectors in the plane by their directions, by t-SNE, the same every time.

    Args:
        vectors: Float `[num_points, width]`.
        max_iter: Passes over them.

    Returns:
        Float `[num_points, 2]`.
    """
    from sklearn.manifold import TSNE

    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    plane = TSNE(init="random", random_state=0, max_iter=max_iter)
    return np.asarray(plane.fit_transform(vectors / lengths))


def scatter_values(
    axes: Any, points: np.ndarray, labels: np.ndarray, names: Sequence[str] | None = None
) -> None:
    """Scatters points over axes, in colours and marks of the most frequent seven labels.

    Args:
        axes: Of a figure of matplotlib.
        points: Float `[num_points, 2]`.
        labels: Int `[num_points]`, -1 where it is not known.
        names: What the labels mean, for a legend.
    """
    frequent = np.argsort(-np.bincount(labels[labels >= 0]), kind="stable")[:7]
    rest = ~np.isin(labels, frequent)
    axes.scatter(*points[rest].T, s=5, color="#cccccc", label="others")
    for number, value in enumerate(frequent):
        style = {"color": COLOURS[number], "marker": _MARKERS[number]}
        name = shorten(names[value]) if names else None
        axes.scatter(*points[labels == value].T, s=12, label=name, **style)
    axes.set(xticks=[], yticks=[])
    axes.grid(False)


def shorten(text: str, longest: int = 24) -> str:
    """Cuts a text that is too long for a label."""
    return text if len(text) <= longest else text[: longest - 1] + "…"


def _to_svg(figure: Any) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    pyplot.close(figure)
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _to_png(figure: Any) -> str:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, metadata={"Software": None})
    pyplot.close(figure)
    return make_address(buffer.getvalue(), "image/png")


def make_address(data: bytes, kind: str) -> str:
    """Makes an address of data that contains them."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"
