import keras
import numpy as np
import pytest
import scipy.stats

import keras_ae

H = np.random.default_rng(0).normal(size=(6, 5)).astype("float32")


@pytest.mark.parametrize("rate", [1e-8, 1e-5, 1e-3, 0.7, 20.0])
def test_is_the_l1_norm_up_to_the_constant(rate):
    regularizer = keras_ae.LaplaceActivityRegularizer(rate)
    assert float(regularizer(H)) == pytest.approx(rate * np.abs(H).sum(), rel=1e-5)
    assert abs(float(regularizer(0 * H))) < 1e-6 * rate


@pytest.mark.parametrize("rate", [1e-3, 0.7, 20.0])
def test_with_the_constant_it_is_the_density_of_the_prior(rate):
    value = float(keras_ae.LaplaceActivityRegularizer(rate, include_constant=True)(H))
    density = scipy.stats.laplace(scale=1 / rate).logpdf(H.astype("float64"))
    assert value == pytest.approx(-density.sum(), rel=1e-5)
    by_hand = np.log(rate / 2 * np.exp(-rate * np.abs(H.astype("float64"))))
    assert value == pytest.approx(-by_hand.sum(), rel=1e-5)


def test_the_penalty_in_fit_is_a_mean_over_examples_at_any_batch_size():
    """12 examples in batches of 12, 4 and 5, the last one partial."""
    x = np.random.default_rng(1).normal(size=(12, 4)).astype("float32")
    losses = []
    for batch_size in (12, 4, 5):
        layer = keras.layers.Dense(
            3,
            kernel_initializer=keras.initializers.GlorotUniform(seed=0),
            activity_regularizer=keras_ae.LaplaceActivityRegularizer(0.1),
        )
        model = keras.Sequential([keras.Input((4,)), layer])
        model.compile(keras.optimizers.SGD(0.0), lambda y, h: keras.ops.zeros_like(h[:, 0]))
        history = model.fit(x, x, batch_size=batch_size, verbose=0)
        losses.append(history.history["loss"][0])
    expected = 0.1 * np.abs(x @ layer.kernel.numpy()).sum(axis=1).mean()
    np.testing.assert_allclose(losses, expected, rtol=1e-4)


def test_survives_saving(tmp_path):
    regularizer = keras_ae.LaplaceActivityRegularizer(0.25, include_constant=True)
    model = keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(3, activity_regularizer=regularizer)]
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras").layers[0].activity_regularizer
    assert loaded.get_config() == {"rate": 0.25, "include_constant": True}


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf"), "1", None, True])
def test_refuses_a_bad_rate(rate):
    with pytest.raises(ValueError, match=rf"rate must be a finite number > 0\. .*rate={rate!r}"):
        keras_ae.LaplaceActivityRegularizer(rate)


def test_refuses_a_bad_flag():
    with pytest.raises(ValueError, match="include_constant must be True or False"):
        keras_ae.LaplaceActivityRegularizer(1.0, include_constant="yes")


@pytest.mark.tensorflow
def test_says_what_to_install(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "tensorflow_probability", None)
    with pytest.raises(ImportError, match=r'pip install "keras-ae\[probability\]"'):
        keras_ae.LaplaceActivityRegularizer(1.0)(H)
