"""Contractive autoencoders beside denoising ones: what pretraining does for a classifier.

    python benchmarks/tables/contractive_pretraining.py --data mnist.npz
    python benchmarks/tables/contractive_pretraining.py --data mnist.npz --validate
    python benchmarks/tables/contractive_pretraining.py --quick  # scikit-learn's digits, seconds

Each method trains a layer of sigmoid units with a tied decoder without labels; then the layer and a
softmax on top are trained on the labels. The Jacobian is measured between the two, on the test
images: its mean norm divided by inputs times units, as in the paper, and the share of units below
0.05 or above 0.95. The test error is that of the epoch with the lowest error on the last sixth of
the training images, which neither training sees.

`--validate` tries other weights and noises with one seed, and measures on that sixth alone. Writes
`<out>.json` and `<out>.md` as it goes, and takes up a run that was stopped.
"""

import os
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import numpy.typing as npt
from decaying_adam import decaying_adam
from image_data import ImageData, command_line, load_images
from rows_of_images import rows_of_images
from table import Table

import keras_ae

Floats = npt.NDArray[np.float32]
MEASURES = {"test error, %": ".2f", "mean Jacobian norm, 1e-4": ".2f", "saturated, %": ".1f"}
METHODS: dict[str, dict[str, Any]] = {
    "no pretraining": {},
    "AE": {"contraction": 0.0},
    "AE + weight decay": {"decay": 1e-5},
    "DAE, masking noise": {"corruption": lambda: keras_ae.MaskingCorruption(0.3)},
    "DAE, Gaussian noise": {"corruption": lambda: keras_ae.GaussianCorruption(0.5)},
    "CAE": {"contraction": 1.0},
    "CAE+H": {"contraction": 1.0, "curvature": 1.0},
}
# As in `METHODS`, and others.
CANDIDATES: dict[str, dict[str, Any]] = {
    "AE + weight decay 1e-4": {"decay": 1e-4},
    "DAE, masking noise 0.5": {"corruption": lambda: keras_ae.MaskingCorruption(0.5)},
    "DAE, Gaussian noise 0.3": {"corruption": lambda: keras_ae.GaussianCorruption(0.3)},
    "CAE 0.03": {"contraction": 0.03},
    "CAE 0.1": {"contraction": 0.1},
    "CAE 0.3": {"contraction": 0.3},
    "CAE 3": {"contraction": 3.0},
    "CAE+H 1, 0.1": {"contraction": 1.0, "curvature": 0.1},
}
BATCH, SHOWN = 128, 16


def main() -> None:
    parser = command_line(__doc__, "contractive_pretraining", epochs=30)
    parser.add_argument("--units", type=int, default=1000)
    parser.add_argument("--tuning", type=int, default=25, help="epochs with labels, at most")
    parser.add_argument("--rate", type=float, default=3e-3, help="of learning from labels")
    parser.add_argument("--validate", action="store_true")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds, arguments.epochs, arguments.tuning, arguments.units = 1, 20, 20, 50
    data = load_images(arguments).flat()
    table = Table(arguments.out, vars(arguments), ("method",), MEASURES)
    plan = METHODS | CANDIDATES if arguments.validate else METHODS
    if arguments.quick:
        plan = {name: plan[name] for name in ("no pretraining", "CAE+H")}
    filters: dict[str, Floats] = {}
    for seed in range(1 if arguments.validate else arguments.seeds):
        for name, options in plan.items():
            if not table.has(name, seed=seed):
                start = time.perf_counter()
                encoder, values = measure(data, arguments, seed, options)
                seconds = time.perf_counter() - start
                table.add(name, values=values, seed=seed, seconds=seconds)
                filters[name] = encoder.get_weights()[0].T[:SHOWN]
    if filters and not arguments.validate:
        rows_of_images(filters, signed=True).savefig(arguments.out.with_suffix(".png"))


def measure(
    data: ImageData, arguments: Any, seed: int, options: dict[str, Any]
) -> tuple[keras.Sequential, list[float]]:
    """Return the pretrained encoder, and the measures."""
    keras.utils.set_random_seed(seed)
    parts = data.held_out()
    x, y = (parts if arguments.validate else data)[2:]
    encoder = pretrain(parts.x_train, arguments.units, arguments.epochs, **options)
    norm = keras_ae.metrics.JacobianNorm(encoder)
    saturation = keras_ae.metrics.Saturation()
    for i in range(0, len(x), 500):
        part = x[i : i + 500]
        norm.update_state(part)
        saturation.update_state(part, encoder(part))
    classifier = fine_tune(encoder, parts, arguments.tuning, arguments.rate)
    wrong = classifier.predict(x, batch_size=1000, verbose=0).argmax(axis=1) != y
    size = x.shape[1] * arguments.units
    contraction = 1e4 * float(norm.result()) / size
    return encoder, [100 * float(wrong.mean()), contraction, 100 * float(saturation.result())]


def pretrain(
    x: Floats,
    units: int,
    epochs: int,
    *,
    contraction: float | None = None,
    curvature: float = 0.0,
    decay: float = 0.0,
    corruption: Callable[[], keras.layers.Layer] | None = None,
) -> keras.Sequential:
    """Return an encoder, trained if anything is asked for."""
    penalty = keras_ae.ContractiveRegularizer(contraction or 0.0, curvature=curvature)
    hidden = keras_ae.ContractiveDense(
        units,
        "sigmoid",
        contraction=penalty,
        kernel_regularizer=keras.regularizers.L2(decay) if decay else None,
    )
    encoder = keras.Sequential([keras.Input(x.shape[1:]), hidden])
    if contraction is None and not decay and corruption is None:
        return encoder
    decoder = keras.Sequential([keras.Input((units,)), keras_ae.TiedDense(hidden, "sigmoid")])
    noise = None if corruption is None else corruption()
    model = keras_ae.Autoencoder(encoder, decoder, noise)
    optimizer = decaying_adam(2e-3, len(x), BATCH, epochs)
    model.compile(optimizer, summed_cross_entropy, jit_compile=True)
    model.fit(x, epochs=epochs, batch_size=BATCH, verbose=0)
    return encoder


def summed_cross_entropy(x: Any, reconstruction: Any) -> Any:
    """Return the cross-entropy of an image: Keras's own is the mean over pixels."""
    pixels = keras.losses.binary_crossentropy(x[..., None], reconstruction[..., None])
    return keras.ops.sum(pixels, axis=-1)


def fine_tune(
    encoder: keras.Sequential, parts: ImageData, epochs: int, rate: float
) -> keras.Sequential:
    """Train a copy of the encoder and a softmax on labels; return that of the best epoch."""
    # The copy has no penalty.
    hidden = keras.layers.Dense(encoder.output_shape[-1], "sigmoid")
    classifier = keras.Sequential(
        [
            keras.Input(encoder.input_shape[1:]),
            hidden,
            keras.layers.Dense(int(parts.y_train.max()) + 1, "softmax"),
        ]
    )
    hidden.set_weights(encoder.get_weights())
    classifier.compile(
        decaying_adam(rate, len(parts.x_train), BATCH, epochs),
        "sparse_categorical_crossentropy",
        metrics=["accuracy"],
        jit_compile=True,
    )
    best = keras.callbacks.EarlyStopping("val_accuracy", patience=epochs, restore_best_weights=True)
    classifier.fit(
        parts.x_train,
        parts.y_train,
        validation_data=(parts.x_test, parts.y_test),
        epochs=epochs,
        batch_size=BATCH,
        callbacks=[best],
        verbose=0,
    )
    return classifier


if __name__ == "__main__":
    main()
