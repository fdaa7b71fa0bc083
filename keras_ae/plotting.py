"""Pictures of what a model does, as matplotlib figures that nothing else holds."""

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from keras_ae._checks import check_finite, check_integer
from keras_ae._optional import optional_import
from keras_ae.retrieval.search_result import SearchResult
from keras_ae.types import FloatArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, FigureBase

_RIGHT, _WRONG = "#2a7f3f", "#c0392b"


def reconstructions(originals: FloatArray, reconstructed: FloatArray) -> "Figure":
    """Draw images above their reconstructions, with the mean squared error of each.

    Args:
        originals: Images, floats in [0, 1] or integers from 0 to 255: `(n, h, w)`,
            `(n, h, w, 1 or 3)` or flat squares `(n, side * side)`; n >= 1.
        reconstructed: Images of the same shape.

    Returns:
        A matplotlib figure; save it with `figure.savefig(path)`.

    Raises:
        ValueError: The arrays are not images, or differ in shape.
        ImportError: matplotlib is not installed.

    Example:

    >>> import numpy as np, keras_ae
    >>> x = np.random.default_rng(0).random((6, 64))
    >>> figure = keras_ae.plotting.reconstructions(x, x.round(1))
    """
    above, below = _as_images("originals", originals), _as_images("reconstructed", reconstructed)
    if above.shape != below.shape:
        raise ValueError(
            f"reconstructed must have the shape of originals, {above.shape}. "
            f"Received: reconstructed with shape={below.shape}"
        )
    figure, axes = _grid(2, len(above))
    errors = ((above - below) ** 2).reshape(len(above), -1).mean(axis=1)
    for column, (x, y, error) in enumerate(zip(above, below, errors, strict=True)):
        _draw(axes[0, column], x)
        _draw(axes[1, column], y, f"{error:.3f}")
    _name_rows(axes, ["input", "reconstruction\n(squared error)"])
    return figure


def neighbour_grid(
    queries: FloatArray,
    gallery: FloatArray,
    result: SearchResult,
    query_labels: npt.ArrayLike | None = None,
    gallery_labels: npt.ArrayLike | None = None,
) -> "Figure":
    """Draw each query with its nearest neighbours and their distances, wrong labels marked.

    Args:
        queries: Images `(q, ...)` as for `reconstructions`; q >= 1.
        gallery: Images `(n, ...)` that the ids of `result` count.
        result: What `HammingIndex.search` gave for the queries, with at least one neighbour.
        query_labels: `(q,)` labels, or `None` to mark nothing.
        gallery_labels: `(n,)` labels, or `None` to mark nothing.

    Returns:
        A matplotlib figure; save it with `figure.savefig(path)`.

    Raises:
        ValueError: The arrays are not images, or do not fit `result`.
        ImportError: matplotlib is not installed.

    Example:

    >>> import numpy as np, keras_ae
    >>> x = np.random.default_rng(0).random((50, 64))
    >>> codes = np.packbits(x > 0.5, axis=1, bitorder="little")
    >>> index = keras_ae.HammingIndex(64)
    >>> index.add(codes)
    >>> figure = keras_ae.plotting.neighbour_grid(x[:4], x, index.search(codes[:4], k=5))
    """
    pictures, stored = _as_images("queries", queries), _as_images("gallery", gallery)
    if result.ids.ndim != 2 or len(result.ids) != len(pictures) or result.ids.size == 0:
        raise ValueError(
            f"result must hold neighbours of the {len(pictures)} queries. "
            f"Received: result with ids of shape={result.ids.shape}"
        )
    if result.ids.max() >= len(stored):
        raise ValueError(
            f"gallery must hold every id of result, up to {result.ids.max()}. "
            f"Received: gallery with {len(stored)} images"
        )
    for name, labels, images in (
        ("query_labels", query_labels, pictures),
        ("gallery_labels", gallery_labels, stored),
    ):
        if labels is not None and np.shape(labels) != (len(images),):
            raise ValueError(
                f"{name} must have shape ({len(images)},), a label for each image. "
                f"Received: {name} with shape={np.shape(labels)}"
            )
    right = None
    if query_labels is not None and gallery_labels is not None:
        right = np.asarray(gallery_labels)[result.ids] == np.asarray(query_labels)[:, None]
    figure, axes = _grid(len(pictures), 1 + result.ids.shape[1])
    for row, picture in enumerate(pictures):
        _draw(axes[row, 0], picture, "query" if row == 0 else "")
        for column, identity in enumerate(result.ids[row]):
            cell = axes[row, column + 1]
            _draw(cell, stored[identity], str(result.distances[row, column]))
            if right is not None:
                _mark(cell, bool(right[row, column]))
    return figure


def filters(
    weights: FloatArray, columns: int = 10, figure: "FigureBase | None" = None
) -> "FigureBase":
    """Draw the weights of each unit as a small image: blue below 0, white at 0, red above.

    The colours of an image reach from minus to plus its largest absolute weight, so that its form
    shows whatever its size.

    Args:
        weights: One image a unit, real numbers: `(n, h, w)`, `(n, h, w, 1)` or flat squares
            `(n, side * side)`; n >= 1. The kernel of a dense encoder, `(pixels, units)`, has to be
            transposed.
        columns: Images a row, an integer >= 1.
        figure: A matplotlib figure or subfigure to draw in, or `None` for a new figure.

    Returns:
        The figure; save it with `figure.savefig(path)`.

    Raises:
        ValueError: The weights are not images or not finite, or `columns` is out of its range.
        ImportError: matplotlib is not installed.

    Example:

    >>> import keras, keras_ae
    >>> layer = keras.layers.Dense(12)
    >>> layer.build((None, 64))
    >>> figure = keras_ae.plotting.filters(keras.ops.convert_to_numpy(layer.kernel).T, columns=4)
    """
    check_integer("columns", columns, minimum=1)
    images = _as_images("weights", check_finite("weights", weights))
    if images.ndim == 4:
        raise ValueError(
            "weights must be images of one channel: their colours show the sign. "
            f"Received: weights with shape={np.shape(weights)}"
        )
    rows = math.ceil(len(images) / columns)
    if figure is None:
        figure = optional_import("matplotlib.figure", "plot").Figure(
            figsize=(0.5 * columns, 0.5 * rows), dpi=150, layout="constrained"
        )
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for cell in axes:
        cell.set_axis_off()
    for cell, image in zip(axes, images, strict=False):
        limit = np.abs(image).max() or 1.0
        cell.imshow(image, cmap="RdBu_r", vmin=-limit, vmax=limit, interpolation="nearest")
    return figure


def _as_images(name: str, x: FloatArray) -> FloatArray:
    images = np.asarray(x)
    if images.dtype.kind in "iu":
        images = images / 255
    elif images.dtype.kind not in "fb":
        raise ValueError(f"{name} must be numbers. Received: {name} with dtype={images.dtype}")
    images = images.astype("float64")
    if images.ndim == 2 and math.isqrt(images.shape[1]) ** 2 == images.shape[1]:
        side = math.isqrt(images.shape[1])
        images = images.reshape(-1, side, side) if images.size else images
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    pictures = images.ndim == 3 or (images.ndim == 4 and images.shape[3] == 3)
    if not pictures or images.size == 0:
        raise ValueError(
            f"{name} must be images (n, h, w), (n, h, w, 1 or 3) or flat squares, n >= 1. "
            f"Received: {name} with shape={np.shape(x)}"
        )
    return images


def _grid(rows: int, columns: int) -> "tuple[Figure, npt.NDArray[Any]]":
    figure = optional_import("matplotlib.figure", "plot").Figure(
        figsize=(0.75 * columns + 0.4, 0.9 * rows + 0.2), dpi=150, layout="constrained"
    )
    return figure, figure.subplots(rows, columns, squeeze=False)


def _draw(axes: "Axes", image: FloatArray, caption: str = "") -> None:
    axes.imshow(image, cmap="gray_r", vmin=0, vmax=1, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(caption, fontsize=8, pad=2)


def _mark(axes: "Axes", right: bool) -> None:
    color = _RIGHT if right else _WRONG
    for spine in axes.spines.values():
        spine.set(color=color, linewidth=1 if right else 2.5)
    if not right:
        # A cross too, for those who cannot tell the colours apart.
        axes.set_title(axes.get_title() + " ✗", fontsize=8, pad=2, color=color)


def _name_rows(axes: "npt.NDArray[Any]", names: list[str]) -> None:
    for row, name in zip(axes[:, 0], names, strict=True):
        row.set_ylabel(name, fontsize=7)
