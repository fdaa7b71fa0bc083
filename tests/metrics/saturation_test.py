import pytest

from keras_ae import metrics


def test_the_ends_themselves_are_not_saturated():
    metric = metrics.Saturation(0.25, 0.75)
    metric.update_state(None, [[0.25, 0.75, 0.24, 0.76]])
    assert float(metric.result()) == 0.5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"low": float("-inf")}, r"low must be a finite number"),
        ({"low": 0.5, "high": 0.5}, r"high must be a finite number > 0\.5\. Received: high=0\.5"),
        ({"high": "1"}, r"high must be a finite number > 0\.05\. Received: high='1'"),
    ],
)
def test_refuses_bad_ends(arguments, message):
    with pytest.raises(ValueError, match=message):
        metrics.Saturation(**arguments)
