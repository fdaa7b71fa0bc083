"""What several tables draw alike."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure


def rows_of_images(rows: Mapping[str, npt.NDArray[np.float32]], signed: bool = False) -> Figure:
    """Draw each array's flat square images in a row, with its name beside it.

    Args:
        rows: Arrays `(n, side * side)`, all with the same n.
        signed: Whether they are weights: blue below 0, white at 0, red above, each to its own
            largest. Else they are pixels in [0, 1].
    """
    columns = len(next(iter(rows.values())))
    figure = Figure(figsize=(1.6 + 0.62 * columns, 0.66 * len(rows)), dpi=120)
    figure.subplots_adjust(left=1.6 / figure.get_figwidth(), right=1, top=1, bottom=0)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for cells, (name, images) in zip(grid, rows.items(), strict=True):
        side = round(images.shape[1] ** 0.5)
        cells[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
        for cell, image in zip(cells, images.reshape(-1, side, side), strict=True):
            most = np.abs(image).max()
            if signed:
                cell.imshow(image, cmap="RdBu_r", vmin=-most, vmax=most)
            else:
                cell.imshow(image, cmap="gray_r", vmin=0, vmax=1)
            cell.set(xticks=[], yticks=[])
    return figure
