"""What every model gives from saved weights, run on each backend in turn.

    KERAS_BACKEND=tensorflow python tests/other_backend.py write FOLDER
    KERAS_BACKEND=tensorflow python tests/other_backend.py read FOLDER

`write` saves each model and what it gives; `read` opens the models that another backend has
trained, `*.trained.keras`, and adds what they predict.
"""

import sys
from pathlib import Path

import keras
import numpy as np
from every_model import MODELS, RANDOM_MODELS, data_of, loss_of, make

NAMES = [*MODELS, *RANDOM_MODELS]
# Their numbers differ from backend to backend, so that only what they predict is equal.
RANDOM = {"hutchinson", "curvature", *RANDOM_MODELS}
X = np.random.default_rng(0).random((20, 12)).astype("float32")


def figures(name: str, model: keras.Model) -> dict[str, np.ndarray]:
    """Return what a model predicts, each term of the loss of a step, and what it predicts then."""
    inputs, *_ = data_of(name, X)
    found = {"prediction": model.predict(inputs, verbose=0)}
    if name not in RANDOM:
        model.compile(optimizer=keras.optimizers.SGD(0.1), **loss_of(name))
        logs = model.train_on_batch(*data_of(name, X), return_dict=True)
        found |= {f"term {term}": np.asarray(value) for term, value in logs.items()}
        found["prediction after a step"] = model.predict(inputs, verbose=0)
    return found


def write(folder: Path) -> None:
    for name in NAMES:
        keras.utils.set_random_seed(0)
        model = make(name)
        model.save(folder / f"{name}.keras")
        np.savez(folder / f"{name}.npz", **figures(name, model))


def read(folder: Path) -> None:
    for name in NAMES:
        model = keras.saving.load_model(folder / f"{name}.trained.keras")
        inputs, *_ = data_of(name, X)
        np.save(folder / f"{name}.npy", model.predict(inputs, verbose=0))


if __name__ == "__main__":
    {"write": write, "read": read}[sys.argv[1]](Path(sys.argv[2]))
