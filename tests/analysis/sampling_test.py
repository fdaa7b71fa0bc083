import keras
import numpy as np
import pytest

import keras_ae
from keras_ae.analysis import sample, score

METHODS = ("langevin", "walkback")
both_methods = pytest.mark.parametrize("method", METHODS)
# The best denoiser of a normal distribution with this variance is linear.
VARIANCE, STDDEV = 0.5, 0.4
GAIN = VARIANCE / (VARIANCE + STDDEV**2)


def denoise(x):
    return GAIN * x


def two_sample_test(a, b, permutations=500):
    """Return the p value for equal distributions, by maximum mean discrepancy and permutations."""
    both = np.concatenate([a, b]).astype("float64")
    squares = np.sum((both[:, None] - both[None]) ** 2, axis=-1)
    kernel = np.exp(-squares / (2 * 0.3**2))  # As wide as a component, to see its width.
    signs = np.repeat([1.0, -1.0], len(a))
    generator = np.random.default_rng(0)
    drawn = np.stack([signs, *(generator.permutation(signs) for _ in range(permutations))])
    statistics = np.sum((drawn @ kernel) * drawn, axis=1)
    return np.mean(statistics >= statistics[0] - 1e-9)


@both_methods
def test_samples_of_a_trained_denoiser_are_those_of_the_mixture(method, mixture, denoisers):
    starts = np.random.default_rng(0).normal(size=(500, 2))
    fresh = mixture.sample(500, seed=2)
    assert two_sample_test(starts, fresh) < 0.01
    ends = sample(denoisers[0.1], starts, 0.1, 1000, method, seed=0, verbose=0)
    assert two_sample_test(ends, fresh) > 0.05


@both_methods
@pytest.mark.parametrize("wrong", [0.05, 0.2])
def test_samples_by_another_stddev_are_not(method, wrong, mixture, denoisers):
    fresh = mixture.sample(500, seed=2)
    step_size = 0.005 if method == "langevin" else None
    ends = sample(denoisers[0.1], fresh, wrong, 1000, method, step_size, seed=0, verbose=0)
    assert two_sample_test(ends, mixture.sample(500, seed=3)) < 0.01


@pytest.mark.parametrize("factor", [0.5, 2])
def test_samples_by_a_score_of_another_scale_are_not(factor, mixture, denoisers):
    fresh = mixture.sample(500, seed=2)

    def scaled(x):
        return x + factor * (denoisers[0.1](x) - x)

    ends = sample(scaled, fresh, 0.1, 1000, seed=0, verbose=0)
    assert two_sample_test(ends, mixture.sample(500, seed=3)) < 0.01


def test_one_langevin_step_is_along_the_score_with_noise_of_its_size():
    x = np.full((20_000, 1), 1.5, "float32")
    ends = sample(denoise, x, STDDEV, 1, step_size=0.02, seed=0, verbose=0)
    drift = ends.mean() - 1.5
    assert drift == pytest.approx(0.02 * score(denoise, x[:1], STDDEV).item(), abs=0.006)
    assert ends.std() == pytest.approx(np.sqrt(2 * 0.02), rel=0.02)


def test_one_walkback_step_corrupts_reconstructs_and_draws():
    x = np.full((20_000, 1), 1.5, "float32")
    ends = sample(lambda x: -2 * x, x, STDDEV, 1, "walkback", seed=0, verbose=0)
    assert ends.mean() == pytest.approx(-3.0, abs=0.03)
    assert ends.std() == pytest.approx(STDDEV * np.sqrt(5), rel=0.02)


@pytest.mark.parametrize(
    ("method", "step_size", "kept", "added"),
    [
        ("langevin", None, 1 - (1 - GAIN) / 2, STDDEV**2),
        ("langevin", 0.02, 1 - 0.02 * (1 - GAIN) / STDDEV**2, 2 * 0.02),
        ("walkback", None, GAIN, STDDEV**2 * (1 + GAIN**2)),
    ],
)
def test_the_variance_of_a_linear_chain(method, step_size, kept, added):
    """`x <- kept x + noise` of variance `added` tends to `added / (1 - kept^2)`."""
    x = np.zeros((5000, 2, 3))
    ends = sample(denoise, x, STDDEV, 200, method, step_size, seed=0, verbose=0)
    assert ends.shape == x.shape
    np.testing.assert_allclose(ends.var(axis=0), added / (1 - kept**2), rtol=0.1)
    assert ends.var() == pytest.approx(added / (1 - kept**2), rel=0.02)
    correlation = np.corrcoef(ends.reshape(5000, 6).T) - np.eye(6)
    assert np.abs(correlation).max() < 0.06


@pytest.mark.parametrize("steps", [1, 99, 101, 250])
def test_takes_as_many_steps_as_asked(steps):
    ends = sample(lambda x: x + 1, np.zeros((3, 2)), 1e-4, steps, "walkback", verbose=0)
    np.testing.assert_allclose(ends, steps, atol=0.02)


@both_methods
def test_the_seed_decides(method):
    x = np.zeros((5, 2))
    first, same, other, free, free_again = (
        sample(denoise, x, STDDEV, 7, method, seed=seed, verbose=0)
        for seed in (1, 1, 2, None, None)
    )
    np.testing.assert_array_equal(first, same)
    assert not np.any(first == other)
    assert not np.any(free == free_again)
    np.testing.assert_array_equal(x, 0)


@both_methods
def test_layers_are_called_as_at_inference_and_keep_their_state(method):
    x = np.ones((4, 3), "float32")
    parts = [keras_ae.GaussianCorruption(9.0), keras.layers.BatchNormalization()]
    model = keras.Sequential([*parts, keras.layers.Dropout(0.9), keras.layers.Rescaling(GAIN)])
    model(x)
    before = [np.array(weight) for weight in model.variables]
    ends = sample(model, x, STDDEV, 3, method, seed=0, verbose=0)
    # The normalization divides by sqrt(1 + epsilon).
    expected = sample(denoise, x, STDDEV, 3, method, seed=0, verbose=0)
    np.testing.assert_allclose(ends, expected, atol=0.01)
    for weight, value in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_a_new_model_under_mixed_precision():
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = keras_ae.Autoencoder(keras.layers.Dense(2), keras.layers.Dense(3))
        ends = sample(model, np.zeros((4, 3)), 0.1, 2, verbose=0)
    finally:
        keras.config.set_dtype_policy("float32")
    assert ends.dtype == np.float32
    # The state is float32: in half precision noise of 0.1 has few digits.
    assert np.any(ends != ends.astype("float16"))


@both_methods
def test_no_chains(method):
    assert sample(denoise, np.zeros((0, 3)), 0.1, 5, method, verbose=0).shape == (0, 3)


def test_progress_is_that_of_keras(capsys):
    arguments = denoise, np.zeros((1, 1)), STDDEV, 250
    sample(*arguments, verbose=0)
    assert capsys.readouterr().out == ""
    sample(*arguments)
    assert "250/250" in capsys.readouterr().out
    sample(*arguments, verbose=2)
    assert capsys.readouterr().out.count("250/250") == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dae": None}, "dae must be a Keras model or layer, or a function. Received: dae=None"),
        ({"dae": lambda x: x[:, :1]}, r"the shape it is given, \(4, 2\)\. .* shape=\(4, 1\)"),
        ({"dae": lambda x: 9 * x}, "dae must keep the chains finite.* values in 4 of 4 chains"),
        ({"x": [[np.nan, 0]]}, "x must be finite. Received: x with 1 NaN or infinite values of 2"),
        ({"stddev": 0}, "stddev must be a finite number > 0. Received: stddev=0"),
        ({"steps": 0}, "steps must be an integer >= 1. Received: steps=0"),
        ({"steps": 1.5}, r"steps must be an integer >= 1. Received: steps=1\.5"),
        ({"method": "gibbs"}, r"method must be one of \('langevin', 'walkback'\).* method='gibbs'"),
        ({"step_size": 0}, "step_size must be a finite number > 0. Received: step_size=0"),
        (
            {"method": "walkback", "step_size": 0.1},
            "step_size must be None for method='walkback'. Received: step_size=0.1",
        ),
        ({"seed": -1}, "seed must be an integer >= 0. Received: seed=-1"),
        ({"verbose": 3}, "verbose must be 'auto', 0, 1 or 2. Received: verbose=3"),
    ],
)
def test_refuses_bad_arguments(changes, message):
    arguments = {"dae": denoise, "x": np.ones((4, 2)), "stddev": 0.1, "steps": 400, "verbose": 0}
    with pytest.raises(ValueError, match=message):
        sample(**{**arguments, **changes})
