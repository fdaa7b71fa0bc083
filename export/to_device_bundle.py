"""Write a folder that a phone or a browser searches: model, index, thumbnails and labels.

python -m export.to_device_bundle --model hasher.keras --data mnist.npz --out bundle

The data are an .npz file of the form of Keras's MNIST: x_train to be found, x_test to try it with,
as whole numbers from 0 to 255 or floats from 0 to 1; y_train, if it is there, has their classes.
See export/FORMAT.md.
"""

import argparse
import sys
from pathlib import Path

import keras
import numpy as np

from keras_ae import HammingIndex
from keras_ae.export import ExportError, to_device_bundle

ARRAYS = ("x_train", "x_test")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True, help="saved by Keras, .keras")
    parser.add_argument("--data", type=Path, required=True, help=f".npz with {', '.join(ARRAYS)}")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--count", type=int, default=10_000, help="training images to be found")
    parser.add_argument("--samples", type=int, default=16, help="test images to try it with")
    parser.add_argument("--quantize", default="float32", help="float32, float16, dynamic or int8")
    arguments = parser.parse_args()
    if min(arguments.count, arguments.samples) < 1:
        parser.error("--count and --samples must be at least 1")
    try:
        with np.load(arguments.data) as file:
            x, samples = (file[name] for name in ARRAYS)
            labels = file.get("y_train")
        result = to_device_bundle(
            keras.saving.load_model(arguments.model, compile=False),
            arguments.out,
            pixels(x[: arguments.count]),
            None if labels is None else labels[: arguments.count].reshape(-1),
            make_index=HammingIndex,
            samples=pixels(samples[: arguments.samples]),
            quantize=arguments.quantize,
        )
    except (ExportError, ValueError, KeyError, OSError, TypeError) as error:
        print(f"No bundle was written: {error}")
        return 1
    shares = (result.parity.equal_bits, result.parity.equal_codes)
    print(
        f"{result.path}: {result.size / 2**20:.1f} MiB; of Keras's bits and codes, "
        f"{' and '.join(f'{share:.2%}' for share in shares)} are equal"
    )
    return 0


def pixels(x: np.ndarray) -> np.ndarray:
    most = 255 if x.dtype.kind in "iu" else 1
    if not x.size:
        raise ValueError("there must be at least one image to be found, and one to try it with")
    if not 0 <= x.min() <= x.max() <= most:
        raise ValueError(
            f"images must be integers from 0 to 255 or floats from 0 to 1, not {x.dtype}"
        )
    return x.astype("uint8") if most == 255 else np.rint(255 * x).astype("uint8")


if __name__ == "__main__":
    sys.exit(main())
