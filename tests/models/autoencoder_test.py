import json

import keras
import numpy as np
import pytest

import keras_ae


def make(corruption=None, decay=None, activity=None):
    hidden = keras_ae.ContractiveDense(
        6, "tanh", contraction=0.1, activity_regularizer=activity, kernel_regularizer=decay
    )
    return keras_ae.Autoencoder(
        keras.Sequential([keras.Input((20,)), hidden]),
        keras.Sequential([keras.Input((6,)), keras_ae.TiedDense(hidden, activation="sigmoid")]),
        corruption,
    )


def test_fit_without_targets_learns_the_clean_input(images):
    model = make(keras_ae.GaussianCorruption(0.05, seed=0))
    model.compile(keras.optimizers.Adam(0.02), "mse", metrics=["mae"])
    history = model.fit(images, epochs=30, batch_size=16, verbose=0).history
    assert history["reconstruction"][-1] < 0.5 * history["reconstruction"][0]
    error = np.abs(model.reconstruct(images) - images).mean()
    assert model.evaluate(images, verbose=0, return_dict=True)["mae"] == pytest.approx(error)


def test_fit_with_the_input_as_target_is_the_same(images):
    losses = []
    for y in ((), (images,)):
        keras.utils.set_random_seed(0)
        model = make()
        model.compile("adam", "mse")
        losses.append(model.fit(images, *y, epochs=2, verbose=0, shuffle=False).history["loss"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-6)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_every_term_shows_by_name_and_they_add_up(images, jit_compile):
    model = make(
        decay=keras.regularizers.L2(0.01), activity=keras_ae.LaplaceActivityRegularizer(0.1)
    )
    model.compile("adam", "mse", jit_compile=jit_compile)
    history = model.fit(images, validation_data=(images,), verbose=0).history
    terms = {"reconstruction", "contraction", "sparsity", "regularization"}
    assert set(history) == {"loss", *terms, "val_loss"} | {
        f"val_{name}" for name in terms - {"contraction"}
    }
    assert history["loss"][0] == pytest.approx(sum(history[name][0] for name in terms), rel=1e-5)
    assert all(history[name][0] > 0 for name in terms)


def test_terms_are_what_they_are_called(images):
    model = make(decay=keras.regularizers.L2(0.01), activity=keras.regularizers.L1(0.5))
    model.compile(keras.optimizers.SGD(0.0), "mse")
    history = model.fit(images, batch_size=64, verbose=0).history
    kernel = model.encoder.layers[0].kernel.numpy()
    h = np.tanh(images @ kernel)
    contraction = 0.1 * ((1 - h**2) ** 2 @ (kernel**2).sum(axis=0)).mean()
    regularization = 0.5 * np.abs(h).sum(axis=1).mean() + 0.01 * (kernel**2).sum()
    assert history["contraction"][0] == pytest.approx(contraction, rel=1e-4)
    assert history["regularization"][0] == pytest.approx(regularization, rel=1e-4)


def test_encode_decode_and_reconstruct_are_the_parts_without_noise(images):
    model = make(keras_ae.GaussianCorruption(1.0))
    code = model.encode(images, batch_size=10)
    np.testing.assert_allclose(code, model.encoder(images), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(model.decode(code), model.reconstruct(images), rtol=1e-5)
    np.testing.assert_allclose(
        model.predict(images, verbose=0), model.reconstruct(images), rtol=1e-5
    )
    assert model.encode(images[:0]).shape == (0, 6)


def test_integers_are_taken_as_numbers():
    model = make()
    pixels = np.random.default_rng(0).integers(0, 2, (3, 20), dtype=np.uint8)
    np.testing.assert_array_equal(model.encode(pixels), model.encode(pixels.astype("float32")))


def test_survives_saving_and_goes_on_training(images, tmp_path):
    model = make(keras_ae.GaussianCorruption(0.1, seed=4))
    model.compile("adam", "mse")
    model.fit(images, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(model.reconstruct(images), loaded.reconstruct(images))
    # By way of JSON, which turns tuples into lists.
    assert json.dumps(loaded.get_config()) == json.dumps(model.get_config())
    assert set(loaded.fit(images, verbose=0).history) == {"loss", "reconstruction", "contraction"}


def test_a_convolutional_encoder_works(tmp_path):
    model = keras_ae.Autoencoder(
        keras.Sequential([keras.layers.Conv2D(2, 3, 2, "same", activation="relu")]),
        keras.Sequential([keras.layers.Conv2DTranspose(1, 3, 2, "same")]),
        keras_ae.GaussianCorruption(0.1),
    )
    x = np.random.default_rng(0).random((9, 8, 8, 1)).astype("float32")
    model.compile("adam", "mse")
    model.fit(x, batch_size=4, verbose=0)
    assert model.encode(x).shape == (9, 4, 4, 2)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(model.reconstruct(x), loaded.reconstruct(x))


@pytest.mark.parametrize("method", ["encode", "decode", "reconstruct"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_refuses_what_is_not_finite(images, method, bad):
    x = np.zeros((3, 6 if method == "decode" else 20), "float32")
    x[1, 2] = bad
    with pytest.raises(ValueError, match=r"must be finite\. Received: .* with 1 NaN or infinite"):
        getattr(make(), method)(x)


def test_refuses_what_are_not_numbers():
    with pytest.raises(ValueError, match="x must be an array of numbers"):
        make().encode(np.array([["a"]]))
    with pytest.raises(ValueError, match=r"batch_size must be an integer >= 1\. .*batch_size=0"):
        make().encode(np.zeros((1, 20)), batch_size=0)


def test_refuses_bad_parts():
    dense = keras.layers.Dense(3)
    with pytest.raises(ValueError, match=r"encoder must be a Keras layer or model\. .*encoder=3"):
        keras_ae.Autoencoder(3, dense)
    with pytest.raises(ValueError, match=r"decoder must be a Keras layer or model\. .*None"):
        keras_ae.Autoencoder(dense, None)
    with pytest.raises(ValueError, match=r"corruption must be a Keras layer or model or None"):
        keras_ae.Autoencoder(dense, dense, 0.1)


def test_asks_for_a_loss(images):
    model = make()
    model.compile("adam")
    with pytest.raises(ValueError, match="compile must be given a loss"):
        model.fit(images, verbose=0)
