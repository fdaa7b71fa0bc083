"""The deep autoencoder 784-1000-500-250-30 beside PCA: squared error of test images.

    python benchmarks/tables/deep_autoencoder.py --data mnist.npz
    python benchmarks/tables/deep_autoencoder.py --data mnist.npz --validate
    python benchmarks/tables/deep_autoencoder.py --quick      # scikit-learn's digits, seconds

The code is linear. The error is the sum over the pixels of an image in [0, 1], averaged over the
test images. `--validate` trains on five sixths of the training images and measures on the others.
Writes `<out>.json`, `<out>.md` and `<out>.png`, test images beside what both make of them, and
takes up a run that was stopped.
"""

import os
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from image_data import command_line, load_images
from rows_of_images import rows_of_images
from sklearn.decomposition import PCA
from table import Table

import keras_ae

Array = npt.NDArray[np.float32]
HIDDEN, CODE, BATCH, SHOWN = (1000, 500, 250), 30, 256, 16
MEASURES = {"squared error, test": ".2f", "training": ".2f"}


def main() -> None:
    parser = command_line(__doc__, "deep_autoencoder", epochs=150)
    parser.add_argument("--validate", action="store_true")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds, arguments.epochs = 1, 20
    data = load_images(arguments).flat()
    if arguments.validate:
        data = data.held_out()
    train, test = data.x_train, data.x_test
    table = Table(arguments.out, vars(arguments), ("method",), MEASURES)
    pca = PCA(CODE, svd_solver="covariance_eigh").fit(train)
    by_pca = [pca.inverse_transform(pca.transform(x)).astype(np.float32) for x in (test, train)]
    if not table.has(f"PCA-{CODE}"):
        errors = [squared_error(x, y) for x, y in zip((test, train), by_pca, strict=True)]
        table.add(f"PCA-{CODE}", values=errors)
    name = "autoencoder " + "-".join(map(str, (train.shape[1], *HIDDEN, CODE)))
    for seed in range(arguments.seeds):
        if table.has(name, seed=seed):
            continue
        start = time.perf_counter()
        model = fitted(train, arguments.epochs, seed)
        seconds = time.perf_counter() - start
        made = [model.reconstruct(x, 1000) for x in (test, train)]
        errors = [squared_error(x, y) for x, y in zip((test, train), made, strict=True)]
        table.add(name, values=errors, seed=seed, seconds=seconds)
        rows = {"test image": test, "autoencoder": made[0], f"PCA-{CODE}": by_pca[0]}
        picture = rows_of_images({key: x[:SHOWN] for key, x in rows.items()})
        picture.savefig(arguments.out.with_suffix(".png"))


def squared_error(x: Array, reconstruction: Array) -> float:
    return float(np.square(x - reconstruction).sum(axis=1).mean())


def summed_squares(x: Any, reconstruction: Any) -> Any:
    return keras.ops.sum(keras.ops.square(x - reconstruction), axis=-1)


def fitted(x: Array, epochs: int, seed: int) -> keras_ae.Autoencoder:
    keras.utils.set_random_seed(seed)
    encoder = keras.Sequential([keras.Input(x.shape[1:]), *blocks(HIDDEN)])
    encoder.add(keras.layers.Dense(CODE))
    decoder = keras.Sequential([keras.Input((CODE,)), *blocks(reversed(HIDDEN))])
    decoder.add(keras.layers.Dense(x.shape[1], "sigmoid"))
    model = keras_ae.Autoencoder(encoder, decoder)
    steps = epochs * -(-len(x) // BATCH)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, steps, warmup_target=4e-3, warmup_steps=steps // 50
    )
    model.compile(keras.optimizers.Adam(schedule), summed_squares)
    model.fit(moved(x, seed), epochs=epochs, verbose=2)
    return model


def moved(x: Array, seed: int) -> Any:
    """Return batches, shuffled, in which half of the images are moved and turned a little.

    A net of 2.8 million weights learns the training images by heart. All moved would be no better:
    they are smoother than images are, and smoother ones are what it would learn.
    """
    side = round(x.shape[1] ** 0.5)
    move = keras_ae.AffineCorruption(0.02, 7.0, 0.07, 0.07, image_shape=(side, side, 1), seed=seed)

    def half_moved(batch: Any) -> Any:
        chosen = tf.random.uniform((tf.shape(batch)[0], 1)) < 0.5
        return tf.where(chosen, move(batch, training=True), batch)

    batches = tf.data.Dataset.from_tensor_slices(x).shuffle(len(x)).batch(BATCH)
    return batches.map(half_moved).prefetch(2)


def blocks(sizes: Any) -> list[keras.layers.Layer]:
    layers: list[keras.layers.Layer] = []
    for units in sizes:
        layers.append(keras.layers.Dense(units, use_bias=False))
        layers.append(keras.layers.BatchNormalization())
        layers.append(keras.layers.Activation("gelu"))
    return layers


if __name__ == "__main__":
    main()
