import keras
import numpy as np
import pytest
from backends import jacobians

import keras_ae
from keras_ae.metrics import JacobianNorm

X = np.random.default_rng(0).normal(size=(7, 4, 4, 1)).astype("float32")


def convolutional():
    return keras.Sequential(
        [keras.Input((4, 4, 1)), keras.layers.Conv2D(3, 2, activation="tanh"),
         keras.layers.BatchNormalization()]
    )  # fmt: skip


def norms(encoder, x):
    matrices = jacobians(lambda x: encoder(x, training=False), x)
    return np.linalg.norm(matrices.reshape(len(x), -1), axis=1)


def test_is_the_mean_norm_over_batches_of_any_size():
    encoder = convolutional()
    metric = JacobianNorm(encoder)
    assert float(metric.result()) == 0
    for batch in (X[:4], X[4:6], X[6:]):
        metric.update_state(batch)
    assert float(metric.result()) == pytest.approx(norms(encoder, X).mean(), rel=1e-5)
    metric.reset_state()
    weights = np.arange(7.0)
    metric.update_state(X, None, weights)
    expected = (weights * norms(encoder, X)).sum() / weights.sum()
    assert float(metric.result()) == pytest.approx(expected, rel=1e-5)


def test_integers_are_taken_as_floats():
    metric = JacobianNorm(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, "tanh")]))
    pixels = np.random.default_rng(0).integers(0, 3, (5, 3), dtype=np.uint8)
    metric.update_state(pixels)
    assert float(metric.result()) == pytest.approx(norms(metric.encoder, 1.0 * pixels).mean())


@pytest.mark.parametrize(
    "kind", [pytest.param("metrics", marks=pytest.mark.tensorflow), "code_metrics"]
)
def test_in_fit_and_after_loading_it_measures_the_encoder_of_the_model(kind, images, tmp_path):
    encoder = keras.Sequential([keras.Input((20,)), keras.layers.Dense(5, "tanh")])
    model = keras_ae.Autoencoder(encoder, keras.layers.Dense(20))
    model.compile(
        keras.optimizers.SGD(0.1), "mse", jit_compile=True, **{kind: [JacobianNorm(encoder)]}
    )
    history = model.fit(images, batch_size=24, validation_data=(images,), verbose=0).history
    assert history["val_jacobian_norm"][0] == pytest.approx(norms(encoder, images).mean(), rel=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    loaded.encoder.layers[-1].kernel.assign(2 * encoder.layers[-1].kernel.numpy())
    value = loaded.evaluate(images, verbose=0, return_dict=True)["jacobian_norm"]
    assert value == pytest.approx(norms(loaded.encoder, images).mean(), rel=1e-5)


def test_of_a_penalised_stack_the_whole_jacobian_is_not_made(monkeypatch):
    encoder = keras.Sequential([keras.Input((20,)), keras.layers.Dense(5, "tanh")])
    metric = JacobianNorm(keras_ae.Contractive(encoder))
    monkeypatch.delattr("keras_ae.metrics.jacobian_norm.value_and_jacobian")
    x = np.random.default_rng(0).random((6, 20)).astype("float32")
    metric.update_state(x)
    assert float(metric.result()) == pytest.approx(norms(encoder, x).mean(), rel=1e-5)


def test_refuses_what_is_no_encoder():
    with pytest.raises(ValueError, match=r"encoder must be a Keras layer or model\. .*encoder=3"):
        JacobianNorm(3)
