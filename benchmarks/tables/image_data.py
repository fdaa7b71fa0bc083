"""The images of a table, and the arguments that choose them."""

import argparse
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import numpy.typing as npt


class ImageData(NamedTuple):
    """Images `(n, height, width, channels)` in [0, 1], and their classes."""

    x_train: npt.NDArray[np.float32]
    y_train: npt.NDArray[np.int64]
    x_test: npt.NDArray[np.float32]
    y_test: npt.NDArray[np.int64]

    def flat(self) -> "ImageData":
        """Return the same with images as rows."""
        train, test = (x.reshape(len(x), -1) for x in (self.x_train, self.x_test))
        return ImageData(train, self.y_train, test, self.y_test)

    def held_out(self) -> "ImageData":
        """Return five sixths of the training images, and the others in place of the test images."""
        known = 5 * len(self.x_train) // 6
        x, y = self.x_train, self.y_train
        return ImageData(x[:known], y[:known], x[known:], y[known:])


def command_line(doc: str, out: str, epochs: int) -> argparse.ArgumentParser:
    """Return the arguments that all tables of images take."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--data", type=Path, help=".npz with x_train, y_train, x_test, y_test")
    parser.add_argument("--dataset", default="mnist", help="a name of keras.datasets")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--out", type=Path, default=Path(out), help="file, without a suffix")
    parser.add_argument("--quick", action="store_true", help="digits, one seed, few epochs")
    return parser


def load_images(arguments: argparse.Namespace) -> ImageData:
    """Return the images of `command_line`'s arguments; with `--quick`, scikit-learn's digits."""
    if arguments.quick:
        from sklearn.datasets import load_digits

        digits: Any = load_digits()
        x, y = (digits.images[..., None] / 16).astype(np.float32), digits.target
        return ImageData(x[:1400], y[:1400], x[1400:], y[1400:])
    if arguments.data:
        with np.load(arguments.data) as file:
            parts = [(file[f"x_{part}"], file[f"y_{part}"]) for part in ("train", "test")]
    else:
        parts = getattr(keras.datasets, arguments.dataset).load_data()
    arrays = []
    for x, y in parts:
        pixels = x.astype(np.float32) / np.float32(255)
        arrays += [pixels.reshape(*x.shape[:3], -1), y.reshape(-1).astype(np.int64)]
    return ImageData(*arrays)
