import json

import keras
import numpy as np
import pytest
import scipy.stats
import tensorflow as tf
import tensorflow_probability as tfp

import keras_ae

tfd = tfp.distributions
H = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")


def scale_mixture(component=tfd.Normal, dtype="float32"):
    return tfd.MixtureSameFamily(
        tfd.Categorical(probs=np.array([0.3, 0.7], dtype)),
        component(np.zeros(2, dtype), np.array([0.1, 2.0], dtype)),
    )


def horseshoes(dtype="float32"):
    return tfd.MixtureSameFamily(
        tfd.Categorical(logits=np.array([0.3, -0.7], dtype)),
        tfd.Horseshoe(np.array([0.1, 2.0], dtype)),
    )


PRIORS = {
    "laplace": lambda dtype: tfd.Laplace(np.array(0.1, dtype), np.array(0.7, dtype)),
    "student": lambda dtype: tfd.StudentT(np.array(3, dtype), np.array(0.1, dtype), 0.5),
    "horseshoe": lambda dtype: tfd.Horseshoe(np.array(0.3, dtype)),
    "mixture": lambda dtype: scale_mixture(dtype=dtype),
    "mixture_of_laplace": lambda dtype: scale_mixture(tfd.Laplace, dtype),
    "mixture_of_horseshoes": horseshoes,
    "a_prior_a_unit": lambda dtype: tfd.Laplace(np.array([0.0, 0.1, -3.0], dtype), 0.7),
    "tensors": lambda dtype: tfd.Cauchy(tf.constant(0.1, dtype), tf.constant(0.7, dtype)),
    "truncated": lambda dtype: tfd.TruncatedNormal(np.array(0.0, dtype), 1.0, -9.0, np.inf),
}

every_prior = pytest.mark.parametrize("prior", PRIORS.values(), ids=PRIORS)


@every_prior
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_is_the_density_of_the_prior(prior, dtype):
    regularizer = keras_ae.PriorActivityRegularizer(prior(dtype), weight=0.5)
    expected = -0.5 * np.sum(prior("float64").log_prob(H.astype("float64")))
    value = regularizer(H)
    assert value.dtype == tf.float32
    assert float(value) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("prior", "density"),
    [
        (tfd.Laplace(0.1, 0.7), scipy.stats.laplace(0.1, 0.7).pdf),
        (tfd.StudentT(3.0, 0.1, 0.5), scipy.stats.t(3, 0.1, 0.5).pdf),
        (
            scale_mixture(),
            lambda h: 0.3 * scipy.stats.norm(0, 0.1).pdf(h) + 0.7 * scipy.stats.norm(0, 2).pdf(h),
        ),
    ],
    ids=["laplace", "student", "mixture"],
)
def test_agrees_with_scipy(prior, density):
    value = float(keras_ae.PriorActivityRegularizer(prior)(H))
    assert value == pytest.approx(-np.log(density(H.astype("float64"))).sum(), rel=1e-5)


@every_prior
def test_gradient_is_that_of_finite_differences(prior):
    h = tf.constant(H)
    regularizer = keras_ae.PriorActivityRegularizer(prior("float64"), weight=0.5)
    with tf.GradientTape() as tape:
        tape.watch(h)
        value = regularizer(h)
    low, high = (prior("float64").log_prob(H.astype("float64") + step) for step in (-1e-6, 1e-6))
    expected = -0.5 * (np.asarray(high) - np.asarray(low)) / 2e-6
    # The horseshoe of tensorflow-probability is a fit, good to some digits.
    np.testing.assert_allclose(tape.gradient(value, h), expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["horseshoe", "mixture_of_horseshoes"])
def test_the_peak_of_a_horseshoe_is_cut_off_where_a_relu_is_zero(name):
    prior = PRIORS[name]("float64")
    assert np.isinf(prior.log_prob(np.float64(0)))
    h = tf.constant([[0.0, -0.0, 1e-30, -1e-7, 2e-6]])
    with tf.GradientTape() as tape:
        tape.watch(h)
        value = keras_ae.PriorActivityRegularizer(prior)(h)
    nearest = np.array([1e-6, 1e-6, 1e-6, -1e-6, 2e-6])
    assert float(value) == pytest.approx(-np.sum(prior.log_prob(nearest)), rel=1e-5)
    gradient = tape.gradient(value, h).numpy()[0]
    np.testing.assert_array_equal(gradient[:4], 0)
    assert 0 < gradient[4] < np.inf
    assert np.isneginf(keras_ae.PriorActivityRegularizer(prior, epsilon=0.0)(h))


def test_the_distance_from_zero_keeps_the_side():
    value = keras_ae.PriorActivityRegularizer(tfd.Normal(1.0, 1.0), epsilon=0.5)(
        np.array([[-0.1, 0.1, 0.0]], "float32")
    )
    expected = -scipy.stats.norm(1, 1).logpdf([-0.5, 0.5, 0.5]).sum()
    assert float(value) == pytest.approx(expected, rel=1e-5)


def test_whole_numbers_as_parameters():
    value = float(keras_ae.PriorActivityRegularizer(tfd.StudentT(3, [0, 1, 0], 2))(H))
    density = scipy.stats.t(3, [0, 1, 0], 2).logpdf(H.astype("float64"))
    assert value == pytest.approx(-density.sum(), rel=1e-5)


@pytest.mark.parametrize(
    ("prior", "density"),
    [
        (tfd.Exponential(2.0), scipy.stats.expon(scale=0.5).pdf),
        (tfd.Weibull(1.0, 0.5), scipy.stats.expon(scale=0.5).pdf),
        (tfd.Chi2(2.0), scipy.stats.chi2(2).pdf),
        (tfd.HalfNormal(2.0), scipy.stats.halfnorm(scale=2).pdf),
        (
            tfd.MixtureSameFamily(tfd.Categorical(probs=[0.3, 0.7]), tfd.Exponential([1.0, 2.0])),
            lambda h: 0.3 * np.exp(-h) + 0.7 * 2 * np.exp(-2 * h),
        ),
    ],
    ids=["exponential", "weibull", "chi2", "half_normal", "mixture"],
)
def test_what_a_prior_excludes_is_infinitely_penalised(prior, density):
    regularizer = keras_ae.PriorActivityRegularizer(prior)
    h = np.abs(H.astype("float64"))
    assert float(regularizer(h)) == pytest.approx(-np.log(density(h)).sum(), rel=1e-5)
    h[0, 0] *= -1
    assert np.isposinf(regularizer(h))


def test_not_a_number_is_not_a_number():
    h = H.copy()
    h[0, 0] = np.nan
    assert np.isnan(keras_ae.PriorActivityRegularizer(tfd.Laplace(0.0, 1.0))(h))
    assert np.isnan(keras_ae.PriorActivityRegularizer(scale_mixture())(h))


@pytest.mark.parametrize("jit_compile", [False, True])
def test_the_penalty_in_fit_is_a_mean_over_examples_at_any_batch_size(jit_compile):
    """12 examples in batches of 12, 4 and 5, the last one partial; with XLA in the last alone."""
    x = np.random.default_rng(1).normal(size=(12, 4)).astype("float32")
    losses = []
    for batch_size in (5,) if jit_compile else (12, 4, 5):
        layer = keras.layers.Dense(
            3,
            "relu",
            kernel_initializer=keras.initializers.GlorotUniform(seed=0),
            activity_regularizer=keras_ae.PriorActivityRegularizer(horseshoes(), weight=0.1),
        )
        model = keras.Sequential([keras.Input((4,)), layer])
        model.compile(
            keras.optimizers.SGD(0.0),
            lambda y, h: keras.ops.zeros_like(h[:, 0]),
            jit_compile=jit_compile,
        )
        history = model.fit(x, x, batch_size=batch_size, verbose=0)
        losses.append(history.history["loss"][0])
    h = np.maximum(x.astype("float64") @ layer.kernel.numpy(), 1e-6)
    expected = -0.1 * np.sum(horseshoes("float64").log_prob(h)) / 12
    np.testing.assert_allclose(losses, expected, rtol=1e-4)


@every_prior
def test_config_round_trip(prior):
    regularizer = keras_ae.PriorActivityRegularizer(prior("float64"), weight=0.5, epsilon=1e-3)
    config = json.loads(json.dumps(regularizer.get_config()))
    copy = keras_ae.PriorActivityRegularizer.from_config(config)
    assert copy.get_config() == regularizer.get_config()
    assert float(copy(H)) == float(regularizer(H))
    assert type(copy.distribution) is type(prior("float64"))


def test_the_config_has_the_numbers_that_were_given():
    config = keras_ae.PriorActivityRegularizer(scale_mixture(dtype="float64")).get_config()
    assert config["distribution"] == {
        "name": "MixtureSameFamily",
        "parameters": {
            "mixture_distribution": {"name": "Categorical", "parameters": {"probs": [0.3, 0.7]}},
            "components_distribution": {
                "name": "Normal",
                "parameters": {"loc": [0.0, 0.0], "scale": [0.1, 2.0]},
            },
        },
    }


def test_is_a_loss_term_of_its_name_and_survives_saving(images, tmp_path):
    keras.config.set_dtype_policy("mixed_float16")
    try:
        regularizer = keras_ae.PriorActivityRegularizer(horseshoes("float64"), weight=0.01)
        hidden = keras.layers.Dense(6, "relu", activity_regularizer=regularizer)
        model = keras_ae.Autoencoder(
            keras.Sequential([keras.Input((20,)), hidden]), keras.layers.Dense(20)
        )
        model.compile("adam", "mse")
        history = model.fit(images, verbose=0).history
    finally:
        keras.config.set_dtype_policy("float32")
    assert np.isfinite(history["sparsity"]).all()
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    copy = loaded.encoder.layers[0].activity_regularizer
    assert copy.get_config() == regularizer.get_config()
    assert float(copy(H)) == float(regularizer(H))


class Laplace(tfd.Laplace):
    """One of somebody else, of a known name."""


@pytest.mark.parametrize(
    ("distribution", "message"),
    [
        ("Laplace", "must be one of tensorflow_probability.distributions"),
        (None, "must be one of tensorflow_probability.distributions"),
        (tfd.Laplace, "must be one of tensorflow_probability.distributions"),
        (Laplace(0.0, 1.0), "must be one of tensorflow_probability.distributions"),
        (scipy.stats.laplace(), "must be one of tensorflow_probability.distributions"),
        (tfd.Poisson(1.0), "must be continuous"),
        (tfd.Bernoulli(0.5), "must be continuous"),
        (tfd.Deterministic(0.0), "must be continuous"),
        (tfd.Sample(tfd.Poisson(1.0), ()), "must be continuous"),
        (
            tfd.MixtureSameFamily(tfd.Categorical(probs=[0.3, 0.7]), tfd.Poisson([1.0, 2.0])),
            "must be continuous",
        ),
        (tfd.MultivariateNormalDiag([0.0, 1.0], [1.0, 1.0]), "over single real numbers"),
        (tfd.Normal(np.zeros((2, 3)), 1.0), r"batch shape \(\) or \(units,\)"),
        (tfd.Normal(tf.Variable(0.0), 1.0), "must have constant parameters"),
        (
            tfd.TransformedDistribution(tfd.Normal(0.0, 1.0), tfp.bijectors.Exp()),
            r"numbers, arrays or distributions\. Received: TransformedDistribution\.bijector=",
        ),
        ({}, "must be the name and parameters of one of tensorflow_probability"),
        ({"name": "Laplace"}, "must be the name and parameters"),
        ({"name": "Lapalce", "parameters": {}}, "must be the name and parameters"),
        ({"name": "joint_distribution", "parameters": {}}, "must be the name and parameters"),
        ({"name": "register_kl", "parameters": {}}, "must be the name and parameters"),
        (
            {"name": "ReparameterizationType", "parameters": {"rep_type": "a"}},
            "must be the name and parameters",
        ),
        ({"name": ["Laplace"], "parameters": {}}, "must be the name and parameters"),
        ({"name": "Laplace", "parameters": {"rate": 1}}, "must have parameters that Laplace takes"),
        (
            {"name": "Sample", "parameters": {"distribution": {"name": "eval"}}},
            "must be the name and parameters",
        ),
    ],
)
def test_refuses_what_is_not_a_prior(distribution, message):
    with pytest.raises(ValueError, match=rf"distribution must .*{message}|distribution {message}"):
        keras_ae.PriorActivityRegularizer(distribution)


def test_refuses_another_number_of_units():
    regularizer = keras_ae.PriorActivityRegularizer(tfd.Laplace([0.0, 0.0], 1.0))
    with pytest.raises(ValueError, match=r"batch shape \(2,\) for activations of shape \(6, 3\)"):
        regularizer(H)
    with pytest.raises(ValueError, match=r"batch shape \(2,\) for activations of shape \(6, 1\)"):
        regularizer(H[:, :1])


@pytest.mark.parametrize("name", ["weight", "epsilon"])
@pytest.mark.parametrize("value", [-1, float("nan"), "1", None])
def test_refuses_a_bad_number(name, value):
    with pytest.raises(
        ValueError, match=rf"{name} must be a finite number >= 0\. .*{name}={value!r}"
    ):
        keras_ae.PriorActivityRegularizer(tfd.Laplace(0.0, 1.0), **{name: value})


def test_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tensorflow_probability", None)
    with pytest.raises(ImportError, match=r'pip install "keras-ae\[probability\]"'):
        keras_ae.PriorActivityRegularizer(tfd.Laplace(0.0, 1.0))
