"""JAX beside TensorFlow: the same numbers from the same files, and none of the one in the other."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from other_backend import NAMES, figures

import keras_ae

TESTS = Path(__file__).parent


def run(backend: str, *command: object) -> str:
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        capture_output=True,
        text=True,
        check=False,
        cwd=TESTS,
        env={**os.environ, "KERAS_BACKEND": backend},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What TensorFlow has written."""
    path = tmp_path_factory.mktemp("models")
    run("tensorflow", "other_backend.py", "write", path)
    return path


@pytest.fixture(scope="module")
def trained(folder: Path) -> dict[str, tuple[dict, dict]]:
    """What each model gives there and here, and what it predicts there after a step here."""
    results = {}
    for name in NAMES:
        model = keras.saving.load_model(folder / f"{name}.keras")
        results[name] = (dict(np.load(folder / f"{name}.npz")), figures(name, model))
        model.save(folder / f"{name}.trained.keras")
    run("tensorflow", "other_backend.py", "read", folder)
    return results


@pytest.mark.parametrize("name", NAMES)
def test_numbers_are_those_of_tensorflow(name: str, trained: dict) -> None:
    theirs, ours = trained[name]
    assert set(theirs) == set(ours)
    for key, value in theirs.items():
        np.testing.assert_allclose(ours[key], value, rtol=1e-5, atol=1e-6, err_msg=key)


@pytest.mark.parametrize("name", NAMES)
def test_files_open_on_tensorflow(name: str, trained: dict, folder: Path) -> None:
    ours = trained[name][1]
    prediction = ours.get("prediction after a step", ours["prediction"])
    np.testing.assert_allclose(np.load(folder / f"{name}.npy"), prediction, rtol=1e-5, atol=1e-6)


def test_nothing_imports_tensorflow() -> None:
    script = """
import sys

class Missing:
    def find_spec(self, name, *_):
        if name.split(".")[0] in {"tensorflow", "tensorflow_probability"}:
            raise AssertionError(f"{name} was imported")

sys.meta_path.insert(0, Missing())
import keras, keras_ae, numpy as np

for name in set(keras_ae.__all__) - {"export"}:
    getattr(keras_ae, name)
x = np.ones((4, 8), "float32")
hasher = keras_ae.SemanticHasher.dense(8, (6,), 8)
hasher.compile("adam", "binary_crossentropy")
hasher.fit(x, verbose=0)
keras_ae.HammingIndex(8).add(hasher.encode(x))
penalty = keras_ae.LaplaceActivityRegularizer(0.5)(x)
print(float(penalty))
"""
    assert run("jax", "-c", script).strip() == "16.0"


def test_what_needs_tensorflow_says_so() -> None:
    with pytest.raises(RuntimeError, match=r"keras_ae\.export needs Keras on TensorFlow.*=jax"):
        _ = keras_ae.export
    prior = {"name": "Laplace", "parameters": {"loc": 0.0, "scale": 1.0}}
    with pytest.raises(RuntimeError, match=r"PriorActivityRegularizer needs Keras on TensorFlow"):
        keras_ae.PriorActivityRegularizer(prior)
    encoder = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    model = keras_ae.Autoencoder(encoder, keras.layers.Dense(4))
    model.compile("sgd", "mse", metrics=[keras_ae.metrics.JacobianNorm(encoder)])
    with pytest.raises(RuntimeError, match=r"JacobianNorm must be given as .*code_metrics.* JAX"):
        model.fit(np.ones((8, 4), "float32"), verbose=0)
    with pytest.raises(AssertionError, match=r"needs Keras on tensorflow or jax\. .*=numpy"):
        run("numpy", "-c", "import keras_ae; keras_ae.ContractiveDense")
