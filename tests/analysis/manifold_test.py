"""Spectrum, tangents, local dimension and contraction profile."""

from functools import partial

import keras
import numpy as np
import pytest
from backends import FLOAT64, jacobians

import keras_ae
from keras_ae.analysis import contraction_profile, jacobian_spectrum, local_dimension, tangents

layers = keras.layers


def stack(*parts, shape, dtype="float32"):
    keras.config.set_dtype_policy(dtype)
    try:
        model = keras.Sequential([keras.Input(shape, dtype=dtype), *(part() for part in parts)])
    finally:
        keras.config.set_dtype_policy("float32")
    generator = np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(generator.uniform(0.1 if "variance" in weight.path else -1, 1, weight.shape))
    return model


ENCODERS = {
    "narrowing": partial(stack, lambda: layers.Dense(3, "tanh"), shape=(6,)),
    "widening": partial(
        stack, lambda: layers.Dense(4, "tanh"), lambda: layers.Dense(8, "sigmoid"), shape=(4,)),
    "convolutional": partial(
        stack, lambda: layers.Conv2D(2, 2, activation="tanh"), lambda: layers.Conv2D(3, 2, 2),
        shape=(4, 4, 1)),
    "convolutional to a vector": partial(
        stack, lambda: layers.Conv2D(2, 2, 2, activation="tanh"), layers.Flatten,
        lambda: layers.Dense(5), shape=(4, 4, 1)),
    "at inference": partial(
        stack, lambda: layers.Dropout(0.5), lambda: layers.Dense(5, "tanh"),
        layers.BatchNormalization, shape=(6,)),
}  # fmt: skip

every_encoder = pytest.mark.parametrize("name", ENCODERS)
every_dtype = pytest.mark.parametrize("dtype", ["float32", FLOAT64])


def numbers(n, encoder):
    shape = (n, *encoder.input_shape[1:])
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def whole_jacobian(encoder, x, step=1e-5):
    """By finite differences where these are good to more than float32, else by the backend."""
    if encoder.compute_dtype == "float32":
        return jacobians(lambda x: encoder(x, training=False), x).reshape(len(x), -1, x[0].size)
    columns = []
    for place in range(x[0].size):
        change = np.zeros(x[0].size)
        change[place] = step
        above, below = (
            np.asarray(encoder(x.astype("float64") + sign * change.reshape(x[0].shape)))
            for sign in (1, -1)
        )
        columns.append((above - below).reshape(len(x), -1) / (2 * step))
    return np.stack(columns, axis=-1)


@every_encoder
@every_dtype
def test_spectrum_against_svd_of_the_whole_jacobian(name, dtype):
    encoder = ENCODERS[name](dtype=dtype)
    x = numbers(5, encoder)
    expected = np.linalg.svd(whole_jacobian(encoder, x), compute_uv=False)
    values = jacobian_spectrum(encoder, x, batch_size=2, verbose=0)
    assert values.shape == expected.shape
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-6 * expected.max())


@every_encoder
@every_dtype
def test_tangents_against_svd_of_the_whole_jacobian(name, dtype):
    encoder = ENCODERS[name](dtype=dtype)
    x = numbers(5, encoder)
    _, _, expected = np.linalg.svd(whole_jacobian(encoder, x))
    given = tangents(encoder, x, 2, batch_size=2, verbose=0)
    assert given.shape == (5, 2, *x.shape[1:])
    given = given.reshape(5, 2, -1)
    # Up to the sign of each, and as near as the gaps between singular values allow.
    cosines = np.einsum("bki,bki->bk", given, expected[:, :2])
    np.testing.assert_allclose(np.abs(cosines), 1, atol=1e-5)
    np.testing.assert_allclose(given @ given.swapaxes(1, 2), [np.eye(2)] * 5, atol=1e-6)


@pytest.mark.parametrize("units", [20, 60])
@every_dtype
def test_turns_come_near_the_exact_tangents(units, dtype):
    encoder = stack(lambda: layers.Dense(units, "tanh"), shape=(40,), dtype=dtype)
    encoder.layers[0].kernel.assign(encoder.layers[0].kernel * 1.05 ** -np.arange(units))
    x = 0.1 * numbers(6, encoder)
    exact = tangents(encoder, x, 4, verbose=0)
    cosines = []
    for turns in (1, 3, 30):
        given = tangents(encoder, x, 4, batch_size=4, verbose=0, turns=turns)
        np.testing.assert_allclose(given @ given.swapaxes(1, 2), [np.eye(4)] * 6, atol=1e-5)
        cosines.append(np.abs(np.sum(given * exact, axis=2)).min())
    assert 0.1 < cosines[0] < cosines[1] < cosines[2]
    assert cosines[2] > 1 - 1e-5


@every_dtype
def test_batches_change_nothing(dtype):
    encoder = ENCODERS["convolutional"](dtype=dtype)
    x = numbers(7, encoder)
    spectra = [jacobian_spectrum(encoder, x, size, verbose=0) for size in (3, 7)]
    planes = [tangents(encoder, x, 2, size, verbose=0) for size in (3, 7)]
    profiles = [contraction_profile(encoder, x, planes[0], size, verbose=0) for size in (3, 7)]
    np.testing.assert_allclose(spectra[0], spectra[1], rtol=1e-6, atol=1e-7)
    cosines = np.sum((planes[0] * planes[1]).reshape(7, 2, -1), axis=2)
    np.testing.assert_allclose(np.abs(cosines), 1, atol=1e-5)
    np.testing.assert_allclose(profiles[0], profiles[1], rtol=1e-6)


def test_small_singular_values_are_right_relative_to_the_largest():
    generator = np.random.default_rng(0)
    values = np.array([1.0, 1e-2, 1e-4, 1e-6, 0.0])
    left, _ = np.linalg.qr(generator.normal(size=(5, 5)))
    right, _ = np.linalg.qr(generator.normal(size=(8, 5)))
    matrix = ((left * values) @ right.T).astype("float32")
    for kernel in (matrix, matrix.T):
        x = generator.normal(size=(2, kernel.shape[1]))
        given = jacobian_spectrum(lambda x, k=kernel: keras.ops.matmul(x, k.T), x, verbose=0)
        exact = np.linalg.svd(kernel.astype("float64"), compute_uv=False)
        np.testing.assert_allclose(given, [exact, exact], rtol=0, atol=1e-7)


@pytest.mark.parametrize("units", [3, 9])
def test_tangents_are_orthonormal_where_the_encoder_is_flat(units):
    encoder = layers.Dense(units, "relu", bias_initializer=keras.initializers.Constant(-100))
    x = np.random.default_rng(0).normal(size=(4, 5))
    given = tangents(encoder, x, 3, verbose=0)
    np.testing.assert_allclose(given @ given.swapaxes(1, 2), [np.eye(3)] * 4, atol=1e-6)
    assert (jacobian_spectrum(encoder, x, verbose=0) == 0).all()
    assert local_dimension(encoder, x, verbose=0).tolist() == [0] * 4


def test_local_dimension_counts_what_is_above_a_share():
    def encoder(x):  # The Jacobian is diag(2 x).
        return x**2

    x = np.array([[4.0, 2.0, 1.0, 0.5], [1.0, -1.0, 1.0, -1.0], [0, 0, 8.0, 0]])
    assert local_dimension(encoder, x, share=0.25, verbose=0).tolist() == [3, 4, 1]
    assert local_dimension(encoder, x, share=0.6, verbose=0).tolist() == [1, 4, 1]
    assert local_dimension(encoder, x, share=1, verbose=0).tolist() == [1, 4, 1]


@every_encoder
@every_dtype
def test_contraction_profile_against_a_basis_of_the_complement(name, dtype):
    encoder = ENCODERS[name](dtype=dtype)
    x = numbers(5, encoder)
    size = x[0].size
    bases, _ = np.linalg.qr(np.random.default_rng(2).normal(size=(5, size, size)))
    moves = np.linalg.norm(whole_jacobian(encoder, x) @ bases, axis=1) ** 2
    directions = bases[:, :, :2].swapaxes(1, 2).reshape(5, 2, *x.shape[1:])
    profile = contraction_profile(encoder, x, directions, batch_size=2, verbose=0)
    assert profile.along == pytest.approx(np.sqrt(moves[:, :2].mean(axis=1)).mean(), rel=1e-5)
    assert profile.across == pytest.approx(np.sqrt(moves[:, 2:].mean(axis=1)).mean(), rel=1e-5)


@every_dtype
def test_a_penalty_inside_does_not_matter(dtype):
    encoder = keras_ae.Contractive(ENCODERS["narrowing"](dtype=dtype), 0.1)
    x = numbers(3, encoder.layer)
    # One by differentiation, the other by a product of matrices.
    np.testing.assert_allclose(
        jacobian_spectrum(encoder, x, verbose=0),
        jacobian_spectrum(encoder.layer, x, verbose=0),
        rtol=1e-6 if dtype == "float64" else 1e-5,
    )
    assert encoder.losses == []


def test_a_model_with_a_call_of_its_own_is_not_taken_apart():
    class Doubled(keras.Sequential):
        def call(self, inputs, training=None, mask=None):
            return 2 * super().call(inputs, training=training)

    model = Doubled([keras.Input((4,)), layers.Dense(3, kernel_initializer="orthogonal")])
    x = np.ones((2, 4), "float32")
    np.testing.assert_allclose(jacobian_spectrum(model, x, verbose=0), 2, rtol=1e-6)
    exact = keras_ae.ContractiveRegularizer(1.0, "exact")
    with pytest.raises(ValueError, match='estimator must be "jacobian"'):
        keras_ae.Contractive(model, exact)(x, training=True)


def test_layers_of_several_precisions():
    model = keras.Sequential([
        keras.Input((6,)), layers.Dense(5, "tanh", dtype="mixed_float16"),
        layers.BatchNormalization(dtype="mixed_float16"), layers.Dense(3)])  # fmt: skip
    x = numbers(3, model)
    given = jacobian_spectrum(model, x, verbose=0)
    expected = jacobian_spectrum(lambda x: model(x, training=False), x, verbose=0)
    np.testing.assert_allclose(given, expected, rtol=5e-3)
    contractive = keras_ae.Contractive(model, keras_ae.ContractiveRegularizer(1.0, "exact"))
    contractive(x, training=True)
    assert np.isfinite(float(contractive.losses[0]))


def test_turns_of_a_large_jacobian():
    scales = np.array([3.0, 2.0, 1.0, 0.5], "float32")
    planes = [
        tangents(lambda x, s=scale: x * scales * s, np.ones((2, 4)), 2, verbose=0, turns=30)
        for scale in (np.float32(1e-25), np.float32(1e25))
    ]
    np.testing.assert_allclose(np.abs(planes), [[np.eye(4)[:2]] * 2] * 2, atol=1e-5)


def test_a_layer_without_weights_yet_and_integers():
    given = jacobian_spectrum(layers.Dense(2), np.arange(12).reshape(4, 3), verbose=0)
    assert given.shape == (4, 2)
    assert (given > 0).all()


@pytest.mark.parametrize("verbose", ["auto", 0, 1, 2])
def test_progress(verbose, capsys):
    jacobian_spectrum(layers.Dense(2), np.ones((4, 3)), verbose=verbose)
    assert ("4/4" in capsys.readouterr().out) == (verbose != 0)


def swiss_roll(n):
    """Points of one scale in all directions, and their tangent planes."""
    generator = np.random.default_rng(0)
    t = 1.5 * np.pi * (1 + 2 * generator.random(n))
    x = np.stack([t * np.cos(t), 21 * generator.random(n), t * np.sin(t)], axis=1)
    along = np.stack([np.cos(t) - t * np.sin(t), 0 * t, np.sin(t) + t * np.cos(t)], axis=1)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    planes = np.stack([along, np.broadcast_to([0.0, 1.0, 0.0], (n, 3))], axis=1)
    return (x - x.mean(axis=0)) / x.std(), planes


def sphere(n):
    """A sphere of radius 1 in 20 dimensions, and its tangent planes."""
    generator = np.random.default_rng(0)
    y = generator.normal(size=(n, 3))
    y /= np.linalg.norm(y, axis=1, keepdims=True)
    isometry, _ = np.linalg.qr(generator.normal(size=(20, 3)))
    _, _, basis = np.linalg.svd(y[:, None])
    return y @ isometry.T, basis[:, 1:] @ isometry.T


@pytest.mark.parametrize(
    ("manifold", "steps", "units", "activation", "stddev", "rate"),
    [(swiss_roll, 1500, 128, "leaky_relu", 0.2, 0.01), (sphere, 750, 64, "silu", 0.3, 0.02)],
)
def test_a_denoising_autoencoder_knows_the_tangent_planes(
    manifold, steps, units, activation, stddev, rate
):
    x, planes = manifold(200 * steps)
    size = x.shape[1]
    encoder = keras.Sequential([layers.Dense(units, activation), layers.Dense(units, activation)])
    decoder = keras.Sequential([layers.Dense(units, activation), layers.Dense(size)])
    noise = keras_ae.GaussianCorruption(stddev, seed=0)
    model = keras_ae.Autoencoder(encoder, decoder, corruption=noise)
    rate = keras.optimizers.schedules.CosineDecay(rate, steps)
    model.compile(keras.optimizers.Adam(rate), "mse", jit_compile=True)
    model.fit(x, epochs=1, batch_size=200, verbose=0)

    x, planes = x[:200], planes[:200]
    learned = tangents(model, x, 2, verbose=0)
    cosines = np.linalg.svd(learned @ planes.swapaxes(1, 2), compute_uv=False)
    largest = np.degrees(np.arccos(np.minimum(cosines[:, -1], 1)))
    assert np.median(largest) < 10
    assert np.mean(local_dimension(model, x, verbose=0) == 2) > 0.85
    profile = contraction_profile(model, x, planes, verbose=0)
    assert profile.along > 4 * profile.across


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"encoder": 3}, r"encoder must be a Keras model or layer, or a function\. .*encoder=3"),
        ({"encoder": lambda x: [x, x]}, r"encoder must return one tensor \(n, \.\.\.\)"),
        ({"encoder": keras.ops.sum}, r"encoder must return one tensor \(n, \.\.\.\)"),
        ({"encoder": keras.ops.convert_to_numpy}, r"encoder must return one tensor \(n, \.\.\.\)"),
        ({"encoder": lambda x: keras.ops.sqrt(x - 1)}, r"encoder must have a finite Jacobian"),
        ({"x": np.ones(3)}, r"x must have shape \(n, \.\.\.\), n >= 1\. .*shape=\(3,\)"),
        ({"x": np.ones((0, 3))}, r"x must have shape \(n, \.\.\.\), n >= 1\. .*shape=\(0, 3\)"),
        ({"x": np.full((2, 3), np.nan)}, r"x must be finite"),
        ({"batch_size": 0}, r"batch_size must be an integer >= 1\. Received: batch_size=0"),
        ({"verbose": 3}, r"verbose must be 'auto', 0, 1 or 2\. Received: verbose=3"),
    ],
)
def test_refuses_bad_arguments(arguments, message):
    arguments = {"encoder": lambda x: x**2, "x": np.ones((2, 3)), "verbose": 0, **arguments}
    for function, more in (
        (jacobian_spectrum, {}),
        (local_dimension, {}),
        (tangents, {"k": 1}),
    ):
        with pytest.raises(ValueError, match=message):
            function(**arguments, **more)


def test_refuses_bad_arguments_of_one():
    x = np.ones((2, 3))
    for k in (0, 1.5):
        with pytest.raises(ValueError, match="k must be an integer >= 1"):
            tangents(layers.Dense(2), x, k, verbose=0)
    with pytest.raises(ValueError, match=r"k must be at most the smaller of 3 inputs and 2 outp"):
        tangents(layers.Dense(2), x, 3, verbose=0)
    with pytest.raises(ValueError, match=r"turns must be an integer >= 1\. Received: turns=0"):
        tangents(layers.Dense(2), x, 1, verbose=0, turns=0)
    for share in (0, 1.5, float("nan")):
        with pytest.raises(ValueError, match=r"share must be a finite number > 0 and <= 1"):
            local_dimension(layers.Dense(2), x, share, verbose=0)
    with pytest.raises(ValueError, match=r"tangents must be orthonormal .* off by up to 3"):
        contraction_profile(layers.Dense(2), x, np.full((2, 1, 3), 2 / 3**0.5), verbose=0)
    for shape in ((2, 3), (1, 1, 3), (2, 1, 4), (2, 3, 3), (2, 0, 3)):
        with pytest.raises(ValueError, match=r"tangents must have shape \(n, k, \*input_shape\)"):
            contraction_profile(layers.Dense(2), x, np.zeros(shape), verbose=0)
