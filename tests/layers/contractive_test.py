import keras
import numpy as np
import pytest
from backends import compiled, jacobians, value_and_gradients
from keras import ops
from keras.src.backend import get_keras_mask

import keras_ae
from keras_ae import ContractiveRegularizer
from keras_ae.layers import Contractive

layers = keras.layers


def numbers(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def with_weights_at_random(model):
    generator = np.random.default_rng(1)
    for weight in model.weights:
        low = 0.5 if "variance" in weight.path or "gamma" in weight.path else -0.5
        weight.assign(generator.uniform(low, 1.0, weight.shape))
    return model


def stack(*parts, shape=(6,)):
    return with_weights_at_random(keras.Sequential([keras.Input(shape), *parts]))


def squared_norms(function, x):
    """By the backend, one example at a time and without our code."""
    return (jacobians(function, x).reshape(len(x), -1) ** 2).sum(axis=1)


def penalties(layer, x):
    layer(x, training=True)
    return [float(value) for value in layer._get_own_losses()]


def draw_penalties(layer, x, draws):
    def own_losses():
        layer(x, training=True)
        return ops.stack(layer._get_own_losses())

    draw = compiled(own_losses, layer.variables, jit_compile=False)
    return np.array([draw() for _ in range(draws)])


def twice(layer):
    """A stack in which a layer stands two times, the second time as the last."""
    parts = [keras.Sequential([keras.Input((6,)), layer]) for _ in range(2)]
    return stack(layers.Dense(6, "tanh"), *parts)


DENSE_STACKS = {
    "shared": lambda: twice(layers.Dense(6)),
    "narrowing": lambda: stack(layers.Dense(5, "tanh"), layers.Dense(4, "sigmoid"),
                               layers.Dense(2)),
    "widening": lambda: stack(layers.Dense(8, "tanh"), layers.Dense(9, "softplus"),
                              layers.Dense(11, "sigmoid"), shape=(3,)),
    "bottleneck": lambda: stack(layers.Dense(2, "tanh"), layers.Dense(7, "gelu")),
    "hidden wider than the input": lambda: stack(layers.Dense(9, "tanh"), layers.Dense(2)),
    "no bias": lambda: stack(layers.Dense(5, "relu", use_bias=False), layers.Dense(3, "silu")),
    "elementwise layers": lambda: stack(
        layers.Rescaling(0.5, 0.1), layers.Dense(5), layers.BatchNormalization(),
        layers.LeakyReLU(0.2), layers.Dense(3), layers.Activation("tanh"), layers.ELU()),
    "one layer, rescaled": lambda: stack(layers.Activation("tanh"), layers.Dense(5, "tanh")),
    "nested": lambda: stack(stack(layers.Dense(5, "tanh")), stack(layers.Dense(2), shape=(5,))),
    "flattened": lambda: stack(layers.Activation("tanh"), layers.Flatten(),
                               layers.Dense(4, "tanh"), layers.Dense(3), shape=(2, 3)),
    "positions": lambda: stack(layers.Dense(5, "tanh"), layers.Dense(2, "tanh"), shape=(4, 3)),
    "one contractive layer": lambda: stack(keras_ae.ContractiveDense(4, "tanh", contraction=0)),
}  # fmt: skip


def functional():
    x = keras.Input((6,))
    h = layers.Dense(3, "tanh")(layers.Dropout(0.0)(layers.Dense(5, "tanh")(x)))
    return with_weights_at_random(keras.Model(x, h))


DENSE_STACKS["functional"] = functional


@pytest.mark.parametrize("name", DENSE_STACKS)
def test_exact_is_the_norm_of_the_whole_jacobian(name):
    encoder = DENSE_STACKS[name]()
    x = numbers(3, *encoder.input_shape[1:])
    for normalization in encoder._flatten_layers():
        if isinstance(normalization, layers.BatchNormalization):
            normalization.trainable = False
    expected = squared_norms(lambda x: encoder(x, training=False), x)
    value = penalties(Contractive(encoder, 0.3), x)
    assert value == pytest.approx([0.3 * expected.mean()], rel=1e-5)
    by_example = keras_ae.metrics.JacobianNorm(encoder)
    by_example.update_state(x)
    assert float(by_example.result()) == pytest.approx(np.sqrt(expected).mean(), rel=1e-5)


@pytest.mark.parametrize("name", DENSE_STACKS)
def test_curvature_of_a_stack_against_the_whole_jacobian(name):
    encoder = DENSE_STACKS[name]()
    x = numbers(5, *encoder.input_shape[1:])
    values = []
    for estimator in ("exact", "jacobian"):
        regularizer = ContractiveRegularizer(
            0.0, estimator, curvature=2.0, stddev=0.3, samples=2, seed=7
        )
        values.append(penalties(Contractive(encoder, regularizer), x))
    assert values[0] == pytest.approx(values[1], rel=1e-4)
    assert values[0][0] > 1e-3


def test_curvature_is_the_mean_distance_of_jacobians():
    encoder = DENSE_STACKS["narrowing"]()
    x = numbers(2, 6)
    regularizer = ContractiveRegularizer(1.0, curvature=0.5, stddev=0.4, samples=4, seed=0)
    draws = draw_penalties(Contractive(encoder, regularizer), x, 500)
    contraction, curvature = draws.mean(axis=0)

    noise = np.random.default_rng(5).normal(scale=0.4, size=(2000, 2, 6)).astype("float32")
    there = jacobians(encoder, (x + noise).reshape(-1, 6)).reshape(2000, 2, 2, 6)
    distances = ((there - jacobians(encoder, x)) ** 2).sum(axis=(2, 3))
    error = np.sqrt(2) * distances.mean(axis=1).std() / np.sqrt(2000)
    assert abs(curvature / 0.5 - distances.mean()) < 4 * error
    assert contraction == pytest.approx(squared_norms(encoder, x).mean(), rel=1e-5)


@pytest.mark.parametrize("probes", [1, 3])
def test_hutchinson_is_unbiased_in_both_terms(probes):
    encoder = DENSE_STACKS["narrowing"]()
    x = numbers(4, 6)

    def regularizer(estimator):
        return ContractiveRegularizer(
            1.0, estimator, probes=probes, curvature=1.0, stddev=0.3, seed=3
        )

    layer = Contractive(encoder, regularizer("hutchinson"))
    values = draw_penalties(layer, x, 300)
    expected = draw_penalties(Contractive(encoder, regularizer("exact")), x, 300)
    errors = np.sqrt((values.var(axis=0) + expected.var(axis=0)) / 300)
    assert (values.std(axis=0) > 0).all()
    assert (np.abs(values.mean(axis=0) - expected.mean(axis=0)) < 3 * errors).all()


@pytest.mark.parametrize("estimator", ["jacobian", "hutchinson"])
def test_a_convolutional_encoder(estimator):
    encoder = stack(
        layers.Conv2D(2, 3, 2, "same", activation="tanh"),
        layers.LayerNormalization(),
        layers.Conv2D(2, 2, activation="tanh"),
        shape=(4, 4, 1),
    )
    x = numbers(3, 4, 4, 1)
    expected = squared_norms(encoder, x).mean()
    layer = Contractive(encoder, ContractiveRegularizer(1.0, estimator, probes=400, seed=0))
    (value,) = penalties(layer, x)
    assert value == pytest.approx(expected, rel=1e-4 if estimator == "jacobian" else 0.1)


class Seen(layers.Layer):
    """Passes its input on and remembers it."""

    def call(self, inputs):
        self.inputs = inputs
        return inputs


@pytest.mark.parametrize("estimator", ["exact", "jacobian", "hutchinson"])
def test_the_penalty_sees_the_dropout_mask_of_the_output(estimator):
    """Of h = mask * x the Jacobian is the mask, twice as large where it is kept."""
    dense = layers.Dense(6, use_bias=False)
    encoder = keras.Sequential([keras.Input((6,)), layers.Dropout(0.5, seed=1), dense])
    dense.kernel.assign(np.eye(6))
    x = np.ones((5, 6), "float32")
    regularizer = ContractiveRegularizer(1.0, estimator, curvature=1.0, seed=0)
    layer = Contractive(encoder, regularizer)
    for _ in range(3):
        outputs = np.asarray(layer(x, training=True))
        contraction, curvature = (float(value) for value in layer.losses)
        assert set(np.unique(outputs)) == {0, 2}
        # A diagonal Jacobian makes every projection exact.
        assert contraction == pytest.approx((outputs**2).sum() / 5, rel=1e-5)
        # The function is linear: with the same mask at x + e nothing changes.
        assert curvature == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("estimator", ["exact", "jacobian", "hutchinson"])
def test_batch_statistics_are_constants(estimator):
    """The whole-batch derivative of a normalised sum is 0; an example's own is not."""
    encoder = stack(layers.Dense(4), layers.BatchNormalization(epsilon=0.01, momentum=0.5))
    dense, normalization = encoder.layers
    x = numbers(7, 6)
    z = x @ dense.kernel.numpy() + dense.bias.numpy()
    scale = normalization.gamma.numpy() / np.sqrt(z.var(axis=0) + 0.01)
    expected = ((dense.kernel.numpy() * scale) ** 2).sum()
    before = normalization.moving_mean.numpy()
    regularizer = ContractiveRegularizer(1.0, estimator, 500, curvature=1.0, stddev=2.0, seed=0)
    contraction, curvature = penalties(Contractive(encoder, regularizer), x)
    assert contraction == pytest.approx(expected, rel=0.1 if estimator == "hutchinson" else 1e-4)
    # At x + e the statistics stay those of x, and the moving ones learn from x alone and once.
    assert curvature == pytest.approx(0, abs=1e-4)
    np.testing.assert_allclose(
        normalization.moving_mean, 0.5 * before + 0.5 * z.mean(axis=0), rtol=1e-5
    )
    assert "_moments" not in vars(normalization)


@pytest.mark.parametrize("estimator", ["exact", "jacobian"])
def test_weights_still_learn_through_batch_statistics(estimator):
    """The gradient of output and penalty against finite differences."""
    encoder = stack(layers.Dense(3, "tanh"), layers.BatchNormalization(), layers.Dense(2, "tanh"))
    layer = Contractive(encoder, ContractiveRegularizer(1.0, estimator))
    x = numbers(6, 6)
    kernel = encoder.layers[0].kernel

    def loss():
        outputs = layer(x, training=True)
        return ops.sum(outputs**2) + sum(layer.losses)

    _, (gradient,) = value_and_gradients(loss, kernel)
    start = kernel.numpy()
    for i, j in [(0, 0), (3, 2), (5, 1)]:
        change = np.zeros_like(start)
        change[i, j] = 1e-2
        kernel.assign(start + change)
        above = float(loss())
        kernel.assign(start - change)
        below = float(loss())
        assert gradient[i, j] == pytest.approx((above - below) / 2e-2, rel=2e-2, abs=1e-2)


def test_losses_inside_count_once():
    encoder = stack(
        layers.Dense(4, "sigmoid", activity_regularizer=keras.regularizers.L1(0.5)),
        layers.Dense(3, "tanh"),
    )
    layer = Contractive(encoder, ContractiveRegularizer(0.1, curvature=0.1, seed=0))
    x = numbers(5, 6)
    layer(x, training=True)
    contraction, curvature, activity = (float(value) for value in layer.losses)
    activations = encoder.layers[0](x)
    assert activity == pytest.approx(0.5 * float(ops.sum(activations)) / 5, rel=1e-5)
    assert contraction > 0 < curvature


@pytest.mark.parametrize("jit_compile", [False, True])
def test_each_term_shows_by_name(images, jit_compile):
    encoder = keras.Sequential(
        [
            keras.Input((20,)),
            layers.Dense(8, "tanh"),
            layers.BatchNormalization(),
            layers.Dropout(0.1),
            layers.Dense(4, "tanh"),
        ]
    )
    model = keras_ae.Autoencoder(
        Contractive(encoder, ContractiveRegularizer(0.1, curvature=0.1)), layers.Dense(20)
    )
    model.compile("adam", "mse", jit_compile=jit_compile)
    history = model.fit(images, validation_data=(images,), batch_size=24, verbose=0).history
    assert set(history) == {
        "loss", "reconstruction", "contraction", "curvature", "val_loss", "val_reconstruction",
    }  # fmt: skip
    total = sum(history[name][0] for name in ("reconstruction", "contraction", "curvature"))
    assert history["loss"][0] == pytest.approx(total, rel=1e-5)


def test_no_penalty_outside_training():
    layer = Contractive(DENSE_STACKS["narrowing"]())
    np.testing.assert_array_equal(layer(numbers(2, 6)), layer.layer(numbers(2, 6)))
    assert layer.losses == []


@pytest.mark.parametrize("training", [False, True])
def test_masks_pass_through(training):
    encoder = keras.Sequential([layers.Masking(), layers.Dense(3, "tanh")])
    layer = Contractive(encoder, ContractiveRegularizer(0.1, "hutchinson"))
    x = numbers(2, 4, 5)
    x[0, 2:] = 0
    for part in (encoder, layer):
        mask = get_keras_mask(part(x, training=training))
        assert np.asarray(mask).tolist() == [[True, True, False, False], [True] * 4]
    single = Contractive(layers.Dense(3))
    mask = get_keras_mask(single(layers.Masking()(x), training=training))
    assert np.asarray(mask).sum() == 6


@pytest.mark.parametrize(
    "part",
    [
        layers.Conv1D(2, 2),
        layers.LayerNormalization(),
        layers.Dense(3, "softmax"),
        layers.Activation("softmax"),
        layers.Softmax(),
        Seen(),
    ],
)
def test_exact_refuses_what_is_not_a_dense_stack_by_name(part):
    encoder = keras.Sequential([layers.Dense(4, "tanh"), part])
    with pytest.raises(ValueError, match=f'estimator must be "jacobian" or .*{part.name}'):
        Contractive(encoder)


def test_exact_refuses_a_graph_with_branches():
    x = keras.Input((6,))
    h = layers.Dense(6)(x)
    for output in (layers.Add()([x, h]), [h, layers.Dense(2)(h)]):
        with pytest.raises(ValueError, match='estimator must be "jacobian" or "hutchinson"'):
            Contractive(keras.Model(x, output))
    with pytest.raises(ValueError, match='estimator must be "jacobian" or "hutchinson"'):
        Contractive(keras.Sequential([layers.Dense(3), layers.Flatten()]))
    with pytest.raises(ValueError, match='estimator must be "jacobian" or "hutchinson"'):
        Contractive(layers.Dropout(0.1))


def test_refuses_bad_arguments():
    with pytest.raises(ValueError, match=r"layer must be a Keras layer or model\. .*layer=3"):
        Contractive(3)
    for bad in (-1, float("nan"), "much", None, True):
        with pytest.raises(ValueError, match=r"contraction must be a finite number >= 0"):
            Contractive(layers.Dense(3), bad)


@pytest.mark.parametrize("estimator", ["jacobian", "hutchinson"])
def test_curvature_sees_the_mask(estimator):
    """Steps that are masked change nothing: they might as well not be there."""
    x = numbers(3, 5, 2)
    x[:, 3:] = 0
    # Hardly a mean of signs, but the same ones for both.
    regularizer = ContractiveRegularizer(0.0, estimator, curvature=1.0, stddev=1e-3, seed=0)
    encoder = layers.SimpleRNN(4)
    encoder.build(x.shape)
    values = [
        penalties(Contractive(encoder, regularizer), part)[0]
        for part in (layers.Masking()(x), x[:, :3], x)
    ]
    # Noise of 1e-3 moves a Jacobian by as much; without the mask it is another function.
    assert 0 < values[0] < 1e-4
    assert values[0] == pytest.approx(values[1], rel=0.9)


def test_exact_builds_what_is_not_built():
    x = numbers(4, 6)
    for encoder in (
        layers.Dense(3, "tanh"),
        keras.Sequential([layers.Dense(5, "tanh"), layers.BatchNormalization(), layers.Dense(2)]),
    ):
        _, found = ContractiveRegularizer(0.7).value_and_penalties(encoder, x)
        _, expected = ContractiveRegularizer(0.7, "jacobian").value_and_penalties(encoder, x)
        assert float(found["contraction"]) == pytest.approx(
            float(expected["contraction"]), rel=1e-5
        )
    metric = keras_ae.metrics.JacobianNorm(keras.Sequential([layers.Dense(3, "tanh")]))
    metric.update_state(x)
    expected = np.sqrt(squared_norms(metric.encoder, x)).mean()
    assert float(metric.result()) == pytest.approx(expected, rel=1e-5)


@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask")
def test_a_mask_ends_where_the_layer_ends_it():
    x = numbers(6, 5, 3)
    x[:, 3:] = 0
    encoder = keras.Sequential([layers.GRU(4, reset_after=False), layers.Dense(3)])
    contraction = ContractiveRegularizer(0.1, "jacobian")
    inputs = keras.Input((5, 3))
    h = Contractive(encoder, contraction)(layers.Masking()(inputs))
    model = keras.Model(inputs, layers.Dense(3)(h))
    model.compile("sgd", "mse")
    assert np.isfinite(model.fit(x, np.zeros((6, 3)), verbose=0).history["loss"]).all()


@pytest.mark.parametrize("estimator", ["exact", "jacobian", "hutchinson"])
def test_by_hand_the_losses_of_the_encoder_stay(estimator):
    encoder = stack(
        layers.Dense(5, "tanh", activity_regularizer="l2"),
        layers.Dense(4, activity_regularizer="l1"),
    )
    x = numbers(7, 6)
    encoder(x, training=True)
    expected = [float(value) for value in encoder.losses]
    regularizer = ContractiveRegularizer(1.0, estimator, curvature=0.5)
    regularizer.value_and_penalties(encoder, x, np.int64(5))
    np.testing.assert_allclose([float(value) for value in encoder.losses], expected, rtol=1e-5)
    assert len(expected) == 2
