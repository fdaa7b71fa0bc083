"""The manifold tangent classifier: a class does not change along what an encoder follows.

    python benchmarks/tables/manifold_tangents.py --data mnist.npz
    python benchmarks/tables/manifold_tangents.py --data mnist.npz --validate
    python benchmarks/tables/manifold_tangents.py --quick       # scikit-learn's digits, seconds

A layer of sigmoid units is trained without labels as a contractive autoencoder. At every training
image the leading right singular vectors of its Jacobian are the directions of similar images. The
layer and a softmax on top are then trained on the labels, with a penalty on the change of the
classes along these directions, or without; beside them, a classifier from random weights. The test
error is that of the last epoch.

`--validate` trains on five sixths of the training images, tries several strengths of the penalty,
and measures on the others. Writes `<out>.json` and `<out>.md` as it goes, and takes up a run that
was stopped.
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
MEASURES = {"test error, %": ".2f"}
TANGENTS, DRAWN, BATCH = 15, 3, 128
STRENGTH = 0.1


def main() -> None:
    parser = command_line(__doc__, "manifold_tangents", epochs=40)
    parser.add_argument("--units", type=int, default=1000)
    parser.add_argument("--pretraining", type=int, default=30, help="epochs without labels")
    parser.add_argument("--validate", action="store_true")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds, arguments.epochs, arguments.pretraining, arguments.units = 1, 10, 5, 50
    data = load_images(arguments).flat()
    if arguments.validate:
        data = data.held_out()
    strengths = [0.01, 0.1, 1.0] if arguments.validate else [STRENGTH]
    table = Table(arguments.out, vars(arguments), ("method",), MEASURES)
    for seed in range(1 if arguments.validate else arguments.seeds):
        plan = {"no pretraining": 0.0, "CAE+H": 0.0} | {f"tangents, {s:g}": s for s in strengths}
        if all(table.has(name, seed=seed) for name in plan):
            continue
        start = time.perf_counter()
        keras.utils.set_random_seed(seed)
        encoder = pretrain(data.x_train, arguments.units, arguments.pretraining, **METHODS["CAE+H"])
        tangents = keras_ae.analysis.tangents(
            encoder, data.x_train, TANGENTS, turns=4, verbose=2
        ).astype(np.float16)
        print(f"{time.perf_counter() - start:.0f} s for the encoder and its tangents", flush=True)
        for name, strength in plan.items():
            if table.has(name, seed=seed):
                continue
            start = time.perf_counter()
            keras.utils.set_random_seed(seed)
            weights = None if name == "no pretraining" else encoder.get_weights()
            wrong = error(data, tangents, strength, weights, arguments)
            table.add(name, values=[wrong], seed=seed, seconds=time.perf_counter() - start)


def error(
    data: ImageData,
    tangents: npt.NDArray[np.float16],
    strength: float,
    weights: list[Floats] | None,
    arguments: Any,
) -> float:
    """Return the share of test images that a classifier gets wrong, in percent."""
    inputs = data.x_train.shape[1]
    hidden = keras.layers.Dense(arguments.units, "sigmoid")
    classes = int(data.y_train.max()) + 1
    # Outputs before a softmax: after it, an image that is sure of its class would not change.
    classifier = keras.Sequential([keras.Input((inputs,)), hidden, keras.layers.Dense(classes)])
    if weights is not None:
        hidden.set_weights(weights)
    both = [keras.Input((inputs,)), keras.Input((DRAWN, inputs))]
    model = keras.Model(both, keras_ae.TangentPropagated(classifier, strength)(both))
    model.compile(
        decaying_adam(1e-3, len(data.x_train), BATCH, arguments.epochs),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    model.fit(batches(data, tangents), epochs=arguments.epochs, verbose=2)
    logits = classifier.predict(data.x_test, batch_size=1000, verbose=0)
    return 100 * float(np.mean(logits.argmax(axis=1) != data.y_test))


def batches(data: ImageData, tangents: npt.NDArray[np.float16]) -> Any:
    """Return batches, shuffled, with other tangents drawn for each."""
    places = tf.data.Dataset.range(len(data.x_train)).shuffle(len(data.x_train)).batch(BATCH)

    def gather(rows: Any) -> Any:
        chosen = np.random.permutation(tangents.shape[1])[:DRAWN]
        return data.x_train[rows], tangents[rows][:, chosen].astype(np.float32), data.y_train[rows]

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
