"""Logits to bits by a slope that grows in training."""

from typing import Any

import keras
from keras import ops

from keras_ae._checks import check_number
from keras_ae.layers._binarization import Binarization
from keras_ae.types import Config, Tensor


@keras.saving.register_keras_serializable("keras_ae")
class TanhCode(Binarization):
    """Turn logits into the bits 0 and 1, in training by a `tanh` that grows ever steeper.

    Outside training, `b_j = 1 if z_j > 0 else 0`. In training step `t`, counted from 0,

    `b_j = (1 + tanh(s_t z_j)) / 2`, `s_t = sqrt(1 + growth * t)`

    which is smooth at first, where learning is easy, and tends to the threshold: continuation.

    Args:
        growth: Growth of the squared slope a step, a finite number >= 0.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: Float tensor of logits, any rank.
        training: Whether to use the training form, and to count a step.

    Shape:
        Input and output are the same.

    Raises:
        ValueError: An argument is out of its range.

    Example:

    >>> import keras, keras_ae
    >>> code = keras_ae.TanhCode(growth=0.5)
    >>> logits = keras.ops.array([-2.0, 0.0, 0.5])
    >>> [float(b) for b in code(logits)]
    [0.0, 0.0, 1.0]
    >>> early = code(logits, training=True)
    >>> later = code(logits, training=True)
    >>> bool(early[2] < later[2] < 1)
    True

    Reference:
        Cao, Long, Wang, Yu: HashNet: Deep Learning to Hash by Continuation, 2017.
    """

    def __init__(self, growth: float = 0.005, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.growth = check_number("growth", growth, minimum=0)
        self.steps = self.add_weight(
            name="steps",
            shape=(),
            dtype="int",
            initializer="zeros",
            trainable=False,
            # Replicas step together: any of them has counted right.
            aggregation="only_first_replica",
        )

    def relax(self, inputs: Tensor) -> Tensor:
        # In float32: in float16 the count would stand still at 2048.
        slope = ops.sqrt(1.0 + self.growth * ops.cast(self.steps, "float32"))
        self.steps.assign_add(1)
        logits = ops.cast(inputs, self.compute_dtype)
        return ops.sigmoid(2.0 * ops.cast(slope, self.compute_dtype) * logits)

    def get_config(self) -> Config:
        return {**super().get_config(), "growth": self.growth}
