import numpy as np
import pytest

from keras_ae import metrics


def test_counts_magnitudes_above_the_threshold():
    metric = metrics.L0(1.0)
    metric.update_state(None, [[-2.0, 1.0, 0.5], [1.5, -1.5, 9.0]])
    assert float(metric.result()) == 2.0


def test_infinite_elements_are_active():
    metric = metrics.L0()
    metric.update_state(None, [[np.inf, -np.inf, 0.0]])
    assert float(metric.result()) == 2.0


@pytest.mark.parametrize("threshold", [-1, float("nan"), "1"])
def test_refuses_a_bad_threshold(threshold):
    with pytest.raises(ValueError, match=r"threshold must be a finite number >= 0\."):
        metrics.L0(threshold)
