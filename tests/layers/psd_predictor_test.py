"""A predictor against the iterations that it unrolls, and the formula of the paper."""

import numpy as np
import pytest

import keras_ae
from keras_ae.ops.shrinkage import ista


@pytest.fixture(scope="module")
def dictionary() -> np.ndarray:
    atoms = np.random.default_rng(0).normal(size=(7, 5)).astype("float32")
    return atoms / np.linalg.norm(atoms, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    return np.random.default_rng(1).normal(size=(11, 5)).astype("float32")


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_lista_starts_as_so_many_steps_of_ista(
    steps: int, dictionary: np.ndarray, x: np.ndarray
) -> None:
    layer = keras_ae.PSDPredictor(7, kind="lista", steps=steps)
    layer.build((None, 5))
    layer.start_from(dictionary, 0.4)
    expected = ista(x, dictionary, 0.4, tolerance=0.0, iterations=steps).code
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)
    assert (np.asarray(expected) == 0).any()


def test_tanh_is_the_formula(dictionary: np.ndarray, x: np.ndarray) -> None:
    layer = keras_ae.PSDPredictor(7)
    layer.build((None, 5))
    layer.start_from(dictionary, 0.4)
    generator = np.random.default_rng(2)
    bias, gain = generator.normal(size=(2, 7)).astype("float32")
    layer.bias.assign(bias)
    layer.gain.assign(gain)
    np.testing.assert_allclose(
        layer(x), gain * np.tanh(x @ dictionary.T + bias), rtol=1e-5, atol=1e-6
    )


def test_thresholds_stay_positive_in_training(x: np.ndarray) -> None:
    layer = keras_ae.PSDPredictor(7, kind="lista")
    layer.build((None, 5))
    constrained = layer.threshold.constraint(np.array([-0.3, 0.2], "float32"))
    assert np.asarray(constrained).tolist() == [0.0, pytest.approx(0.2)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"units": 0}, r"units must be an integer >= 1. Received: units=0"),
        ({"units": 3, "kind": "relu"}, r"kind must be one of \('tanh', 'lista'\)"),
        ({"units": 3, "steps": 0}, r"steps must be an integer >= 1"),
    ],
)
def test_bad_arguments(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        keras_ae.PSDPredictor(**arguments)


def test_start_from_refuses_what_does_not_fit(dictionary: np.ndarray) -> None:
    layer = keras_ae.PSDPredictor(7)
    with pytest.raises(ValueError, match="must be called on a built layer"):
        layer.start_from(dictionary, 0.1)
    layer.build((None, 5))
    with pytest.raises(ValueError, match=r"dictionary must have shape \(7, 5\)"):
        layer.start_from(dictionary.T, 0.1)
    with pytest.raises(ValueError, match="sparsity must be a finite number > 0"):
        layer.start_from(dictionary, 0.0)
