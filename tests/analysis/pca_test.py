import keras
import numpy as np
import pytest
from scipy.linalg import subspace_angles
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

import keras_ae
from keras_ae.analysis import pca_agreement

SPREAD = np.array([5, 4, 3, 1, 0.7, 0.5, 0.3, 0.2])
X = (np.random.default_rng(0).normal(size=(300, 8)) * SPREAD + 2).astype("float32")


def linear(encoder, decoder, offset=0.0):
    """`r(x) = (x encoder) decoder + offset`."""
    units, features = decoder.shape
    parts = [keras.layers.Dense(units, use_bias=False), keras.layers.Dense(features)]
    model = keras_ae.Autoencoder(*parts)
    model.build((None, features))
    parts[0].kernel.assign(encoder)
    parts[1].set_weights([decoder, np.broadcast_to(offset, features)])
    return model


def test_agrees_with_scikit_learn_and_scipy():
    generator = np.random.default_rng(1)
    encoder, decoder = generator.normal(size=(8, 3)), generator.normal(size=(3, 8))
    angles, excess = pca_agreement(linear(encoder, decoder, offset=3.0), X)
    pca = PCA(3).fit(X)
    expected = np.degrees(subspace_angles(decoder.T, pca.components_.T))
    np.testing.assert_allclose(angles, expected, atol=1e-3)
    best = np.mean((pca.inverse_transform(pca.transform(X)) - X) ** 2)
    error = np.mean((X @ encoder @ decoder + 3.0 - X) ** 2)
    assert excess == pytest.approx(error / best - 1, rel=1e-4)


@pytest.mark.parametrize("angle", [0.0, 1e-3, 0.5, 30, 60, 90])
def test_an_autoencoder_turned_away_from_pca(angle):
    """One decoder row is turned towards a minor component; the units are mixed besides."""
    pca = PCA(8).fit(X.astype("float64"))
    rows, radians = pca.components_[:3].copy(), np.radians(angle)
    rows[1] = np.cos(radians) * rows[1] + np.sin(radians) * pca.components_[5]
    mix = np.random.default_rng(2).normal(size=(3, 3))
    model = linear(rows.T @ np.linalg.inv(mix), mix @ rows, pca.mean_ - pca.mean_ @ rows.T @ rows)
    agreement = pca_agreement(model, X)
    np.testing.assert_allclose(agreement.angles, [angle, 0, 0], atol=1e-4)
    variances = pca.explained_variance_
    lost = (variances[1] - variances[5]) * np.sin(radians) ** 2 / variances[3:].sum()
    assert agreement.excess_error == pytest.approx(lost, rel=1e-4, abs=1e-5)


def test_a_trained_linear_autoencoder_finds_the_components_of_digits():
    x = load_digits().data.astype("float32") / 16
    model = keras_ae.Autoencoder(keras.layers.Dense(4), keras.layers.Dense(64))
    rate = keras.optimizers.schedules.CosineDecay(0.05, 1800)
    model.compile(keras.optimizers.Adam(rate), "mse", steps_per_execution=60)
    before = pca_agreement(model, x)
    model.fit(np.tile(x, (100, 1)), epochs=3, batch_size=300, verbose=0)
    after = pca_agreement(model, x)
    assert before.angles.max() > 45
    assert before.excess_error > 1
    assert after.angles.max() < 1
    assert 0 <= after.excess_error < 1e-3


def test_images_integers_and_deep_decoders():
    x = np.random.default_rng(3).integers(0, 9, (200, 2, 3, 1))
    flat = x.reshape(200, 6)
    dense = [keras.layers.Dense(units) for units in (4, 5, 6)]
    decoder = keras.Sequential([dense[1], keras.layers.BatchNormalization(), dense[2]])
    decoder.add(keras.layers.Reshape((2, 3, 1)))
    # The encoder may be of any kind.
    encoder = keras.Sequential([keras.layers.Flatten(), dense[0], keras.layers.ReLU()])
    model = keras_ae.Autoencoder(encoder, decoder, keras_ae.GaussianCorruption(9.0))
    angles, excess = pca_agreement(model, x, batch_size=64)
    pca = PCA(4).fit(flat)
    moves = dense[1].kernel.numpy() @ dense[2].kernel.numpy()
    expected = np.degrees(subspace_angles(moves.T, pca.components_.T))
    np.testing.assert_allclose(angles, expected, atol=1e-3)
    error = np.mean((model.reconstruct(x) - x) ** 2)
    best = np.mean((pca.inverse_transform(pca.transform(flat)) - flat) ** 2)
    assert excess == pytest.approx(error / best - 1, rel=1e-4)


def test_units_that_do_the_same_count_once():
    decoder = np.random.default_rng(4).normal(size=(3, 8))
    decoder[2] = 2 * decoder[0]
    angles, _ = pca_agreement(linear(np.ones((8, 3)), decoder), X)
    expected = subspace_angles(decoder[:2].T, PCA(2).fit(X).components_.T)
    np.testing.assert_allclose(angles, np.degrees(expected), atol=1e-3)


def with_decoder(*layers):
    return keras_ae.Autoencoder(keras.layers.Dense(3), keras.Sequential(list(layers)))


def shifted(activation, scale):
    """Far from a bend, or with little weight on it: affine at first sight."""
    kernel = keras.initializers.RandomNormal(stddev=scale, seed=0)
    return keras.layers.Dense(8, activation, kernel_initializer=kernel, bias_initializer="ones")


@pytest.mark.parametrize(
    "layer",
    [
        *(shifted(name, scale) for name in ("sigmoid", "tanh", "relu") for scale in (1, 0.02)),
        shifted("leaky_relu", 1),
        shifted("exponential", 1e-2),
        keras.layers.Dense(8, lambda x: x + 0.1 * keras.ops.sin(x)),
        keras.layers.Dense(8, lambda x: 1000 + keras.ops.sigmoid(x)),
    ],
)
def test_refuses_a_decoder_that_is_not_affine(layer):
    with pytest.raises(ValueError, match=r"must have an affine decoder, W h \+ c\. Received: one"):
        pca_agreement(with_decoder(layer), X)


def test_refuses_a_decoder_that_ignores_the_code():
    with pytest.raises(ValueError, match=r"depends on the code\. Received: one .* constant"):
        pca_agreement(with_decoder(keras.layers.Dense(8, kernel_initializer="zeros")), X)


@pytest.mark.parametrize(
    "x", [X[:3], X[:1], np.ones((9, 8)), X[:, :1] * np.ones(8), X * (np.arange(8) < 3)]
)
def test_refuses_data_that_the_decoder_can_span(x):
    with pytest.raises(ValueError, match="x must vary in more than the 3 directions that the dec"):
        pca_agreement(with_decoder(keras.layers.Dense(8)), x)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"autoencoder": keras.layers.Dense(8)}, "autoencoder must be a keras_ae.Autoencoder. Rec"),
        ({"autoencoder": None}, "autoencoder must be a keras_ae.Autoencoder. Received: .*=None"),
        ({"x": X[:0]}, r"x must have the shape \(n, ...\), n >= 1, .* x with shape=\(0, 8\)"),
        ({"x": X[:, :7]}, r"shape \(n, ...\), .* shape=\(300, 7\), reconstr.* shape=\(300, 8\)"),
        ({"x": X * np.nan}, "x must be finite. Received: x with 2400 NaN or infinite values"),
        ({"x": "x"}, "x must be an array of numbers with one example a row"),
        ({"batch_size": 0}, "batch_size must be an integer >= 1. Received: batch_size=0"),
    ],
)
def test_refuses_bad_arguments(changes, message):
    with pytest.raises(ValueError, match=message):
        pca_agreement(**{"autoencoder": with_decoder(keras.layers.Dense(8)), "x": X, **changes})
