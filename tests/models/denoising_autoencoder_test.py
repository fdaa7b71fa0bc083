import json

import keras
import numpy as np
import pytest

import keras_ae

ALPHA, BETA = 2.0, 0.25


@keras.saving.register_keras_serializable("tests")
class Blank(keras.layers.Layer):
    """A corruption whose effect is known: sets every other element of the first axis to 9."""

    def call(self, inputs, training=False):
        return keras.ops.where(pattern(inputs.shape), 9.0, inputs) if training else inputs


def pattern(shape):
    """Which elements `Blank` changes."""
    blank = np.zeros(shape[1:], bool)
    blank[::2] = True
    return blank[None]


def make(cls=keras_ae.DenoisingAutoencoder, corruption=None, shape=(20,), **kwargs):
    keras.utils.set_random_seed(3)
    corruption = Blank() if corruption is None else corruption
    if len(shape) == 1:
        encoder, decoder = keras.layers.Dense(3), keras.layers.Dense(shape[0], "sigmoid")
    else:
        encoder = keras.layers.Conv2D(2, 3, padding="same")
        decoder = keras.layers.Conv2D(shape[-1], 3, padding="same", activation="sigmoid")
    model = cls(
        keras.Sequential([keras.Input(shape), encoder]),
        keras.Sequential([keras.Input((*shape[:-1], encoder.compute_output_shape((1, *shape))[-1])),
                          decoder]),
        corruption,
        **kwargs,
    )  # fmt: skip
    model.build((None, *shape))
    return model


def by_hand(model, x, loss, sample_weight=None):
    """The emphasised loss in float64, element by element."""
    blank = np.broadcast_to(pattern(x.shape), x.shape)
    y = model.reconstruct(np.where(blank, 9, x)).astype("float64")
    x = x.astype("float64")
    each = (x - y) ** 2 if loss == "mse" else -x * np.log(y) - (1 - x) * np.log(1 - y)
    weight = np.where(blank, ALPHA, BETA)
    if sample_weight is not None:
        weight = weight * np.expand_dims(sample_weight, tuple(range(sample_weight.ndim, x.ndim)))
    return (weight * each).mean()


@pytest.mark.parametrize("loss", ["mse", "binary_crossentropy"])
@pytest.mark.parametrize(
    ("shape", "weights"),
    [((20,), None), ((20,), (11,)), ((4, 4, 2), None), ((4, 4, 2), (11,)), ((4, 4, 2), (11, 4, 4))],
    ids=str,
)
def test_is_the_emphasised_loss(shape, weights, loss):
    """11 examples in batches of 4, the last one partial: as many as an image has rows."""
    generator = np.random.default_rng(0)
    x = generator.random((11, *shape)).astype("float32")
    weights = None if weights is None else generator.random(weights).astype("float32")
    model = make(shape=shape, alpha=ALPHA, beta=BETA)
    model.compile(keras.optimizers.SGD(0.0), loss)
    history = model.fit(x, sample_weight=weights, batch_size=4, verbose=0).history
    expected = by_hand(model, x, loss, weights)
    assert history["reconstruction"][0] == pytest.approx(expected, rel=1e-5)
    assert history["loss"][0] == pytest.approx(expected, rel=1e-5)


def test_is_the_same_compiled_and_many_steps_at_a_time():
    x = np.random.default_rng(0).random((11, 20)).astype("float32")
    weights = np.random.default_rng(1).random(11).astype("float32")
    model = make(alpha=ALPHA, beta=BETA)
    model.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=True, steps_per_execution=2)
    history = model.fit(x, sample_weight=weights, batch_size=4, verbose=0).history
    assert history["loss"][0] == pytest.approx(by_hand(model, x, "mse", weights), rel=1e-5)


@pytest.mark.parametrize("weight", [1.0, 0.5])
def test_with_equal_weights_it_trains_as_an_autoencoder(images, weight):
    losses = []
    for cls, kwargs in (
        (keras_ae.Autoencoder, {}),
        (keras_ae.DenoisingAutoencoder, {"alpha": weight, "beta": weight}),
    ):
        model = make(cls, keras_ae.MaskingCorruption(0.3, seed=0), **kwargs)
        # Adam does not see the scale of a loss, apart from its epsilon.
        model.compile(keras.optimizers.Adam(0.02, epsilon=1e-12), "mse")
        history = model.fit(images, batch_size=24, epochs=5, shuffle=False, verbose=0).history
        losses.append(history["loss"])
    np.testing.assert_allclose(losses[1], weight * np.array(losses[0]), rtol=1e-5)
    assert losses[0][-1] < losses[0][0]


def test_masked_steps_do_not_count():
    """The mask of the output, as of sequences of different lengths, works as it does in Keras."""
    x = np.random.default_rng(0).random((6, 5, 4)).astype("float32")
    x[:3, 3:] = 0
    model = keras_ae.DenoisingAutoencoder(
        keras.Sequential([keras.Input((5, 4)), keras.layers.Masking(), keras.layers.Dense(3)]),
        keras.layers.Dense(4),
        keras_ae.MaskingCorruption(0.0),
        beta=BETA,
    )
    model.compile(keras.optimizers.SGD(0.0), "mse")
    loss = model.fit(x, verbose=0).history["loss"][0]
    error = ((model.reconstruct(x) - x) ** 2).mean(axis=-1)
    assert loss == pytest.approx(BETA * error[x.any(axis=-1)].mean(), rel=1e-5)


def test_the_corrupted_elements_are_those_that_changed(images):
    """Zeroes set to 0 are not corrupted, and only those that are get weight alpha."""
    x = images * (images > 0.5)
    model = make(corruption=keras_ae.MaskingCorruption(1.0), alpha=1.0, beta=0.0)
    model.compile(keras.optimizers.SGD(0.0), "mse")
    loss = model.fit(x, batch_size=64, verbose=0).history["loss"][0]
    error = (model.reconstruct(np.zeros_like(x)) - x) ** 2
    assert loss == pytest.approx((error * (x > 0)).mean(), rel=1e-5)


def test_a_corruption_of_another_precision_corrupts_what_it_changes_alone(images):
    model = make(corruption=keras_ae.MaskingCorruption(0.0, dtype="float16"), alpha=1.0, beta=0.0)
    model.compile("sgd", "mse")
    assert model.fit(images, verbose=0).history["loss"] == [0.0]


def test_targets_of_the_inputs_shape_are_targets(images):
    model = make(alpha=ALPHA, beta=BETA)
    model.compile(keras.optimizers.SGD(0.0), "mse")
    history = model.fit(images, images[::-1], shuffle=False, batch_size=64, verbose=0).history
    blank = pattern(images.shape)
    error = (model.reconstruct(np.where(blank, 9, images)) - images[::-1]) ** 2
    expected = (np.where(blank, ALPHA, BETA) * error).mean()
    assert history["loss"][0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("shape", [(64,), (64, 1), (64, 20, 1)])
def test_refuses_targets_of_another_shape(images, shape):
    model = make()
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"The target y must have the shape of the input, "):
        model.fit(images, np.resize(images, shape), verbose=0)


def test_refuses_an_output_of_another_shape(images):
    model = keras_ae.DenoisingAutoencoder(keras.layers.Dense(3), keras.layers.Dense(1), Blank())
    model.compile("sgd", "mse")
    message = r"The output must have the shape of the input, .* Received: .*, 1\)"
    with pytest.raises(ValueError, match=message):
        model.fit(images, verbose=0)


def test_outside_training_the_loss_is_the_plain_one(images):
    model = make(alpha=ALPHA, beta=BETA)
    model.compile(keras.optimizers.SGD(0.0), "mse")
    clean = ((model.reconstruct(images) - images) ** 2).mean()
    history = model.fit(images, validation_data=(images,), batch_size=24, verbose=0).history
    assert history["val_reconstruction"][0] == pytest.approx(clean, rel=1e-5)
    # A training call by hand leaves nothing behind for the next loss.
    model.run_eagerly = True
    model(images, training=True)
    evaluated = model.evaluate(images, verbose=0, return_dict=True)
    assert evaluated["loss"] == pytest.approx(clean, rel=1e-5)
    loss = model.compute_loss(images, None, model.reconstruct(images))
    assert float(loss) == pytest.approx(clean, rel=1e-5)


def test_a_loss_leaves_nothing_of_the_call_behind(images):
    """A tensor of the last trace would keep its graph alive."""
    model = make()
    model.compile("sgd", "mse")
    model.fit(images, verbose=0)
    assert model._corrupted is None


def test_trains_in_half_precision_compiled(images):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = make(alpha=ALPHA, beta=BETA)
        model.compile("adam", "mse", jit_compile=True)
        loss = model.fit(images, batch_size=64, verbose=0).history["loss"][0]
        keras.config.set_dtype_policy("float32")
        same = make(alpha=ALPHA, beta=BETA)
        assert loss == pytest.approx(by_hand(same, images, "mse"), rel=0.01)
    finally:
        keras.config.set_dtype_policy("float32")


def test_survives_saving_and_goes_on_training(images, tmp_path):
    model = make(alpha=ALPHA, beta=BETA)
    model.compile("adam", "binary_crossentropy")
    model.fit(images, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert (type(loaded), loaded.alpha, loaded.beta) == (type(model), ALPHA, BETA)
    np.testing.assert_array_equal(model.reconstruct(images), loaded.reconstruct(images))
    assert json.dumps(loaded.get_config()) == json.dumps(model.get_config())
    ours, theirs = (m.fit(images, shuffle=False, verbose=0).history for m in (model, loaded))
    assert ours["loss"] == pytest.approx(theirs["loss"], rel=1e-5)


def name_of(loss):
    """Without an address, which differs between the processes of a parallel run."""
    return loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)


def mean_of_the_batch(y, p):
    return keras.ops.mean((y - p) ** 2)


def sum_of_an_example(y, p):
    return keras.ops.sum((y - p) ** 2, axis=-1)


@pytest.mark.parametrize(
    "loss",
    [
        "cosine_similarity",
        "kl_divergence",
        "crossentropy",
        "sparse_categorical_crossentropy",
        keras.losses.Dice(),
        keras.losses.MeanSquaredError(reduction="sum"),
        keras.losses.MeanSquaredError(reduction=None),
        mean_of_the_batch,
        sum_of_an_example,
    ],
    ids=name_of,
)
def test_refuses_a_loss_that_is_not_elementwise(loss):
    message = "loss must be a mean over elements with a loss of their own.* Received: one that"
    with pytest.raises(ValueError, match=message):
        make().compile("sgd", loss)


@pytest.mark.parametrize(
    "loss",
    ["mae", "poisson", keras.losses.Huber(0.1), keras.losses.BinaryCrossentropy(from_logits=True),
     keras.losses.BinaryFocalCrossentropy(), lambda y, p: keras.ops.mean(abs(y - p) ** 3, axis=-1)],
    ids=name_of,
)  # fmt: skip
def test_takes_any_loss_that_is_elementwise(loss):
    make().compile("sgd", loss)


def test_asks_for_a_loss(images):
    model = make()
    model.compile("sgd")
    with pytest.raises(ValueError, match="compile must be given a loss"):
        model.fit(images, verbose=0)


@pytest.mark.parametrize("bad", [-1, float("nan"), float("inf"), "1", None, True])
@pytest.mark.parametrize("name", ["alpha", "beta"])
def test_refuses_bad_weights(name, bad):
    with pytest.raises(
        ValueError, match=rf"{name} must be a finite number >= 0\. .*{name}={bad!r}"
    ):
        make(**{name: bad})


def test_refuses_weights_that_are_both_zero():
    with pytest.raises(ValueError, match=r"must not both be 0\. Received: alpha=0, beta=0\.0"):
        make(alpha=0, beta=0.0)


def test_needs_a_corruption():
    dense = keras.layers.Dense(3)
    for bad in (None, 0.5):
        with pytest.raises(ValueError, match=rf"corruption must be a Keras layer .*{bad}"):
            keras_ae.DenoisingAutoencoder(dense, dense, bad)
