import json

import keras
import numpy as np
import pytest
from backends import value_and_gradients

import keras_ae

ACTIVATIONS = {
    "top_k": lambda: keras_ae.TopK(3),
    "batch_top_k": lambda: keras_ae.BatchTopK(3),
    "jump_relu": lambda: keras_ae.JumpReLU(0.2, sparsity=1e-3),
    "gated_relu": lambda: keras_ae.GatedReLU(1e-3),
    "laplace": lambda: keras.layers.ReLU(
        activity_regularizer=keras_ae.LaplaceActivityRegularizer(1e-3)
    ),
}


def make(name="top_k", **kwargs):
    options = {"dead_after": 50, **kwargs}
    model = keras_ae.SparseAutoencoder(20, 32, ACTIVATIONS[name](), **options)
    model.compile(keras.optimizers.Adam(0.01), "mse")
    return model


def with_dead(dead, name="top_k", **kwargs):
    """A model with a bias everywhere, of which the units `dead` count as dead."""
    model = make(name, dead_after=1000, **kwargs)
    generator = np.random.default_rng(3)
    model.decoder_layer.bias.assign(generator.normal(size=20))
    bias = generator.normal(1.5, 0.2, size=32)
    bias[dead] -= 1.5
    model.encoder_layer.bias.assign(bias)
    idle = np.zeros(32, int)
    idle[dead] = 1000
    model.idle.assign(idle)
    return model


def weights_of(model):
    encoder, decoder = model.encoder_layer, model.decoder_layer
    return [w.numpy() for w in (encoder.kernel, encoder.bias, decoder.kernel, decoder.bias)]


def top(p, k):
    """Relu'd k largest of each row, by sorting."""
    a = np.zeros_like(p)
    for row, source in zip(a, p, strict=True):
        for index in np.argsort(-source, kind="stable")[:k]:
            row[index] = max(source[index], 0)
    return a


def revival_by_hand(model, x, dead, revival_units):
    """The residual of the model, and its reconstruction by dead units alone, example by example."""
    kernel, bias, atoms, offset = weights_of(model)
    p = x @ kernel + bias
    residual = x - (top(p, 3) @ atoms + offset)
    a = top(p[:, dead], revival_units)
    assert 0 < (a > 0).sum(axis=1).mean() < len(dead)
    estimate = a @ atoms[dead]
    fits = [
        np.linalg.lstsq(row[:, None], target)[0][0]
        for row, target in zip(estimate, residual, strict=True)
    ]
    return residual, np.clip(fits, 0, 1)[:, None] * estimate


# Their bias is low, so that none of them is on for an image.
DEAD = [1, 4, 9, 16, 25, 30]


@pytest.mark.parametrize("revival_units", [2, 10])
def test_revival_is_the_error_of_the_residual_by_dead_units(images, revival_units):
    model = with_dead(DEAD, revival=0.5, revival_units=revival_units)
    assert not model.encode(images)[:, DEAD].any()
    residual, estimate = revival_by_hand(model, images, DEAD, revival_units)
    expected = 0.5 * ((residual - estimate) ** 2).mean()
    model(images, training=True)
    (actual,) = model.losses
    assert float(actual) == pytest.approx(expected, rel=1e-5)
    # The bias is part of the reconstruction already.
    twice = 0.5 * ((residual - estimate - model.decoder_layer.bias.numpy()) ** 2).mean()
    assert abs(twice - expected) > 0.1 * expected


def test_revival_turns_units_that_overshoot_and_does_not_shrink_them():
    """A loss that is the same for units half as large has no gradient along their size."""
    model = with_dead(DEAD)
    generator = np.random.default_rng(0)
    p = np.abs(generator.normal(size=(8, 32))).astype("float32")
    small = 1e-2 * generator.normal(size=(8, 20)).astype("float32")
    whole, half = (float(model._revival(size * p, small)) for size in (1.0, 0.5))
    assert half == pytest.approx(whole, rel=1e-5)
    # Where they fall short, they grow.
    large = p @ model.decoder_layer.kernel.numpy() * 10
    whole, half = (float(model._revival(size * p, large)) for size in (1.0, 0.5))
    assert whole < 0.99 * half


def test_revival_reaches_dead_units_alone(images):
    model = with_dead(DEAD)
    variables = [*model.encoder_layer.weights, *model.decoder_layer.weights]

    def revival():
        model(images, training=True)
        (loss,) = model.losses
        return loss

    _, (columns, biases, rows, offset) = value_and_gradients(revival, *variables)
    reached = [np.any(columns, axis=0), biases != 0, np.any(rows, axis=1)]
    alive = np.setdiff1d(np.arange(32), DEAD)
    for units in reached:
        assert not units[alive].any()
        assert units[DEAD].any()
    assert not offset.any()


def test_revival_is_0_when_no_unit_is_dead(images):
    model = with_dead([])
    model(images, training=True)
    assert float(model.losses[0]) == 0
    model(images)
    assert model.losses == []


@pytest.mark.parametrize("jit_compile", [False, True])
def test_counts_examples_since_a_unit_was_on_in_training(jit_compile):
    """Batches of 4, 4 and 2."""
    x = np.random.default_rng(0).normal(size=(10, 20)).astype("float32")
    model = make(dead_after=9)
    model.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=jit_compile)
    model(x)
    assert not model.idle.numpy().any()
    model.fit(x, batch_size=4, shuffle=False, verbose=0)
    on = model.encode(x) > 0
    expected = np.zeros(32, int)
    for batch in (on[:4], on[4:8], on[8:]):
        expected = np.where(batch.any(axis=0), 0, expected + len(batch))
    assert set(expected) == {0, 2, 6, 10}
    np.testing.assert_array_equal(model.idle, np.minimum(expected, 9))


def test_dead_units_come_to_life():
    x = np.random.default_rng(0).normal(size=(128, 20)).astype("float32")
    on = {}
    for revival in (0.0, 1 / 32):
        keras.utils.set_random_seed(0)
        model = make(revival=revival)
        model.encoder_layer.bias.assign(np.where(np.arange(32) < 16, -2.0, 0.0))
        model.fit(np.tile(x, (100, 1)), batch_size=128, verbose=0)
        on[revival] = (model.encode(x) > 0).any(axis=0).sum()
    assert on[0.0] < 24
    assert on[1 / 32] > on[0.0] + 5


def test_gate_is_the_reconstruction_from_the_gates_by_a_frozen_decoder(images):
    model = with_dead([], "gated_relu", revival=0.0)
    model.activation.log_scale.assign(np.linspace(-1, 1, 32))

    def gate():
        model(images, training=True)
        terms = model.penalty_losses(training=True)
        assert set(terms) == {"gate", "sparsity"}
        return terms["gate"]

    variables = [model.encoder_layer.kernel, *model.decoder_layer.weights]
    value, (of_encoder, *of_decoder) = value_and_gradients(gate, *variables)
    kernel, bias, atoms, offset = weights_of(model)
    gates = np.maximum(images @ kernel + bias, 0)
    expected = ((images - (gates @ atoms + offset)) ** 2).mean()
    assert value == pytest.approx(expected, rel=1e-5)
    assert not any(gradient.any() for gradient in of_decoder)
    assert of_encoder.any()


@pytest.mark.parametrize("name", ["top_k", "jump_relu", "gated_relu", "laplace"])
def test_every_term_shows_by_name_and_they_add_up(images, name):
    model = make(name)
    history = model.fit(images, batch_size=24, validation_data=(images,), verbose=0).history
    terms = {"reconstruction", "revival"}
    terms |= set() if name == "top_k" else {"sparsity"}
    terms |= {"gate"} if name == "gated_relu" else set()
    shown = {"val_loss", "val_reconstruction"} | ({"val_sparsity"} if name == "laplace" else set())
    assert set(history) == {"loss", *terms} | shown
    assert history["loss"][0] == pytest.approx(sum(history[term][0] for term in terms), rel=1e-5)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_learns_with_atoms_of_length_1(images, policy):
    keras.config.set_dtype_policy(policy)
    try:
        model = make()
        before = model.encoder_layer.kernel.numpy(), model.decoder_layer.kernel.numpy()
        np.testing.assert_array_equal(before[0], before[1].T)
        history = model.fit(images, epochs=20, batch_size=16, verbose=0).history["reconstruction"]
        code = model.encode(images)
    finally:
        keras.config.set_dtype_policy("float32")
    assert history[-1] < 0.3 * history[0]
    assert code.dtype == {"float32": np.float32, "mixed_float16": np.float16}[policy]
    after = model.decoder_layer.kernel.numpy()
    assert not np.array_equal(before[1], after)
    for atoms in (before[1], after):
        np.testing.assert_allclose(np.linalg.norm(atoms, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("name", ["batch_top_k", "gated_relu", "laplace"])
def test_survives_saving_and_goes_on_training(images, name, tmp_path):
    schedule = keras.optimizers.schedules.PolynomialDecay(0.0, 10, 1.0)
    model = make(name, sparsity_schedule=schedule, revival=0.1, revival_units=5, dead_after=7)
    model.fit(images, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    for ours, theirs in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(model.encode(images), loaded.encode(images))
    np.testing.assert_array_equal(model.reconstruct(images), loaded.reconstruct(images))
    # By way of JSON, which turns tuples into lists.
    assert json.dumps(loaded.get_config()) == json.dumps(model.get_config())
    assert (loaded.revival, loaded.revival_units, loaded.dead_after) == (0.1, 5, 7)
    again = {"loss", "reconstruction", "revival"}
    assert set(loaded.fit(images, verbose=0).history) >= again


@pytest.mark.parametrize("name", ["jump_relu", "gated_relu", "laplace"])
def test_the_schedule_multiplies_sparsity_in_training_alone(images, name):
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay([0], [0.25, 0.5])
    values = {}
    for given in (None, schedule):
        keras.utils.set_random_seed(0)
        model = make(name, sparsity_schedule=given)
        model.compile(keras.optimizers.SGD(0.0), "mse")
        fit = {"epochs": 2, "batch_size": 64, "shuffle": False, "verbose": 0}
        history = model.fit(images, validation_data=(images,), **fit).history
        values[given] = np.array(history["sparsity"] + history.get("val_sparsity", []))
        total = history["loss"][1]
        terms = {"reconstruction", "revival", "sparsity", "gate"} & set(history)
        assert total == pytest.approx(sum(history[term][1] for term in terms), rel=1e-5)
    # The first step is at iteration 0, the second at 1; validation is as without.
    factors = [0.25, 0.5] + ([1, 1] if name == "laplace" else [])
    np.testing.assert_allclose(values[schedule], factors * values[None], rtol=1e-5)
    assert values[None].all()


def test_encode_and_decode(images):
    model = make()
    code = model.encode(images)
    assert code.shape == (64, 32)
    np.testing.assert_allclose(model.decode(code), model.reconstruct(images), rtol=1e-5)


@pytest.mark.tensorflow
def test_export(images, tmp_path):
    model = make()
    result = keras_ae.export.to_tflite(model, tmp_path / "model.tflite", images)
    assert result.signatures == ("encode",)
    assert result.parity.max_abs_error < 1e-5


def test_restart_replaces_the_weights_of_units_and_the_memory_of_them(images):
    model = make("jump_relu")
    model.fit(images, verbose=0)
    units, others = [3, 8], np.setdiff1d(np.arange(32), [3, 8])
    directions = 7 * np.random.default_rng(0).normal(size=(2, 20))

    def parts():
        """Every array that has units, with the units first."""
        by_name = {v.path: v.numpy() for v in [*model.weights, *model.optimizer.variables]}
        return {k: v.T if v.shape == (20, 32) else v for k, v in by_name.items() if 32 in v.shape}

    before = parts()
    model.idle.assign([50] * 32)
    model.restart(np.array(units), directions)
    after = parts()
    memories = [path for path in before if "adam" in path]
    assert len(memories) == 2 * 4
    for path in memories:
        assert before[path][others].any()
        assert not after[path][units].any()
    for path in set(before) - {model.idle.path}:
        np.testing.assert_array_equal(before[path][others], after[path][others])
    np.testing.assert_array_equal(model.idle.numpy() == 50, ~np.isin(np.arange(32), units))
    kernel, bias, atoms, _ = weights_of(model)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    length = 0.2 * np.linalg.norm(kernel[:, others], axis=0).mean()
    np.testing.assert_allclose(atoms[units], directions, rtol=1e-5)
    np.testing.assert_allclose(kernel[:, units], length * directions.T, rtol=1e-5)
    assert not bias[units].any()
    np.testing.assert_allclose(np.exp(model.activation.log_threshold)[units], 0.2, rtol=1e-5)


def test_restart_starts_the_running_average_of_weights_anew(images):
    model = make()
    model.compile(keras.optimizers.Adam(0.01, use_ema=True), "mse")
    model.fit(images, verbose=0)
    model.restart(np.array([3]), images[:1])
    (average,) = (
        v for v in model.optimizer.variables if v.name.endswith("reconstruction_kernel_average")
    )
    np.testing.assert_array_equal(average[3], model.decoder_layer.kernel[3])


def test_restart_refuses_bad_arrays():
    model, x = make(), np.ones((2, 20))
    for units in ([0, 32], [-1, 0], [3, 3], [[0, 1]], [0.5, 1], [0.0, 1.0], [True, False]):
        with pytest.raises(ValueError, match="units must be distinct integers from 0 to 31"):
            model.restart(np.array(units), x)
    for directions in (x[:1], x[:, :19], np.zeros((2, 20)), x * np.nan, x * np.inf):
        with pytest.raises(ValueError, match=r"directions must have shape \(2, 20\)"):
            model.restart(np.array([0, 1]), directions)


class Halves(keras.layers.Layer):
    def call(self, inputs):
        return inputs[:, ::2]


def test_refuses_bad_arguments():
    make_one, k = keras_ae.SparseAutoencoder, keras_ae.TopK(2)
    for name, arguments in (("input_dim", (0, 8)), ("units", (8, 0))):
        with pytest.raises(ValueError, match=rf"{name} must be an integer >= 1\. .*{name}=0"):
            make_one(*arguments, k)
    with pytest.raises(ValueError, match=r"activation must be a Keras layer.* activation=3"):
        make_one(8, 8, 3)
    with pytest.raises(ValueError, match=r"activation must keep the shape .* output \(None, 4\)"):
        make_one(8, 8, Halves())
    with pytest.raises(ValueError, match=r"k must be at most"):
        make_one(8, 8, keras_ae.TopK(9))
    for name in ("revival_units", "dead_after"):
        with pytest.raises(ValueError, match=rf"{name} must be an integer >= 1\. .*{name}=0"):
            make_one(8, 8, k, **{name: 0})
    with pytest.raises(ValueError, match=r"revival_units must be at most units=8\. .*=9"):
        make_one(8, 8, k, revival_units=9)
    with pytest.raises(ValueError, match=r"revival must be a finite number >= 0\. .*revival=-1"):
        make_one(8, 8, k, revival=-1)
    with pytest.raises(ValueError, match=r"sparsity_schedule must be .* sparsity_schedule=0.5"):
        make_one(8, 8, k, sparsity_schedule=0.5)


def test_half_of_the_input_revives_unless_there_are_fewer_units():
    assert keras_ae.SparseAutoencoder(20, 32, "relu").revival_units == 10
    assert keras_ae.SparseAutoencoder(20, 4, "relu").revival_units == 4
    assert keras_ae.SparseAutoencoder(1, 4, "relu").revival_units == 1
