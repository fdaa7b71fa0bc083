"""Sparse codes against scikit-learn, SciPy and the conditions of optimality."""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from backends import FLOAT64, compiled
from scipy.optimize import lsq_linear
from sklearn.datasets import load_sample_images
from sklearn.decomposition import sparse_encode
from sklearn.feature_extraction.image import extract_patches_2d

from keras_ae.ops.shrinkage import SparseCode, fista, ista, objective, soft_threshold, spectral_norm

BOTH = pytest.mark.parametrize("solve", [ista, fista])
EVERY_DTYPE = pytest.mark.parametrize("dtype", ["float32", FLOAT64])


def in_a_graph(solve: Callable[..., SparseCode], x: np.ndarray, *args: Any, **kwargs: Any) -> Any:
    """Thousands of steps are slow one by one."""
    graph = compiled(lambda x: tuple(solve(x, *args, **kwargs)), jit_compile=False)
    return SparseCode(*graph(keras.ops.convert_to_tensor(x)))


def unit_rows(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def random_problem() -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    return generator.normal(size=(40, 12)), unit_rows(generator.normal(size=(30, 12)))


@pytest.fixture(scope="module")
def image_problem() -> tuple[np.ndarray, np.ndarray]:
    """Patches of two photographs, coded in other patches of them."""
    grey = [image.mean(axis=2) / 255 for image in load_sample_images().images]
    patches = np.concatenate(
        [extract_patches_2d(x, (8, 8), max_patches=90, random_state=0) for x in grey]
    )
    patches = patches.reshape(len(patches), -1)
    patches -= patches.mean(axis=1, keepdims=True)
    return patches[::2], unit_rows(patches[1::2][:80] + 1e-6)


def least(x: np.ndarray, dictionary: np.ndarray, sparsity: float) -> np.ndarray:
    """The objective that scikit-learn's coordinate descent reaches."""
    codes = sparse_encode(x, dictionary, algorithm="lasso_cd", alpha=sparsity / 2, max_iter=100_000)
    return plain_objective(codes, x, dictionary, sparsity)


def plain_objective(
    h: np.ndarray, x: np.ndarray, dictionary: np.ndarray, sparsity: float
) -> np.ndarray:
    return ((x - h @ dictionary) ** 2).sum(axis=1) + sparsity * np.abs(h).sum(axis=1)


@pytest.mark.parametrize("threshold", [0.0, 0.7])
def test_soft_threshold_is_its_argmin(threshold: float) -> None:
    x = np.linspace(-3, 3, 13)
    grid = np.linspace(-4, 4, 8001)
    costs = (grid[:, None] - x) ** 2 / 2 + threshold * np.abs(grid)[:, None]
    np.testing.assert_allclose(soft_threshold(x, threshold), grid[costs.argmin(axis=0)], atol=1e-3)


@pytest.mark.parametrize("shape", [(3, 9), (9, 3), (40, 40), (1, 5)])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_spectral_norm_is_above_and_within_one_percent(
    shape: tuple[int, int], scale: float
) -> None:
    matrix = scale * np.random.default_rng(1).normal(size=shape)
    norm = np.linalg.norm(matrix, 2)
    found = float(spectral_norm(matrix))
    assert norm * (1 - 1e-6) <= found <= 1.01 * norm
    # The hardest case: all singular values are equal.
    orthogonal = np.linalg.qr(np.random.default_rng(2).normal(size=(64, 64)))[0]
    assert 1 - 1e-6 <= float(spectral_norm(orthogonal)) <= 1.01
    assert float(spectral_norm(np.zeros((3, 4)))) < 1e-6


def test_spectral_norm_of_half_precision_and_integers() -> None:
    assert float(spectral_norm(np.array([[300, 0], [0, 100]]))) == pytest.approx(300, rel=0.01)
    half = spectral_norm(np.float16(100) * np.eye(3, 4, dtype="float16"))
    assert float(half) == pytest.approx(100, rel=0.01)
    assert float(spectral_norm(np.zeros((2, 2), "float16"))) < 1e-6


def test_objective_takes_tensors_of_different_precision(
    random_problem: tuple[np.ndarray, np.ndarray],
) -> None:
    x, dictionary = random_problem
    code = fista(x.astype("float32"), dictionary, 0.5).code
    expected = plain_objective(np.asarray(code, "float64"), x, dictionary, 0.5)
    np.testing.assert_allclose(objective(code, x, dictionary, 0.5), expected, rtol=1e-6)
    near = objective(code, x, dictionary, 0.5, 0.3, target=np.ones((40, 30), "float32"))
    pull = 0.3 * np.square(np.asarray(code) - 1).sum(axis=1)
    np.testing.assert_allclose(near, expected + pull, rtol=1e-5)
    with pytest.raises(ValueError, match="target must be given with prediction > 0"):
        objective(code, x, dictionary, 0.5, prediction=0.3)


@BOTH
@pytest.mark.parametrize(
    ("problem", "sparsity"),
    [
        ("random_problem", 0.5),
        ("random_problem", 2.0),
        ("image_problem", 0.05),
        ("image_problem", 0.5),
    ],
)
@EVERY_DTYPE
def test_reaches_the_objective_of_coordinate_descent(
    problem: str,
    sparsity: float,
    dtype: str,
    solve: Callable[..., SparseCode],
    request: pytest.FixtureRequest,
) -> None:
    x, dictionary = request.getfixturevalue(problem)
    found = in_a_graph(
        solve,
        x.astype(dtype),
        dictionary.astype(dtype),
        sparsity,
        tolerance=1e-4 if dtype == "float32" else 1e-6,
        iterations=20_000,
    )
    reached = plain_objective(np.asarray(found.code, "float64"), x, dictionary, sparsity)
    assert (reached <= least(x, dictionary, sparsity) * (1 + 1e-5) + 1e-9).all()


# The second is steeper than the dictionary: a step that left it out would be too long.
@BOTH
@pytest.mark.parametrize("prediction", [0.7, 30.0])
@EVERY_DTYPE
def test_prediction_pulls_the_code_to_its_target(
    random_problem: tuple[np.ndarray, np.ndarray],
    solve: Callable[..., SparseCode],
    prediction: float,
    dtype: str,
) -> None:
    x, dictionary = (a.astype(dtype) for a in random_problem)
    target = np.random.default_rng(3).normal(size=(40, 30)).astype(dtype)
    sparsity = 0.4
    found = in_a_graph(
        solve,
        x,
        dictionary,
        sparsity,
        prediction=prediction,
        target=target,
        tolerance=1e-10,
        iterations=20_000,
    )
    # As least squares over the positive and the negative part of each code, by SciPy.
    for i in range(3):
        rows = np.concatenate([dictionary.T, np.sqrt(prediction) * np.eye(30)])
        matrix = np.concatenate([rows, -rows], axis=1)
        right = np.concatenate([x[i], np.sqrt(prediction) * target[i]])
        # c^T z with c > 0 by completing the square needs an extra row; its weight goes to 0.
        small = 1e-4
        matrix = np.concatenate([matrix, small * np.ones((1, 60))])
        right = np.append(right, -sparsity / (2 * small))
        parts = lsq_linear(matrix, right, bounds=(0, np.inf), tol=1e-14).x
        np.testing.assert_allclose(found.code[i], parts[:30] - parts[30:], atol=1e-4)
    exact = objective(found.code, x, dictionary, sparsity, prediction, target)
    by_hand = plain_objective(np.asarray(found.code), x, dictionary, sparsity)
    by_hand += prediction * ((np.asarray(found.code) - target) ** 2).sum(axis=1)
    np.testing.assert_allclose(exact, by_hand, rtol=1e-12 if dtype == "float64" else 1e-5)


@pytest.mark.parametrize("prediction", [0.0, 0.7])
@EVERY_DTYPE
def test_the_gap_bounds_what_is_left(
    random_problem: tuple[np.ndarray, np.ndarray], prediction: float, dtype: str
) -> None:
    x, dictionary = random_problem
    target = np.random.default_rng(3).normal(size=(40, 30))
    precision = 1e-9 if dtype == "float64" else 1e-5
    # The pull to a target, as more inputs to be explained.
    root = np.sqrt(prediction)
    both = np.concatenate([x, root * target], axis=1)
    atoms = np.concatenate([dictionary, root * np.eye(30)], axis=1)
    expected = least(both, atoms, 0.3)
    for iterations in (1, 5, 20, 60, 1000):
        found = in_a_graph(
            fista,
            x.astype(dtype),
            dictionary.astype(dtype),
            0.3,
            prediction=prediction,
            target=target.astype(dtype),
            tolerance=0.0,
            iterations=iterations,
        )
        assert int(found.iterations) == iterations
        code = np.asarray(found.code, "float64")
        reached = plain_objective(code, both, atoms, 0.3)
        left = (reached - expected) / reached
        assert (left <= np.asarray(found.gap) + precision).all()
        # It is the distance to the best point of the dual that lies along the residual.
        residual = both - code @ atoms
        steepest = np.abs(2 * residual @ atoms.T).max(axis=1)
        scales = np.linspace(-1, 1, 20_001)[:, None] * (0.3 / steepest)
        along, square = (residual * both).sum(axis=1), (residual**2).sum(axis=1)
        dual = (2 * scales * along - scales**2 * square).max(axis=0)
        np.testing.assert_allclose(
            found.gap, (reached - dual) / reached, rtol=1e-5, atol=max(1e-7, precision)
        )
    assert np.asarray(found.gap).max() < (1e-6 if dtype == "float64" else 1e-4)


@EVERY_DTYPE
def test_stops_when_the_last_example_is_done(
    random_problem: tuple[np.ndarray, np.ndarray], dtype: str
) -> None:
    x, dictionary = (a.astype(dtype) for a in random_problem)
    share = 1e-6 if dtype == "float64" else 1e-4
    loose, tight = (in_a_graph(fista, x, dictionary, 0.3, tolerance=t) for t in (1e-2, share))
    assert 0 < int(loose.iterations) < int(tight.iterations) < 1000
    assert np.asarray(loose.gap).max() <= 1e-2
    assert np.asarray(tight.gap).max() <= share
    again = fista(x, dictionary, 0.3, tolerance=share, start=tight.code)
    assert int(again.iterations) == 0
    np.testing.assert_array_equal(again.code, tight.code)


def test_fista_needs_fewer_steps_than_ista(image_problem: tuple[np.ndarray, np.ndarray]) -> None:
    slow, fast = (
        in_a_graph(solve, *image_problem, 0.05, tolerance=1e-3, iterations=50_000)
        for solve in (ista, fista)
    )
    assert 4 * int(fast.iterations) < int(slow.iterations) < 50_000


def test_the_objective_of_ista_never_rises(random_problem: tuple[np.ndarray, np.ndarray]) -> None:
    x, dictionary = random_problem
    values, code = [], np.zeros((40, 30))
    for _ in range(15):
        code = ista(x, dictionary, 0.3, tolerance=0.0, iterations=1, start=code).code
        values.append(plain_objective(np.asarray(code), x, dictionary, 0.3))
    assert (np.diff(values, axis=0) <= 1e-12).all()


@pytest.mark.parametrize("units", [8, 30, 90])
def test_wide_and_narrow_dictionaries(units: int) -> None:
    # 90 atoms of 12 go through the inputs, 30 and 8 through the Gram matrix.
    generator = np.random.default_rng(4)
    x, dictionary = generator.normal(size=(20, 12)), generator.normal(size=(units, 12))
    found = in_a_graph(fista, x, dictionary, 0.4, tolerance=1e-8, iterations=20_000)
    # Scikit-learn wants atoms of length 1; the conditions of optimality do not.
    slope = 2 * (x - np.asarray(found.code) @ dictionary) @ dictionary.T
    code = np.asarray(found.code)
    assert (np.abs(slope) <= 0.4 + 1e-3).all()
    np.testing.assert_allclose(slope[code != 0], 0.4 * np.sign(code[code != 0]), atol=1e-3)


def test_zero_is_optimal_at_the_largest_sparsity(
    random_problem: tuple[np.ndarray, np.ndarray],
) -> None:
    x, dictionary = random_problem
    largest = 2 * np.abs(x @ dictionary.T).max()
    assert not np.asarray(fista(x, dictionary, 1.0001 * largest).code).any()
    assert np.asarray(fista(x, dictionary, 0.9 * largest).code).any()
    assert not np.asarray(fista(np.zeros((2, 12)), dictionary, 0.1).code).any()


@pytest.mark.tensorflow
@pytest.mark.parametrize("jit_compile", [False, True])
def test_in_a_graph_with_a_batch_of_unknown_size(
    random_problem: tuple[np.ndarray, np.ndarray], jit_compile: bool
) -> None:
    import tensorflow as tf

    x, dictionary = (a.astype("float32") for a in random_problem)
    solve = tf.function(
        lambda x: tuple(fista(x, dictionary, 0.3)),
        input_signature=[tf.TensorSpec((None, 12))],
        jit_compile=jit_compile,
    )
    for n in (1, 40):
        code, gap, iterations = solve(x[:n])
        eager = fista(x[:n], dictionary, 0.3)
        np.testing.assert_allclose(code, eager.code, atol=2e-3)
        assert np.asarray(gap).max() <= 1e-3
        assert int(iterations) < 1000


def test_half_precision_is_computed_in_single(
    random_problem: tuple[np.ndarray, np.ndarray],
) -> None:
    x, dictionary = random_problem
    found = fista(x.astype("float16"), dictionary.astype("float16"), 0.3, iterations=2)
    assert isinstance(found, SparseCode)
    assert keras.backend.standardize_dtype(found.code.dtype) == "float32"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"sparsity": 0.0}, r"sparsity must be a finite number > 0. Received: sparsity=0.0"),
        ({"prediction": -1.0}, r"prediction must be a finite number >= 0"),
        ({"prediction": 1.0}, r"target must be given with prediction > 0"),
        ({"tolerance": float("nan")}, r"tolerance must be a finite number >= 0"),
        ({"iterations": 0}, r"iterations must be an integer >= 1"),
        ({"start": np.zeros((40, 12))}, r"start must have shape \(40, 30\)"),
        ({"start": np.zeros((3, 30))}, r"start must have shape \(40, 30\)"),
        ({"prediction": 1.0, "target": np.zeros(30)}, r"target must have shape \(40, 30\)"),
        ({"x": np.zeros((3, 11))}, r"x and dictionary must have shapes"),
        ({"x": np.zeros(12)}, r"x and dictionary must have shapes"),
    ],
)
@BOTH
def test_bad_arguments(
    arguments: dict[str, object],
    message: str,
    solve: Callable[..., SparseCode],
    random_problem: tuple[np.ndarray, np.ndarray],
) -> None:
    given = {"x": random_problem[0], "dictionary": random_problem[1], "sparsity": 0.1}
    with pytest.raises(ValueError, match=message):
        solve(**{**given, **arguments})
