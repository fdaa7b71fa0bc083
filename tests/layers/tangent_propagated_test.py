import keras
import numpy as np
import pytest
from keras.src.backend import get_keras_mask

import keras_ae
from keras_ae import TangentPropagated

layers = keras.layers


def data(n=6, k=2):
    generator = np.random.default_rng(0)
    return [generator.normal(size=shape).astype("float32") for shape in ((n, 5), (n, k, 5))]


def as_model(layer, k=2):
    inputs = [keras.Input((5,)), keras.Input((k, 5))]
    return keras.Model(inputs, TangentPropagated(layer, 0.5)(inputs))


def test_the_penalty_is_that_of_the_regularizer_in_training_only():
    layer = TangentPropagated(layers.Dense(3, "tanh"), keras_ae.TangentPropagation(0.5))
    x, tangents = data()
    outputs = layer([x, tangents], training=True)
    expected, penalties = layer.propagation.value_and_penalties(layer.layer, x, tangents)
    np.testing.assert_array_equal(outputs, expected)
    assert [float(loss) for loss in layer.losses] == [float(penalties["tangent_propagation"])]
    assert layer.penalty_names == ("tangent_propagation",)
    np.testing.assert_array_equal(layer([x, tangents]), layer.layer(x))
    assert layer.losses == []


def test_the_shape_is_that_of_the_layer():
    layer = TangentPropagated(layers.Dense(3))
    assert layer.compute_output_shape([(None, 5), (None, 2, 5)]) == (None, 3)


def test_without_a_weight_there_is_no_penalty():
    layer = TangentPropagated(layers.Dense(3), 0)
    layer(data(), training=True)
    assert layer.losses == []
    assert layer.penalty_names == ()


@pytest.mark.parametrize("jit_compile", [False, True])
def test_a_penalty_does_not_depend_on_the_batch_size(jit_compile):
    """With weights that stay as they are, and a last batch that is not full."""
    inner = keras.Sequential([layers.Dense(4, "tanh"), layers.Dense(2)])
    x, tangents = data(12)
    values = []
    for size in (1, 5, 12):
        model = as_model(inner)
        model.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=jit_compile)
        y = inner.predict(x, verbose=0)  # Leaves the penalty alone in the loss.
        values += model.fit([x, tangents], y, batch_size=size, verbose=0).history["loss"]
    assert values == pytest.approx([values[0]] * 3, rel=1e-5)
    assert values[0] > 1e-3


def test_training_lessens_the_change_along_the_tangents():
    """Labels that depend on two inputs, of which one may not matter."""
    x = np.random.default_rng(0).normal(size=(256, 5)).astype("float32")
    y = x[:, :1] + x[:, 1:2]
    tangents = np.zeros((256, 1, 5), "float32")
    tangents[:, 0, 1] = 1
    inner = keras.Sequential([keras.Input((5,)), layers.Dense(16, "tanh"), layers.Dense(1)])
    inputs = [keras.Input((5,)), keras.Input((1, 5))]
    model = keras.Model(inputs, TangentPropagated(inner, 100.0)(inputs))
    model.compile(keras.optimizers.Adam(0.02), "mse")
    model.fit([x, tangents], y, epochs=30, batch_size=64, verbose=0)
    step = np.eye(5, dtype="float32")

    def change(axis):
        moved, still = (inner.predict(z, verbose=0) for z in (x + step[axis], x))
        return np.abs(moved - still).mean()

    assert change(1) < 0.1 * change(0)


@pytest.mark.parametrize("training", [False, True])
def test_masks_pass_through(training):
    inner = keras.Sequential([layers.Masking(), layers.Dense(3, "tanh")])
    x = np.random.default_rng(0).normal(size=(2, 4, 5)).astype("float32")
    x[0, 2:] = 0
    tangents = np.ones((2, 1, 4, 5), "float32")
    mask = get_keras_mask(TangentPropagated(inner)([x, tangents], training=training))
    assert np.asarray(mask).tolist() == [[True, True, False, False], [True] * 4]
    single = TangentPropagated(layers.Dense(3))
    masked = layers.Masking()(x)
    mask = get_keras_mask(single([masked, tangents], training=training))
    assert np.asarray(mask).sum() == 6
    given = np.array([[True, True, False, False], [True] * 4])
    assert single.compute_mask([x, tangents], [given, None]) is given
    assert single.compute_mask([x, tangents]) is None


def test_the_layer_inside_is_the_one_that_learns():
    inner = keras.Sequential([keras.Input((5,)), layers.Dense(3)])
    model = as_model(inner)
    before = inner.get_weights()[0].copy()
    model.compile("adam", "mse")
    model.fit(data(), np.zeros((6, 3)), verbose=0)
    assert not np.array_equal(inner.get_weights()[0], before)
    np.testing.assert_allclose(
        model.predict(data(), verbose=0), inner.predict(data()[0], verbose=0), rtol=1e-6
    )


def test_refuses_bad_arguments():
    with pytest.raises(ValueError, match=r"layer must be a Keras layer or model\. .*layer=3"):
        TangentPropagated(3)
    for bad in (-1, float("nan"), "much", None, True):
        with pytest.raises(ValueError, match="propagation must be a finite number >= 0"):
            TangentPropagated(layers.Dense(3), bad)
    with pytest.raises(ValueError, match=r"inputs must be a pair \[x, tangents\]\. .*\(2, 5\)"):
        TangentPropagated(layers.Dense(3))(np.ones((2, 5)))
    with pytest.raises(ValueError, match=r"inputs must be a pair \[x, tangents\]"):
        TangentPropagated(layers.Dense(3))([*data(), np.ones((6, 1))])
    with pytest.raises(ValueError, match=r"tangents must have shape .*shape=\(6, 2, 4\)"):
        TangentPropagated(layers.Dense(3))([np.ones((6, 5)), np.ones((6, 2, 4))])


def test_a_mask_ends_where_the_layer_ends_it():
    encoder = keras.Sequential([keras.layers.GRU(4, reset_after=False), keras.layers.Dense(3)])
    inputs, tangents = keras.Input((5, 3)), keras.Input((2, 5, 3))
    y = TangentPropagated(encoder, 0.0)([keras.layers.Masking()(inputs), tangents])
    assert get_keras_mask(y) is None
