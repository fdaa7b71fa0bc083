import numpy as np
import pytest

from keras_ae import metrics


def test_a_unit_lives_if_any_example_of_any_batch_activates_it():
    metric = metrics.DeadFraction()
    for batch, expected in (
        ([[0.0, 0.0, -1.0, 0.0]], 1.0),
        ([[0.0, 2.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]], 0.75),
        ([[0.0, 0.0, 0.0, 0.0]], 0.75),
        ([[1e-30, 0.0, 0.0, 0.0]], 0.5),
    ):
        metric.update_state(None, batch)
        assert float(metric.result()) == expected
    metric.reset_state()
    metric.update_state(None, [[0.0, 0.0, 0.0, 5.0]])
    assert float(metric.result()) == 0.75


def test_a_map_lives_if_it_is_active_at_any_position():
    maps = np.zeros((2, 4, 4, 3), "float32")
    maps[1, 2, 3, 1] = 1.0
    metric = metrics.DeadFraction()
    metric.update_state(None, maps)
    assert float(metric.result()) == pytest.approx(2 / 3)


def test_the_threshold_is_a_value_and_not_a_magnitude():
    metric = metrics.DeadFraction(-0.5)
    metric.update_state(None, [[-0.9, -0.4]])
    assert float(metric.result()) == 0.5


@pytest.mark.tensorflow
def test_refuses_an_unknown_number_of_units():
    import tensorflow as tf

    update = tf.function(
        lambda code: metrics.DeadFraction().update_state(None, code),
        input_signature=[tf.TensorSpec((None, None))],
    )
    with pytest.raises(ValueError, match=r"y_pred must have a last axis of known size\."):
        update(np.zeros((2, 3), "float32"))


def test_refuses_a_bad_threshold():
    with pytest.raises(ValueError, match=r"threshold must be a finite number\. .*threshold=nan"):
        metrics.DeadFraction(float("nan"))
