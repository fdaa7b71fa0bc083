"""Predictive sparse decomposition: its gradient, its codes and its objective."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from backends import value_and_gradients
from sklearn.decomposition import sparse_encode

import keras_ae


def model(**kwargs: object) -> keras_ae.PredictiveSparseDecomposition:
    keras.utils.set_random_seed(1)
    arguments = {"sparsity": 0.3, "prediction": 0.8, "tolerance": 1e-6, "iterations": 3000}
    return keras_ae.PredictiveSparseDecomposition(6, 10, **{**arguments, **kwargs})


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    """Mixtures of two of eight directions."""
    generator = np.random.default_rng(0)
    atoms = generator.normal(size=(8, 6))
    weights = generator.laplace(size=(64, 8)) * (generator.random((64, 8)) < 0.25)
    return (weights @ atoms).astype("float32")


def energy(psd: keras_ae.PredictiveSparseDecomposition, x: np.ndarray) -> float:
    """`mean_b min_h` of the objective, in double precision and by another method.

    The prediction term makes it a lasso of the stacked system, for scikit-learn.
    """
    d = psd.dictionary.numpy().astype("float64")
    f = psd.encode(x).astype("float64")
    g = psd.prediction
    total = 0.0
    for signal, target in zip(x.astype("float64"), f, strict=True):
        stacked = np.concatenate([d, np.sqrt(g) * np.eye(len(d))], axis=1)
        right = np.concatenate([signal, np.sqrt(g) * target])
        h = sparse_encode(
            right[None], stacked, algorithm="lasso_cd", alpha=psd.sparsity / 2, max_iter=100_000
        )[0]
        total += ((right - h @ stacked) ** 2).sum() + psd.sparsity * np.abs(h).sum()
    return total / len(x)


def lasso(psd: keras_ae.PredictiveSparseDecomposition, x: np.ndarray) -> np.ndarray:
    # In double precision: scikit-learn does not converge in single.
    dictionary = psd.dictionary.numpy().astype("float64")
    return sparse_encode(
        x.astype("float64"), dictionary, algorithm="lasso_cd", alpha=psd.sparsity / 2,
        max_iter=100_000,
    )  # fmt: skip


@pytest.mark.parametrize("predictor", ["tanh", "lista"])
def test_the_outer_gradient_is_that_of_the_least_energy(predictor: str, x: np.ndarray) -> None:
    psd, x = model(predictor=predictor), x[:5]
    psd.compile("sgd")

    def total() -> Any:
        return psd.compute_loss(x=x, y=x, y_pred=psd(x, training=True), training=True)

    loss, gradients = value_and_gradients(total, *psd.trainable_variables, jit_compile=False)
    assert loss == pytest.approx(energy(psd, x), rel=1e-5)
    generator = np.random.default_rng(3)
    for variable, gradient in zip(psd.trainable_variables, gradients, strict=True):
        start = variable.numpy()
        direction = generator.normal(size=start.shape).astype("float32")
        around = []
        for side in (1, -1):
            variable.assign(start + side * 1e-4 * direction)
            around.append(energy(psd, x))
        variable.assign(start)
        slope = (around[0] - around[1]) / 2e-4
        found = (gradient * direction).sum()
        assert found == pytest.approx(slope, rel=5e-3, abs=2e-3)


def test_infer_is_the_lasso_of_the_dictionary(x: np.ndarray) -> None:
    psd = model()
    found = psd.infer(x, prediction=0.0)
    expected = lasso(psd, x)
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert (found == 0).mean() > 0.2


def test_infer_goes_from_the_sparse_code_to_the_prediction(x: np.ndarray) -> None:
    psd = model()
    predicted = psd.encode(x)
    distances = [
        np.square(psd.infer(x, weight) - predicted).sum() for weight in (0.0, 0.8, 10.0, 1000.0)
    ]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 1e-3 * distances[0]
    np.testing.assert_array_equal(psd.infer(x), psd.infer(x, 0.8))


@pytest.mark.parametrize("predictor", ["tanh", "lista"])
def test_inference_is_so_many_steps_from_the_prediction(predictor: str, x: np.ndarray) -> None:
    """The first step of FISTA is one of ISTA; its length is the inverse of the steepness."""
    psd = model(predictor=predictor, iterations=1, tolerance=0.0)
    atoms, h = psd.dictionary.numpy().astype("float64"), psd.encode(x).astype("float64")
    slope = 2 * (h @ atoms - x) @ atoms.T
    steepness = 2 * np.linalg.norm(atoms, 2) ** 2
    moved = h - slope / (steepness + 2 * psd.prediction)
    shift = psd.sparsity / (steepness + 2 * psd.prediction)
    expected = np.sign(moved) * np.maximum(np.abs(moved) - shift, 0)
    # The steepness is known within 1 %, and not the least.
    np.testing.assert_allclose(psd.infer(x), expected, atol=0.02)
    assert np.abs(psd.infer(x) - h).max() > 0.2


def test_a_new_predictor_starts_from_the_dictionary(x: np.ndarray) -> None:
    psd = model()
    np.testing.assert_array_equal(psd.predictor.kernel.numpy(), psd.dictionary.numpy().T)
    given = keras_ae.PSDPredictor(10)
    given.build((None, 6))
    before = given.kernel.numpy()
    assert model(predictor=given).predictor is given
    np.testing.assert_array_equal(given.kernel.numpy(), before)


def test_quality_is_what_it_says(x: np.ndarray) -> None:
    psd = model()
    quality = psd.prediction_quality(x)
    optimal = lasso(psd, x)
    predicted = psd.encode(x)
    noise = np.linalg.norm(optimal - predicted) / np.linalg.norm(optimal)
    assert quality.snr == pytest.approx(-20 * np.log10(noise), abs=0.02)
    costs = [
        np.square(x - h @ psd.dictionary.numpy()).sum() + 0.3 * np.abs(h).sum()
        for h in (predicted, optimal)
    ]
    assert quality.objective_gap == pytest.approx(costs[0] / costs[1] - 1, rel=1e-3)


def test_quality_of_empty_codes_is_unknown(x: np.ndarray) -> None:
    """Every code is 0: of LISTA, and the optimal one."""
    psd = model(sparsity=1e3, predictor="lista")
    quality = psd.prediction_quality(x)
    assert np.isnan(quality.snr)
    assert quality.objective_gap == 0
    assert np.isnan(psd.prediction_quality(0 * x)).all()


# Without XLA, JAX compiles the loop that finds the codes anew at each of the steps.
@pytest.mark.parametrize("jit_compile", [pytest.param(False, marks=pytest.mark.tensorflow), True])
@pytest.mark.parametrize("predictor", ["tanh", "lista"])
def test_training_lowers_every_measure(predictor: str, jit_compile: bool, x: np.ndarray) -> None:
    psd = model(predictor=predictor, tolerance=1e-3, iterations=200)
    before = psd.prediction_quality(x)
    start = psd.dictionary.numpy()
    psd.compile(keras.optimizers.Adam(0.01), jit_compile=jit_compile)
    # 64 examples in batches of 24: the last batch is partial.
    history = psd.fit(x, epochs=60, batch_size=24, verbose=0).history
    after = psd.prediction_quality(x)
    assert set(history) == {"loss", "prediction", "reconstruction", "sparsity"}
    terms = sum(history[name][-1] for name in ("prediction", "reconstruction", "sparsity"))
    assert history["loss"][-1] == pytest.approx(terms, rel=1e-4)
    assert history["loss"][-1] < 0.9 * history["loss"][0]
    assert after.snr > before.snr + 1
    assert after.objective_gap < before.objective_gap
    atoms = psd.dictionary.numpy()
    assert not np.allclose(atoms, start, atol=0.01)
    np.testing.assert_allclose(np.linalg.norm(atoms, axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("predictor", ["tanh", keras.layers.Dense(10, name="mine")])
def test_saved_and_loaded_with_equal_codes(
    predictor: str | keras.layers.Layer, tmp_path: Path, x: np.ndarray
) -> None:
    psd = model(predictor=predictor)
    psd.compile("adam")
    psd.fit(x, verbose=0)
    psd.save(tmp_path / "psd.keras")
    loaded = keras.models.load_model(tmp_path / "psd.keras")
    ours, theirs = psd.get_config(), loaded.get_config()
    assert ours.pop("predictor")["config"] == theirs.pop("predictor")["config"]
    assert ours == theirs
    np.testing.assert_array_equal(loaded.encode(x), psd.encode(x))
    np.testing.assert_array_equal(loaded.infer(x), psd.infer(x))
    # It is compiled, and goes on from where it was.
    losses = [m.fit(x, verbose=0, shuffle=False).history["loss"] for m in (psd, loaded)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_mixed_precision_trains(x: np.ndarray) -> None:
    psd = model(dtype="mixed_float16", tolerance=1e-3)
    psd.compile(keras.optimizers.Adam(0.01))
    losses = psd.fit(x, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    assert psd.encode(x).dtype == "float16"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sparsity": 0}, r"sparsity must be a finite number > 0"),
        ({"prediction": -1}, r"prediction must be a finite number >= 0"),
        ({"predictor": "relu"}, r"predictor must be one of \('tanh', 'lista'\)"),
        ({"predictor": keras.layers.Dense(4)}, r"predictor must map \(n, 6\) to \(n, 10\)"),
        ({"iterations": 0}, r"iterations must be an integer >= 1"),
    ],
)
def test_bad_arguments(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        model(**arguments)


def test_a_loss_of_ones_own_is_refused(x: np.ndarray) -> None:
    psd = model()
    for call in (lambda: psd.compile("adam", "mse"), lambda: psd.compile("adam", loss="mae")):
        with pytest.raises(ValueError, match="loss must be left out"):
            call()
    with pytest.raises(ValueError, match="x must be finite"):
        psd.infer(np.full((2, 6), np.nan))
    with pytest.raises(ValueError, match="prediction must be a finite number >= 0"):
        psd.infer(x, prediction=-1.0)
