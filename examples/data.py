"""Labelled images for the examples: three sources, one form."""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

DATASETS = ("digits", "mnist", "fashion_mnist")
_ARRAYS = ("x_train", "y_train", "x_test", "y_test")


@dataclass(frozen=True)
class Images:
    """Flat images in [0, 1], float32 `(n, pixels)`, and their labels `(n,)`."""

    x_train: npt.NDArray[np.float32]
    y_train: npt.NDArray[np.int64]
    x_test: npt.NDArray[np.float32]
    y_test: npt.NDArray[np.int64]


def command_line(description: str) -> argparse.ArgumentParser:
    """Return a parser of what every example takes."""
    parser = argparse.ArgumentParser(description=description.split("\n", maxsplit=1)[0])
    parser.add_argument("--dataset", default="digits", help=f"one of {', '.join(DATASETS)}")
    parser.add_argument("--data", metavar="FILE.npz", help="a file to read instead")
    parser.add_argument("--out", type=Path, default=Path("demo_out"), help="folder to write")
    return parser


def start(parser: argparse.ArgumentParser) -> tuple[argparse.Namespace, Images]:
    """Parse the command line, load its data and make its folder, or end with the reason."""
    arguments = parser.parse_args()
    try:
        images = load(arguments.dataset, arguments.data)
        arguments.out.mkdir(parents=True, exist_ok=True)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    return arguments, images


def load(dataset: str, path: str | None) -> Images:
    """Load a named data set, or an .npz file of the same form as Keras's MNIST.

    Raises:
        ValueError: The name is unknown, or the file is not of that form.
    """
    if path is not None:
        return _standardize(path, *_read(path))
    if dataset == "digits":
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        x, y = load_digits(return_X_y=True)
        x_train, x_test, y_train, y_test = train_test_split(
            x / 16, y, test_size=0.2, random_state=0, stratify=y
        )
        return _standardize("digits", x_train, y_train, x_test, y_test)
    if dataset not in DATASETS:
        raise ValueError(f"dataset must be one of {DATASETS}. Received: dataset={dataset!r}")
    import keras

    (x_train, y_train), (x_test, y_test) = getattr(keras.datasets, dataset).load_data()
    return _standardize(dataset, x_train, y_train, x_test, y_test)


def _read(path: str) -> list[np.ndarray]:
    try:
        with np.load(Path(path)) as file:
            return [file[name] for name in _ARRAYS]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"data must be an .npz file with the arrays {_ARRAYS}. "
            f"Received: data={path!r} ({error})"
        ) from error


def _standardize(
    source: str, x_train: np.ndarray, y_train: np.ndarray, x_test: np.ndarray, y_test: np.ndarray
) -> Images:
    parts = []
    for x, y in ((x_train, y_train), (x_test, y_test)):
        if x.ndim < 2 or len(x) == 0 or y.shape[:1] != x.shape[:1] or y.size != len(x):
            raise ValueError(
                "data must hold images (n, ...) and one label for each. "
                f"Received: {source} with images {x.shape} and labels {y.shape}"
            )
        # Whole numbers are pixels of 0 to 255.
        pixels = x.reshape(len(x), -1) / (255 if x.dtype.kind in "iu" else 1)
        if not (pixels.min() >= 0 and pixels.max() <= 1):  # Written so that NaN fails.
            raise ValueError(
                "data must hold integers from 0 to 255 or floats from 0 to 1. "
                f"Received: {source} with {x.dtype} from {x.min()} to {x.max()}"
            )
        parts += [pixels.astype("float32"), y.reshape(-1).astype("int64")]
    if parts[0].shape[1] != parts[2].shape[1]:
        raise ValueError(
            "data must hold training and test images of one size. "
            f"Received: {source} with {x_train.shape} and {x_test.shape}"
        )
    return Images(*parts)
