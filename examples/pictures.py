"""What several examples draw alike."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt


def draw_rows(figure: Any, rows: Mapping[str, npt.NDArray[np.float32]], columns: int) -> None:
    """Draw the first flat square images of each array in a row, with its name beside it."""
    for cells, (name, x) in zip(figure.subplots(len(rows), columns), rows.items(), strict=True):
        side = round(x.shape[1] ** 0.5)
        cells[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=9)
        for cell, image in zip(cells, x, strict=False):
            cell.imshow(image.reshape(side, side), cmap="gray_r", vmin=0, vmax=1)
            cell.set(xticks=[], yticks=[])
