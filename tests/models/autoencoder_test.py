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
    # 64 examples in batches of 24: the last one is partial.
    history = model.fit(images, batch_size=24, validation_data=(images,), verbose=0).history
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


def test_weights_of_examples_count_with_and_without_targets(images):
    weights = np.random.default_rng(0).random(64).astype("float32")
    error = ((make_linear().reconstruct(images) - images) ** 2).mean(axis=1)
    for y in (None, images):
        model = make_linear()
        model.compile(keras.optimizers.SGD(0.0), "mse")
        history = model.fit(images, y, sample_weight=weights, batch_size=64, verbose=0).history
        assert history["loss"][0] == pytest.approx((weights * error).mean(), rel=1e-4)
        value = model.evaluate(images, y, 64, sample_weight=weights, verbose=0, return_dict=True)
        assert value["loss"] == pytest.approx((weights * error).mean(), rel=1e-4)


def make_linear():
    keras.utils.set_random_seed(3)
    return keras_ae.Autoencoder(
        keras.Sequential([keras.Input((20,)), keras.layers.Dense(3)]),
        keras.Sequential([keras.Input((3,)), keras.layers.Dense(20)]),
    )


class Part(keras.layers.Layer):
    """A subclassed part that builds when it is called and adds a loss of its own."""

    def __init__(self, units, loss=0.0):
        super().__init__()
        self.dense = keras.layers.Dense(units, kernel_regularizer=keras.regularizers.L2(0.01))
        self.loss = loss

    def call(self, inputs):
        if self.loss:
            self.add_loss(self.loss + 0 * keras.ops.sum(inputs))
        return self.dense(inputs)


def test_subclassed_parts_build_and_their_losses_have_a_name(images):
    model = keras_ae.Autoencoder(Part(4, loss=0.5), Part(20))
    model.compile(keras.optimizers.SGD(0.0), "mse")
    history = model.fit(images, verbose=0).history
    assert set(history) == {"loss", "reconstruction", "regularization"}
    kernels = [part.dense.kernel.numpy() for part in (model.encoder, model.decoder)]
    expected = 0.5 + 0.01 * sum((kernel**2).sum() for kernel in kernels)
    assert history["regularization"][0] == pytest.approx(expected, rel=1e-4)
    assert history["loss"][0] == pytest.approx(
        history["reconstruction"][0] + history["regularization"][0], rel=1e-5
    )


def test_no_contraction_leaves_the_other_names_right(images):
    hidden = keras_ae.ContractiveDense(
        4, contraction=0.0, activity_regularizer=keras_ae.LaplaceActivityRegularizer(0.5)
    )
    model = keras_ae.Autoencoder(
        keras.Sequential([keras.Input((20,)), hidden]), keras.layers.Dense(20)
    )
    model.compile(keras.optimizers.SGD(0.0), "mse")
    history = model.fit(images, verbose=0, batch_size=64).history
    expected = 0.5 * np.abs(model.encode(images)).sum(axis=1).mean()
    assert history["sparsity"][0] == pytest.approx(expected, rel=1e-4)
    assert "contraction" not in history


def test_parts_that_are_built_already_may_be_built_again(images):
    noise = keras.Sequential([keras.Input((20,)), keras.layers.GaussianNoise(0.1)])
    model = keras_ae.Autoencoder(
        keras.Sequential([keras.Input((20,)), keras.layers.Dense(4)]), keras.layers.Dense(20), noise
    )
    model.compile("adam", "mse")
    model.fit(images, verbose=0)
    model.build((None, 20))
    assert set(model.fit(images, verbose=0).history) == {"loss", "reconstruction"}


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_codes_can_be_decoded(images, policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = make()
        np.testing.assert_allclose(
            model.decode(model.encode(images)), model.reconstruct(images), atol=0.02
        )
        with pytest.raises(ValueError, match="x must be numbers that the model computes with"):
            model.encode(np.full((2, 20), 1e300))
    finally:
        keras.config.set_dtype_policy("float32")


def test_refuses_an_encoder_of_several_outputs():
    inputs = keras.Input((20,))
    encoder = keras.Model(inputs, [keras.layers.Dense(3)(inputs), keras.layers.Dense(3)(inputs)])
    with pytest.raises(ValueError, match="encoder must return one tensor"):
        keras_ae.Autoencoder(encoder, keras.layers.Dense(20)).build((None, 20))


@pytest.mark.parametrize("shape", [(20,), (3, 19), (3, 20, 1)])
def test_refuses_an_input_of_another_shape(shape):
    with pytest.raises(ValueError, match=r"x must have the shape \(None, 20\), one example a row"):
        make().encode(np.zeros(shape))


class Shift(keras.layers.Layer):
    """A corruption whose effect is known: adds 1 in training."""

    def call(self, inputs, training=False):
        return inputs + 1.0 if training else inputs


@pytest.mark.parametrize("cls", [keras_ae.Autoencoder, keras_ae.SemanticHasher])
def test_the_corrupted_input_is_mapped_to_the_clean_one(images, cls):
    encoder = keras.Sequential([keras.Input((20,)), keras.layers.Dense(8, name="logits")])
    decoder = keras.Sequential([keras.Input((8,)), keras.layers.Dense(20)])
    options = {"bits": 8} if cls is keras_ae.SemanticHasher else {}
    model = cls(encoder, decoder, corruption=Shift(), **options)
    model.compile(keras.optimizers.SGD(0.0), "mse")
    history = model.fit(images, validation_data=(images,), batch_size=64, verbose=0).history
    noisy = ((model.reconstruct(images + 1) - images) ** 2).mean()
    clean = ((model.reconstruct(images) - images) ** 2).mean()
    assert history["reconstruction"][0] == pytest.approx(noisy, rel=1e-4)
    assert history["val_reconstruction"][0] == pytest.approx(clean, rel=1e-4)
    assert abs(noisy - clean) > 1e-3


def code_metrics():
    return [
        keras_ae.metrics.L0(0.1),
        keras_ae.metrics.DeadFraction(0.1),
        keras_ae.metrics.Saturation(-0.3, 0.3),
    ]


def of_code(code):
    return {
        "l0": pytest.approx((np.abs(code) > 0.1).sum(axis=1).mean(), rel=1e-5),
        "dead_fraction": pytest.approx((code <= 0.1).all(axis=0).mean(), rel=1e-5),
        "saturation": pytest.approx((np.abs(code) > 0.3).mean(), rel=1e-5),
    }


@pytest.mark.parametrize("jit_compile", [False, True])
def test_metrics_of_the_code_show_like_others(images, jit_compile, tmp_path):
    """They see the code of the clean input: `Shift` would move it far."""
    model = make(Shift(), activity=keras_ae.LaplaceActivityRegularizer(0.1))
    model.compile(
        keras.optimizers.SGD(0.0), "mse", jit_compile=jit_compile, code_metrics=code_metrics()
    )
    expected = of_code(model.encode(images))
    # 64 examples in batches of 24: the last one is partial.
    logs = model.evaluate(images, batch_size=24, verbose=0, return_dict=True)
    assert {name: logs[name] for name in expected} == expected
    history = model.fit(
        images, batch_size=24, epochs=2, validation_data=(images[:40],), verbose=0
    ).history
    assert set(expected) | {f"val_{name}" for name in expected} < set(history)
    validation = of_code(model.encode(images[:40]))
    assert validation != expected
    for epoch in range(2):
        assert {name: history[name][epoch] for name in expected} == expected
        assert {name: history[f"val_{name}"][epoch] for name in expected} == validation
    # The pass that they take leaves the loss as it is.
    plain = make(Shift(), activity=keras_ae.LaplaceActivityRegularizer(0.1))
    plain.set_weights(model.get_weights())
    plain.compile(keras.optimizers.SGD(0.0), "mse")
    losses = plain.fit(images, batch_size=24, epochs=2, verbose=0).history["loss"]
    np.testing.assert_allclose(history["loss"], losses, rtol=1e-5)


def test_metrics_of_the_code_survive_saving(images, tmp_path):
    model = make()
    model.compile("adam", "mse", metrics=["mae"], code_metrics=code_metrics())
    model.fit(images, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.get_compile_config() == model.get_compile_config()
    ours, theirs = (m.evaluate(images, verbose=0, return_dict=True) for m in (model, loaded))
    assert ours == pytest.approx(theirs)
    assert set(of_code(model.encode(images))) < set(ours)
    # The optimizer went on where it was.
    assert int(loaded.optimizer.iterations) == int(model.optimizer.iterations) > 0
    assert len(loaded.optimizer.variables) == len(model.optimizer.variables)
    assert set(loaded.fit(images, verbose=0).history) == set(model.fit(images, verbose=0).history)


def test_a_model_without_metrics_of_the_code_is_saved_as_by_keras(images, tmp_path):
    model = make()
    model.build((None, 20))
    assert model.get_compile_config() == {}
    model.save(tmp_path / "model.keras")
    assert not keras.models.load_model(tmp_path / "model.keras").compiled
    model.compile("adam", "mse")
    assert "code_metrics" not in model.get_compile_config()


def test_compiling_again_replaces_the_metrics_of_the_code(images):
    model = make()
    model.compile("adam", "mse", code_metrics=code_metrics())
    model.fit(images, verbose=0)
    model.compile("adam", "mse", code_metrics=[keras_ae.metrics.L0()])
    assert set(model.fit(images, verbose=0).history) == {
        "loss",
        "reconstruction",
        "contraction",
        "l0",
    }
    assert [metric.name for metric in model.metrics].count("l0") == 1
    model.compile("adam", "mse")
    assert "l0" not in model.fit(images, verbose=0).history


def test_metrics_of_the_code_are_given_the_input_and_the_weights(images):
    weights = np.random.default_rng(0).random(64).astype("float32")
    linear = keras_ae.Autoencoder(keras.layers.Dense(20), keras.layers.Dense(20))
    linear.compile(
        keras.optimizers.SGD(0.0),
        "mse",
        code_metrics=[keras_ae.metrics.NormalizedMeanSquaredError("nmse")],
    )
    history = linear.fit(images, sample_weight=weights, batch_size=24, verbose=0).history
    mean = np.average(images, axis=0, weights=weights)
    error, worst = (
        weights @ ((images - x) ** 2).sum(axis=1) for x in (linear.encode(images), mean)
    )
    assert history["nmse"][0] == pytest.approx(error / worst, rel=1e-4)


def test_metrics_of_the_code_of_a_hasher_are_of_its_logits(images):
    model = keras_ae.SemanticHasher.dense(20, (8,), 16)
    model.compile("adam", "mse", code_metrics=code_metrics())
    logs = model.evaluate(images, verbose=0, return_dict=True)
    expected = of_code(model.logits(images))
    assert {name: logs[name] for name in expected} == expected


def test_the_arguments_of_compile_keep_their_places(images):
    model = make()
    model.compile("adam", "mse", None, ["mae"], code_metrics=code_metrics())
    assert {"mae", "l0"} < set(model.evaluate(images, verbose=0, return_dict=True))


@pytest.mark.parametrize("bad", ["l0", keras_ae.metrics.L0(), [keras_ae.metrics.L0(), "mae"], [3]])
def test_refuses_what_are_not_metrics_of_the_code(bad):
    with pytest.raises(ValueError, match="code_metrics must be a list of"):
        make().compile("adam", "mse", code_metrics=bad)


@pytest.mark.parametrize("name", ["loss", "reconstruction", "contraction", "mae", "l0"])
@pytest.mark.parametrize("built", [False, True])
def test_refuses_metrics_of_the_code_with_a_name_that_is_taken(images, name, built):
    model = make()
    if built:
        model.build((None, 20))
    with pytest.raises(ValueError, match=rf"code_metrics must have names .*name='{name}'"):  # noqa: PT012
        model.compile(
            "adam",
            "mse",
            metrics=["mae"],
            code_metrics=[keras_ae.metrics.L0(), keras_ae.metrics.L0(name=name)],
        )
        model.fit(images, verbose=0)
