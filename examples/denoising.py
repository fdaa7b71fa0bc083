"""Denoising: the same autoencoder trained with and without corruption.

    python examples/denoising.py                     # scikit-learn's digits, no download
    python examples/denoising.py --dataset mnist     # or fashion_mnist, through Keras
    python examples/denoising.py --data mnist.npz    # x_train, y_train, x_test, y_test

Writes the denoising model and a picture of what the two have learned.
"""

import os
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import numpy.typing as npt
from data import Images, command_line, start
from matplotlib.figure import Figure
from pictures import draw_rows

import keras_ae

UNITS = 100
RATE = 0.5  # Of the pixels of a test image that are destroyed, and of training images at the end.
Array = npt.NDArray[np.float32]


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--epochs", type=int, help="default: more for small data sets")
    arguments, images = start(parser)
    epochs = arguments.epochs or max(10, 120_000 // len(images.x_train))

    print(f"\n== Train on {len(images.x_train)} images, {epochs} epochs, without noise")
    plain = keras_ae.Autoencoder(*tied_parts(images.x_train.shape[1]))
    train(plain, images, epochs)

    print(f"\n== The same with masking noise, from {RATE + 0.2:.0%} of the pixels to {RATE:.0%}")
    noise = keras_ae.MaskingCorruption(RATE)
    denoising = keras_ae.DenoisingAutoencoder(
        *tied_parts(images.x_train.shape[1]), noise, alpha=1.0, beta=0.5
    )
    schedule = keras_ae.callbacks.NoiseSchedule(
        noise, lambda epoch: RATE + 0.2 * max(0, 1 - 2 * epoch / epochs)
    )
    train(denoising, images, epochs, callbacks=[schedule])
    denoising.save(arguments.out / "denoising.keras")

    print(f"\n== Reconstruct test images with {RATE:.0%} of their pixels set to 0")
    clean = images.x_test
    corrupted = np.asarray(keras_ae.MaskingCorruption(RATE, seed=1)(clean, training=True))
    rows = {
        "corrupted": corrupted,
        "trained without noise": plain.reconstruct(corrupted),
        "trained with noise": denoising.reconstruct(corrupted),
        "clean": clean,
    }
    print("Mean squared error against the clean images:")
    for name, x in rows.items():
        print(f"{name:24}{np.mean((x - clean) ** 2):.4f}")
    path = arguments.out / "denoising.png"
    picture(plain, denoising, rows).savefig(path)
    print(f"\nSee {path}")


def tied_parts(pixels: int) -> tuple[keras.Model, keras.Model]:
    """Return an encoder and a decoder that share their weights, the same at every call."""
    keras.utils.set_random_seed(0)
    # Small at first, so that in the end a filter shows what was learned and not where it began.
    hidden = keras.layers.Dense(
        UNITS, "sigmoid", kernel_initializer=keras.initializers.RandomNormal(stddev=0.01)
    )
    encoder = keras.Sequential([keras.Input((pixels,)), hidden])
    # Most pixels are near 0: let the bias say so from the start, and not the shared weights.
    output = keras_ae.TiedDense(
        hidden, activation="sigmoid", bias_initializer=keras.initializers.Constant(-3)
    )
    return encoder, keras.Sequential([keras.Input((UNITS,)), output])


def train(model: keras_ae.Autoencoder, images: Images, epochs: int, **kwargs: Any) -> None:
    small = len(images.x_train) < 10_000
    model.compile(keras.optimizers.Adam(5e-3 if small else 1e-3), "binary_crossentropy")
    batch_size = 32 if small else 128
    model.fit(images.x_train, epochs=epochs, batch_size=batch_size, verbose=2, **kwargs)


def picture(
    plain: keras_ae.Autoencoder, denoising: keras_ae.Autoencoder, rows: dict[str, Array]
) -> Figure:
    """Draw the filters of both models above the images that each made of corrupted ones."""
    figure = Figure(figsize=(11, 7.2), dpi=120, layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=[1, 1.05], hspace=0.03, squeeze=False).flat
    titles = "Filters learned without noise", "Filters learned with masking noise"
    parts = top.subfigures(1, 2, wspace=0.05, squeeze=False).flat
    for part, model, title in zip(parts, (plain, denoising), titles, strict=True):
        kernel = keras.ops.convert_to_numpy(model.encoder.layers[-1].kernel)
        keras_ae.plotting.filters(kernel.T[:32], columns=8, figure=part)
        part.suptitle(title)
    bottom.suptitle(f"Test images with {RATE:.0%} of the pixels set to 0, reconstructed")
    errors = {name: np.mean((x - rows["clean"]) ** 2) for name, x in rows.items()}
    labelled = {f"{name}\n(error {errors[name]:.3f})": x for name, x in rows.items()}
    draw_rows(bottom, labelled, 12)
    return figure


if __name__ == "__main__":
    main()
