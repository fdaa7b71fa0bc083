"""A linear autoencoder finds the subspace of principal component analysis, and no more.

    python examples/pca.py                     # scikit-learn's digits, no download
    python examples/pca.py --dataset mnist     # or fashion_mnist, through Keras
    python examples/pca.py --data mnist.npz    # x_train, y_train, x_test, y_test

Trains two dense layers without activation and compares them with PCA: the angles between what both
can reconstruct, and the errors. Writes one picture, pca.png.
"""

import math
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import numpy.typing as npt
from data import command_line, start
from matplotlib.figure import Figure, SubFigure

import keras_ae

BATCH, STEPS = 300, 4000
Array = npt.NDArray[np.float64]


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--units", type=int, help="default: where the spectrum falls most, 4 to 16")
    parser.add_argument("--steps", type=int, default=STEPS, help="training steps")
    arguments, images = start(parser)
    x = images.x_train
    variances, components = principal_components(x)
    falls = variances[:-1] / np.maximum(variances[1:], 1e-12)
    units = arguments.units or 4 + int(np.argmax(falls[3:16]))
    print(f"\n== {units} units: component {units} has {falls[units - 1]:.2f} times the variance of "
          f"component {units + 1}")  # fmt: skip

    model = train(x, units, arguments.steps)
    agreement = keras_ae.analysis.pca_agreement(model, x)
    print("Angles in degrees:", *(f"{angle:.3f}" for angle in agreement.angles))
    print(f"Error above that of PCA: {agreement.excess_error:.5%}")

    figure = Figure(figsize=(11, 5), dpi=120, layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(2.2, 1), squeeze=False).flat
    decoder = keras.ops.convert_to_numpy(model.decoder.kernel).astype("float64")
    draw_components(left, components[:units], decoder)
    axes = right.subplots()
    axes.bar(np.arange(1, units + 1), agreement.angles, color="#1f5fa8")
    axes.axhline(1, color="#888888", linestyle="--")
    axes.set_xticks(np.arange(1, units + 1))
    axes.set(title="Angles between the subspaces", xlabel="principal angle, largest first",
             ylabel="degrees", ylim=(0, max(1.1, 1.1 * agreement.angles.max())))  # fmt: skip
    path = arguments.out / "pca.png"
    figure.savefig(path)
    print(f"\nSee {path}")


def principal_components(x: npt.NDArray[np.float32]) -> tuple[Array, Array]:
    """Variances, largest first, and the components `(features, features)` as rows."""
    centred = x.astype("float64") - x.mean(axis=0, dtype="float64")
    variances, components = np.linalg.eigh(centred.T @ centred / len(x))
    return variances[::-1], components.T[::-1]


def train(x: npt.NDArray[np.float32], units: int, steps: int) -> keras_ae.Autoencoder:
    keras.utils.set_random_seed(0)
    model = keras_ae.Autoencoder(keras.layers.Dense(units), keras.layers.Dense(x.shape[1]))
    # Large at first, to leave the saddle points where a component is missed, and 0 in the end, so
    # that nothing is left of the noise of batches.
    rate = keras.optimizers.schedules.CosineDecay(0.05, steps)
    model.compile(keras.optimizers.Adam(rate), "mse", steps_per_execution=20)
    # Small data many times over: an epoch costs more than its few steps.
    repeated = np.tile(x, (max(1, 60_000 // len(x)), 1))
    epochs = math.ceil(steps / math.ceil(len(repeated) / BATCH))
    model.fit(repeated, epochs=epochs, batch_size=BATCH, verbose=0)
    return model


def draw_components(panel: SubFigure, components: Array, decoder: Array) -> None:
    """Draw PCA above the decoder: its rows as they are, and turned onto the components."""
    basis = np.linalg.qr(decoder.T).Q.T
    # The nearest to the components among the orthonormal bases of the decoder's span.
    left, _, right = np.linalg.svd(components @ basis.T)
    rows = {
        "principal\ncomponents": components,
        "decoder,\nturned": left @ right @ basis,
        "decoder,\nas trained": decoder,
    }
    side = math.isqrt(components.shape[1])
    axes = panel.subplots(len(rows), min(len(components), 8), squeeze=False)
    for cells, (name, pictures) in zip(axes, rows.items(), strict=True):
        cells[0].set_ylabel(name, rotation=0, ha="right", va="center")
        for cell, picture in zip(cells, pictures, strict=False):
            limit = np.abs(picture).max()
            cell.imshow(picture.reshape(side, side), cmap="RdBu", vmin=-limit, vmax=limit)
            cell.set(xticks=[], yticks=[])


if __name__ == "__main__":
    main()
