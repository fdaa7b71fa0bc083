import keras
import numpy as np
import pytest

import keras_ae
from keras_ae.callbacks import DeadUnitResampler

DEAD = [2, 5, 11]


def with_dead(images, learning_rate=0.0, **kwargs):
    """A model of which some units are on for no image."""
    model = keras_ae.SparseAutoencoder(20, 16, "relu", revival=0, **kwargs)
    bias = np.full(16, 3.0)
    bias[DEAD] = -9
    model.encoder_layer.bias.assign(bias)
    model.compile(keras.optimizers.Adam(learning_rate), "mse")
    np.testing.assert_array_equal(np.flatnonzero(~is_on(model, images)), DEAD)
    return model


def is_on(model, images):
    return (model.encode(images) > 0).any(axis=0)


def fit(model, images, epochs=3, **kwargs):
    resampler = DeadUnitResampler(images, seed=0, **kwargs)
    return model.fit(images, epochs=epochs, batch_size=32, callbacks=[resampler], verbose=0).history


def test_dead_units_are_on_afterwards_and_the_others_as_before(images):
    model = with_dead(images)
    before = {w.path: w.numpy() for w in model.weights}
    history = fit(model, images, batch_size=10)
    assert history["resampled"] == [3, 0, 0]
    assert is_on(model, images).all()
    others = np.setdiff1d(np.arange(16), DEAD)
    for weight in model.trainable_weights:
        old, new = before[weight.path], weight.numpy()
        if weight.shape == (20, 16):
            old, new = old.T, new.T
        if weight.shape != (20,):
            # Keras scales every atom at each step, also where the gradient is 0.
            np.testing.assert_allclose(new[others], old[others], rtol=1e-6)
            assert not np.array_equal(new[DEAD], old[DEAD])


def test_nothing_else_changes_bit_for_bit(images):
    model = with_dead(images)
    resampler = DeadUnitResampler(images, seed=0)
    resampler.set_model(model)
    resampler.set_params({"epochs": 9})
    before = {w.path: w.numpy() for w in model.weights}
    logs = {}
    resampler.on_epoch_end(0, logs)
    assert logs == {"resampled": 3}
    for weight in model.weights:
        changed = np.argwhere(weight.numpy() != before[weight.path])
        axis = 1 if weight.shape == (20, 16) else 0
        assert {int(index[axis]) for index in changed} <= set(DEAD)


def test_the_direction_is_that_of_an_example_drawn_by_its_squared_loss(images):
    x = images[:5] * np.array([[0.2], [0.9], [1.0], [1.1], [0.0]], "float32")
    model = with_dead(images)
    model.decoder_layer.bias.assign(x[2] - model.reconstruct(x)[2])
    losses = ((model.reconstruct(x) - x) ** 2).mean(axis=1)
    chosen = []
    model.restart = lambda units, directions: chosen.extend(directions)
    resampler = DeadUnitResampler(x, seed=0)
    resampler.set_model(model)
    resampler.set_params({"epochs": 9})
    for _ in range(200):
        resampler.on_epoch_end(0)
    drawn = np.array([(direction == x).all(axis=1) for direction in chosen])
    assert drawn.shape == (200 * (~is_on(model, x)).sum(), 5)
    losses[4] = 0  # The empty example has no direction, large as its loss is.
    np.testing.assert_allclose(drawn.mean(axis=0), losses**2 / (losses**2).sum(), atol=0.05)


def test_every_so_many_epochs_but_not_the_last(images):
    for epochs, every, expected in ((4, 2, [0, 3, 0, 0]), (2, 2, [0, 0]), (1, 1, [0])):
        assert fit(with_dead(images), images, epochs, every=every)["resampled"] == expected


def test_seeds_reproduce(images):
    kernels = []
    for seed in (1, 1, 2):
        keras.utils.set_random_seed(0)
        model = with_dead(images)
        callbacks = [DeadUnitResampler(images, seed=seed)]
        model.fit(images, epochs=2, shuffle=False, callbacks=callbacks, verbose=0)
        kernels.append(model.decoder_layer.kernel.numpy())
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert not np.array_equal(kernels[0], kernels[2])


def test_training_goes_on_with_the_units(images):
    model = with_dead(images, learning_rate=0.01)
    fit(model, images, epochs=2)
    before = model.decoder_layer.kernel.numpy()[DEAD]
    model.fit(images, epochs=2, verbose=0)
    assert np.abs(model.decoder_layer.kernel.numpy()[DEAD] - before).max() > 1e-3


def test_refuses_another_model_and_bad_arguments(images):
    plain = keras.Sequential([keras.Input((20,)), keras.layers.Dense(20)])
    plain.compile("adam", "mse")
    with pytest.raises(ValueError, match="must be given to the fit of a SparseAutoencoder"):
        plain.fit(images, images, callbacks=[DeadUnitResampler(images)], verbose=0)
    for name in ("every", "batch_size"):
        with pytest.raises(ValueError, match=rf"{name} must be an integer >= 1\. .*{name}=0"):
            DeadUnitResampler(images, **{name: 0})
    with pytest.raises(ValueError, match="x must have at least one example"):
        DeadUnitResampler(images[:0])
    with pytest.raises(ValueError, match="x must be finite"):
        DeadUnitResampler(np.full((2, 20), np.nan))


def test_nothing_once_a_callback_before_it_ends_the_training(images):
    model = with_dead(images)

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.stop_training = epoch == 1

    callbacks = [Stop(), DeadUnitResampler(images, every=2)]
    history = model.fit(images, epochs=5, callbacks=callbacks, verbose=0).history
    assert history["resampled"] == [0, 0]


def test_a_training_that_is_lost_is_told(images):
    model = with_dead(images)
    model.decoder_layer.bias.assign(np.full(20, np.nan))
    with pytest.raises(ValueError, match="must be given to a training that stays finite"):
        fit(model, images)
    callbacks = [keras.callbacks.TerminateOnNaN(), DeadUnitResampler(images)]
    history = model.fit(images, epochs=5, callbacks=callbacks, verbose=0).history
    assert history["resampled"] == [0]


def test_refuses_examples_of_another_size(images):
    with pytest.raises(ValueError, match=r"x must have shape \(n, 20\).*Received: x with shape"):
        with_dead(images).fit(images, callbacks=[DeadUnitResampler(images[:, :9])], verbose=0)
