import numpy as np
import pytest
import sklearn.metrics

from keras_ae import metrics

PAIRS = {
    metrics.ExplainedVariance: lambda y, r: sklearn.metrics.explained_variance_score(
        y, r, multioutput="variance_weighted"
    ),
    metrics.NormalizedMeanSquaredError: lambda y, r: (
        1 - sklearn.metrics.r2_score(y, r, multioutput="variance_weighted")
    ),
}

both = pytest.mark.parametrize(("cls", "oracle"), PAIRS.items())


@both
@pytest.mark.parametrize("size", [16, 250, 5000])
def test_is_stable_far_from_zero(cls, oracle, size):
    """Mean 1000 and deviation 1: the square of the mean has no digits left for the deviation."""
    generator = np.random.default_rng(0)
    y = generator.normal(1000, 1, (1000, 6)).astype("float32")
    r = (y + generator.normal(0.01, 0.1, y.shape)).astype("float32")
    metric = cls()
    for i in range(0, len(y), size):
        metric.update_state(y[i : i + size], r[i : i + size])
    assert float(metric.result()) == pytest.approx(
        oracle(y.astype("float64"), r.astype("float64")), rel=1e-4
    )


@both
def test_batches_that_differ_much_are_merged_exactly(cls, oracle):
    generator = np.random.default_rng(0)
    y = np.sort(generator.normal(100, 1, (64, 3)), axis=0).astype("float32")
    r = (0.5 * y + np.linspace(0, 80, 64)[:, None]).astype("float32")
    metric = cls()
    for i in range(0, 64, 10):
        metric.update_state(y[i : i + 10], r[i : i + 10])
    assert float(metric.result()) == pytest.approx(
        oracle(y.astype("float64"), r.astype("float64")), rel=1e-4
    )


@both
def test_a_constant_dimension_counts_by_its_error(cls, oracle):
    y = np.array([[0.0, 5.0], [2.0, 5.0]], "float32")
    metric = cls()
    metric.update_state(y, y)
    perfect = float(metric.result())
    metric.update_state(y, y + np.array([[0.0, 1.0], [0.0, -1.0]]))
    assert perfect == float(cls is metrics.ExplainedVariance)
    # Squares: 4 about the mean of the targets, 2 of the errors.
    expected = 1 - 2 / 4 if cls is metrics.ExplainedVariance else 2 / 4
    assert float(metric.result()) == expected


def test_a_constant_error_explains_everything_and_is_an_error():
    y = np.random.default_rng(0).normal(size=(20, 3)).astype("float32")
    explained, error = metrics.ExplainedVariance(), metrics.NormalizedMeanSquaredError()
    for metric in (explained, error):
        metric.update_state(y, y + 1)
    assert float(explained.result()) == pytest.approx(1, abs=1e-6)
    assert float(error.result()) == pytest.approx(1 / y.var(axis=0).mean(), rel=1e-5)


def test_targets_without_variance_are_loud():
    # No sum of some of 0.1 divided by their number is 0.1 again.
    y = np.full((15, 2), 0.1, "float32")
    prediction = y + np.arange(15)[:, None]
    explained, error = metrics.ExplainedVariance(), metrics.NormalizedMeanSquaredError()
    for metric in (explained, error):
        for part in (slice(0, 7), slice(7, 10), slice(10, 15), slice(0, 0)):
            metric.update_state(y[part], prediction[part])
    assert float(explained.result()) == -np.inf
    assert float(error.result()) == np.inf


@pytest.mark.parametrize("cls", PAIRS)
def test_an_axis_of_one_may_be_left_out(cls):
    y = np.random.default_rng(0).normal(size=9).astype("float32")
    first, second = cls(), cls()
    first.update_state(y, 0.5 * y[:, None])
    second.update_state(y[:, None], 0.5 * y[:, None])
    assert float(first.result()) == float(second.result())


@pytest.mark.tensorflow
@pytest.mark.parametrize("cls", PAIRS)
def test_takes_a_size_that_only_one_of_the_two_tells(cls):
    import tensorflow as tf

    y = np.random.default_rng(0).normal(size=(9, 4)).astype("float32")
    metric, expected = cls(), cls()
    update = tf.function(
        metric.update_state,
        input_signature=[tf.TensorSpec((None, None)), tf.TensorSpec((None, 4))],
    )
    update(y, 0.5 * y)
    expected.update_state(y, 0.5 * y)
    assert float(metric.result()) == float(expected.result())


@pytest.mark.parametrize("cls", PAIRS)
@pytest.mark.parametrize(
    ("shape", "other"), [((4, 3), (4, 2)), ((4, 2, 3), (4, 3, 2)), ((4, 6), (4, 2, 3))]
)
def test_refuses_different_shapes(cls, shape, other):
    with pytest.raises(ValueError, match="y_true and y_pred must have the same shape"):
        cls().update_state(np.zeros(shape), np.zeros(other))


@pytest.mark.tensorflow
def test_refuses_shapes_that_nothing_tells():
    import tensorflow as tf

    update = tf.function(
        lambda x: metrics.ExplainedVariance().update_state(x, x),
        input_signature=[tf.TensorSpec((None, None))],
    )
    with pytest.raises(ValueError, match="must have the same shape, known but for the batch"):
        update(np.zeros((2, 3), "float32"))
