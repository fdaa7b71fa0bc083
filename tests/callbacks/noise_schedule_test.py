import keras
import numpy as np
import pytest
from backends import BACKEND

import keras_ae
from keras_ae.callbacks import NoiseSchedule

N = 20_000
LEVELS = [0.8, 0.4, 0.0, 0.6]


class Identity(keras.layers.Layer):
    """Counts how often it is traced, and has a weight so that there is something to train."""

    def __init__(self):
        super().__init__()
        self.traces = 0
        self.scale = self.add_weight(initializer="ones")

    def call(self, inputs):
        self.traces += 1
        return inputs * self.scale


def train(model, x, noise, schedule=LEVELS.__getitem__, epochs=4, **kwargs):
    # The loss is the mean square of what the noise did; with no step taken nothing else changes.
    model.compile(keras.optimizers.SGD(0.0), "mse", **kwargs)
    return model.fit(
        x, x, epochs=epochs, batch_size=len(x), callbacks=[NoiseSchedule(noise, schedule)],
        verbose=0,
    ).history  # fmt: skip


# Inputs for which the mean square error is stddev^2 or the rate, and the standard error of it.
CASES = {
    "gaussian": (keras_ae.GaussianCorruption(0.1, seed=0), 0.0, lambda level: level**2,
                 lambda level: level**2 * np.sqrt(2 / N)),
    "masking": (keras_ae.MaskingCorruption(0.1, seed=0), 1.0, lambda level: level,
                lambda level: np.sqrt(level * (1 - level) / N)),
    "salt_and_pepper": (keras_ae.SaltAndPepperCorruption(0.1, low=-1.0, seed=0), 0.0,
                        lambda level: level, lambda level: np.sqrt(level * (1 - level) / N)),
}  # fmt: skip


# Without XLA, JAX traces nothing.
@pytest.mark.parametrize(
    ("name", "jit_compile"),
    [*((name, BACKEND == "jax") for name in CASES),
     pytest.param("masking", True, marks=pytest.mark.tensorflow)])  # fmt: skip
@pytest.mark.parametrize("kind", ["sequential", "autoencoder"])
def test_every_epoch_has_noise_of_its_level_without_another_trace(name, jit_compile, kind):
    noise, value, expected, error = CASES[name]
    counter = Identity()
    inside = keras.Sequential([keras.Input((4,)), counter])
    if kind == "sequential":
        model = keras.Sequential([keras.Input((4,)), noise, inside])
    else:
        model = keras_ae.Autoencoder(inside, keras.layers.Identity(), noise)
    traces = []

    def schedule(epoch):
        traces.append(counter.traces)
        return LEVELS[epoch]

    x = np.full((N // 4, 4), value, "float32")
    history = train(model, x, noise, schedule, jit_compile=jit_compile)
    assert history[noise.level_name] == pytest.approx(LEVELS)
    for level, loss in zip(LEVELS, history["loss"], strict=True):
        assert loss == pytest.approx(expected(level), abs=5 * error(level) + 1e-7)
    # Traced in the first epoch, not after it.
    assert traces[0] < traces[1] == traces[-1] == counter.traces
    assert float(noise.level) == pytest.approx(LEVELS[-1])


def model_of(noise):
    return keras.Sequential([keras.Input((4,)), noise, Identity()])


def test_takes_the_schedules_of_keras_by_epochs():
    noise = keras_ae.MaskingCorruption(0.1)
    schedule = keras.optimizers.schedules.ExponentialDecay(0.8, decay_steps=1, decay_rate=0.5)
    history = train(model_of(noise), np.ones((8, 4)), noise, schedule, epochs=3)
    assert history["rate"] == pytest.approx([0.8, 0.4, 0.2])


@pytest.mark.parametrize(
    "number",
    [float, int, np.float32, np.int64, np.array, keras.ops.array],
    ids=lambda f: f.__name__,
)
def test_takes_numbers_of_any_kind(number):
    noise = keras_ae.GaussianCorruption(0.1)
    history = train(model_of(noise), np.ones((8, 4)), noise, lambda epoch: number(2 * epoch), 2)
    assert history["stddev"] == [0.0, 2.0]


def test_a_training_that_goes_on_goes_on_with_the_schedule():
    noise = keras_ae.MaskingCorruption(0.1)
    model = model_of(noise)
    model.compile("sgd", "mse")
    schedule = NoiseSchedule(noise, LEVELS.__getitem__)
    x = np.ones((8, 4))
    history = model.fit(x, x, initial_epoch=1, epochs=3, callbacks=[schedule], verbose=0).history
    assert history["rate"] == pytest.approx(LEVELS[1:3])


def test_two_layers_with_levels_of_one_name_are_both_recorded():
    first, second = (keras_ae.RangeCorruption(0.1, name=name) for name in ("first", "second"))
    model = keras.Sequential([keras.Input((4,)), first, Identity(), second])
    model.compile("sgd", "mse")
    x = np.ones((8, 4))
    schedules = [NoiseSchedule(layer, lambda epoch, by=by: by / (1 + epoch))
                 for layer, by in ((first, 0.5), (second, 0.25))]  # fmt: skip
    history = model.fit(x, x, epochs=2, callbacks=schedules, verbose=0).history
    assert history["fraction"] == [0.5, 0.25]
    assert history["second_fraction"] == [0.25, 0.125]


@pytest.mark.parametrize("bad", [1.5, -0.1, float("nan"), None, "0.5", [0.5]])
def test_refuses_a_level_out_of_range(bad):
    noise = keras_ae.MaskingCorruption(0.1)
    with pytest.raises(ValueError, match=r"rate must be a finite number >= 0 and <= 1\. .*rate="):
        train(model_of(noise), np.ones((8, 4)), noise, [0.5, bad].__getitem__, epochs=2)
    assert float(noise.level) == 0.5


def test_refuses_an_array_of_levels():
    noise = keras_ae.GaussianCorruption(0.1)
    with pytest.raises(ValueError, match=r"stddev must be a finite number >= 0\. .*array"):
        train(model_of(noise), np.ones((8, 4)), noise, lambda epoch: np.ones(2))


@pytest.mark.parametrize("bad", [keras.layers.GaussianNoise(0.1), 0.1, None], ids=str)
def test_refuses_a_layer_without_a_level(bad):
    with pytest.raises(
        ValueError, match=r"layer must be a GaussianCorruption, .* Received: layer="
    ):
        NoiseSchedule(bad, float)


def test_refuses_a_schedule_that_is_not_a_function():
    with pytest.raises(ValueError, match=r"schedule must be a function .*schedule=0\.5"):
        NoiseSchedule(keras_ae.MaskingCorruption(0.1), 0.5)


def test_refuses_a_layer_that_is_not_in_the_model():
    model = model_of(keras_ae.MaskingCorruption(0.1))
    with pytest.raises(ValueError, match="layer must be in the model that is trained"):
        train(model, np.ones((8, 4)), keras_ae.MaskingCorruption(0.1))
