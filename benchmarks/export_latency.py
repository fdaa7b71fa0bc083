"""Every artefact of a dense and of a convolutional hasher: size, agreement with Keras, speed.

    python benchmarks/export_latency.py                     # scikit-learn's digits
    python benchmarks/export_latency.py --data mnist.npz    # Keras's MNIST

The agreement is that on test images; the activations are calibrated on training images.
"""

import argparse
import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits

import keras_ae
from keras_ae import export

Array = npt.NDArray[np.float32]
BITS = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="Keras's mnist.npz; digits without it")
    parser.add_argument("--epochs", type=int, default=10)
    arguments = parser.parse_args()
    x_train, x_test = images(arguments.data)
    side = x_train.shape[1]
    for name, model in (("Dense", dense(side)), ("Convolutional", convolutional(side))):
        model.compile("adam", "binary_crossentropy")
        model.fit(x_train, epochs=arguments.epochs, batch_size=128, verbose=2)
        with tempfile.TemporaryDirectory() as folder:
            paths = write(model, x_train[:500], x_test, Path(folder))
            print(f"\n{name}, {model.count_params()} parameters, {len(x_test)} test images\n")
            print(export.compare(paths, model, x_test), flush=True)


def images(path: Path | None) -> tuple[Array, Array]:
    if path is None:
        x = (load_digits().images[..., None] / 16).astype("float32")
        return x[:1437], x[1437:]
    with np.load(path) as file:
        x_train, x_test = (file[name][..., None] for name in ("x_train", "x_test"))
        return x_train / np.float32(255), x_test[:2000] / np.float32(255)


def dense(side: int) -> keras_ae.SemanticHasher:
    keras.utils.set_random_seed(0)
    encoder = keras.Sequential([keras.Input((side, side, 1)), keras.layers.Flatten()])
    for units in (512, 256):
        encoder.add(keras.layers.Dense(units, activation="relu"))
    encoder.add(keras.layers.Dense(BITS))
    return hasher(encoder, side)


def convolutional(side: int) -> keras_ae.SemanticHasher:
    keras.utils.set_random_seed(0)
    encoder = keras.Sequential([keras.Input((side, side, 1))])
    for filters in (32, 64):
        encoder.add(keras.layers.Conv2D(filters, 3, 2, "same", activation="relu"))
    encoder.add(keras.layers.Flatten())
    encoder.add(keras.layers.Dense(BITS))
    return hasher(encoder, side)


def hasher(encoder: keras.Sequential, side: int) -> keras_ae.SemanticHasher:
    decoder = keras.Sequential([keras.Input((BITS,)), keras.layers.Dense(256, activation="relu")])
    decoder.add(keras.layers.Dense(side * side, activation="sigmoid"))
    decoder.add(keras.layers.Reshape((side, side, 1)))
    model = keras_ae.SemanticHasher(encoder, decoder, bits=BITS)
    model.build((None, side, side, 1))
    return model


def write(model: keras_ae.SemanticHasher, known: Array, x: Array, folder: Path) -> list[Path]:
    results = []
    for quantize in ("float32", "float16", "dynamic", "int8"):
        calibration = known if quantize == "int8" else None
        path = folder / f"{quantize}.tflite"
        results.append(export.to_tflite(model, path, x, quantize=quantize, calibration=calibration))
    results.append(export.to_onnx(model, folder / "float32.onnx", x))
    results.append(
        export.to_onnx(model, folder / "static.onnx", x, quantize="static", calibration=known)
    )
    results.append(export.to_saved_model(model, folder / "saved_model", x))
    return [result.path for result in results]


if __name__ == "__main__":
    main()
