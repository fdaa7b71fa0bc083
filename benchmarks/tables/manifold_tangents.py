"""The manifold tangent classifier: a class does not change along what an encoder follows.

    python benchmarks/tables/manifold_tangents.py --data mnist.npz
    python benchmarks/tables/manifold_tangents.py --data mnist.npz --images 12000 --pretraining 100
    python benchmarks/tables/manifold_tangents.py --quick       # scikit-learn's digits, seconds

A layer of sigmoid units is trained without labels as a contractive autoencoder. At every training
image the leading right singular vectors of its Jacobian are the directions of similar images. The
layer and a softmax on top are then trained on the labels, with a penalty on the change of the
classes along these directions, of several strengths, or without one; some with a layer of ReLU
between the two. The softmax sees half of its inputs in training, by dropout. Beside them,
classifiers from random weights.

All train on five sixths of the training images. The error on the others is there to choose by; the
errors are those of the last epoch. Writes `<out>.json` and `<out>.md` as it goes, and takes up a
run that was stopped.
"""

import os
import time
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from contractive_pretraining import METHODS, pretrain
from decaying_adam import decaying_adam
from image_data import ImageData, command_line, load_images
from table import Table

import keras_ae

Floats = npt.NDArray[np.float32]
MEASURES = {"validation error, %": ".2f", "test error, %": ".2f"}
TANGENTS, DRAWN, DROPOUT, BATCH = 15, 3, 0.5, 128
# Strengths of the penalty, by hidden layers. None: random weights.
PLAN = {1: (None, 0.0, 0.01), 2: (None, 0.0, 0.001)}
QUICK = {1: (None, 0.01), 2: (0.001,)}


def main() -> None:
    parser = command_line(__doc__, "manifold_tangents", epochs=40)
    parser.add_argument("--units", type=int, default=1000)
    parser.add_argument("--pretraining", type=int, default=30, help="epochs without labels")
    parser.add_argument("--images", type=int, help="of the training set, if not all")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds, arguments.epochs, arguments.pretraining, arguments.units = 1, 10, 5, 50
    data = load_images(arguments).flat()
    shown = slice(arguments.images)
    data = data._replace(x_train=data.x_train[shown], y_train=data.y_train[shown])
    table = Table(arguments.out, vars(arguments), ("method", "layers"), MEASURES)
    names = {None: "no pretraining", 0.0: "CAE+H"}
    plan = [
        (names.get(strength, f"CAE+H, tangents {strength}"), layers, strength)
        for layers, strengths in (QUICK if arguments.quick else PLAN).items()
        for strength in strengths
    ]
    for seed in range(arguments.seeds):
        left = [row for row in plan if not table.has(*row[:2], seed=seed)]
        if not left:
            continue
        start = time.perf_counter()
        x = data.held_out().x_train
        keras.utils.set_random_seed(seed)
        encoder = pretrain(x, arguments.units, arguments.pretraining, **METHODS["CAE+H"])
        tangents = keras_ae.analysis.tangents(encoder, x, TANGENTS, turns=4).astype(np.float16)
        print(f"{time.perf_counter() - start:.0f} s for the encoder and its tangents", flush=True)
        for name, layers, strength in left:
            start = time.perf_counter()
            keras.utils.set_random_seed(seed)
            weights = None if strength is None else encoder.get_weights()
            wrong = errors(data, tangents, strength or 0.0, layers, weights, arguments)
            seconds = time.perf_counter() - start
            table.add(name, layers, values=wrong, seed=seed, seconds=seconds)


def errors(
    data: ImageData,
    tangents: npt.NDArray[np.float16],
    strength: float,
    layers: int,
    weights: list[Floats] | None,
    arguments: Any,
) -> list[float]:
    """Return the shares of validation and test images that a classifier gets wrong, in percent."""
    parts = data.held_out()
    inputs = data.x_train.shape[1]
    hidden = keras.layers.Dense(arguments.units, "sigmoid")
    more = [keras.layers.Dense(arguments.units, "relu") for _ in range(layers - 1)]
    # Outputs before a softmax: after it, an image that is sure of its class would not change.
    top = [keras.layers.Dropout(DROPOUT), keras.layers.Dense(int(data.y_train.max()) + 1)]
    classifier = keras.Sequential([keras.Input((inputs,)), hidden, *more, *top])
    if weights is not None:
        hidden.set_weights(weights)
    both = [keras.Input((inputs,)), keras.Input((DRAWN, inputs))]
    model = keras.Model(both, keras_ae.TangentPropagated(classifier, strength)(both))
    model.compile(
        decaying_adam(1e-3, len(parts.x_train), BATCH, arguments.epochs),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    model.fit(batches(parts, tangents), epochs=arguments.epochs, verbose=2)
    return [
        100 * float(np.mean(classifier.predict(x, batch_size=1000, verbose=0).argmax(axis=1) != y))
        for x, y in (parts[2:], data[2:])
    ]


def batches(data: ImageData, tangents: npt.NDArray[np.float16]) -> Any:
    """Return batches, shuffled, with other tangents drawn for each."""
    places = tf.data.Dataset.range(len(data.x_train)).shuffle(len(data.x_train)).batch(BATCH)

    def gather(rows: Any) -> Any:
        chosen = np.random.permutation(tangents.shape[1])[:DRAWN]
        steps = tangents[rows[:, None], chosen].astype(np.float32)
        return data.x_train[rows], steps, data.y_train[rows]

    def load(rows: Any) -> Any:
        x, steps, y = tf.numpy_function(gather, [rows], (tf.float32, tf.float32, tf.int64))
        size = data.x_train.shape[1]
        x.set_shape((None, size))
        steps.set_shape((None, DRAWN, size))
        y.set_shape((None,))
        return (x, steps), y

    return places.map(load).prefetch(2)


if __name__ == "__main__":
    main()
