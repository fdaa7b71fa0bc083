"""Keep the strongest units of a whole batch."""

from typing import Any

import keras
from keras import ops

from keras_ae._checks import check_integer, check_number
from keras_ae.layers.top_k import check_fits
from keras_ae.ops.sparsity import keep_largest
from keras_ae.types import Config, Tensor


@keras.saving.register_keras_serializable("keras_ae")
class BatchTopK(keras.layers.Layer):
    """Keep `k` units an example on average: in training, the `n * k` largest of the batch.

    In training `z_bi = relu(p_bi)` if `p_bi` is among the `n * k` largest of the batch, else `0`.
    Otherwise `z_bi = relu(p_bi) * [p_bi > threshold]`

    Examples share the budget, so that one may use more units than another. `threshold` is a weight
    that no gradient trains: the running average over training of the smallest value above 0 that
    was kept. With it an example's code does not depend on the batch. Before training it is 0.

    Args:
        k: Units kept on average, an integer >= 1 and at most the size of the last axis.
        momentum: How much of the threshold stays at an update, from 0 to below 1.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: Float tensor of pre-activations.
        training: Whether to choose over the batch.

    Shape:
        Input `(n, ..., units)`; the output is the same. Positions of axes between count as
        examples, masked ones too.

    Raises:
        ValueError: An argument is out of its range or, when the layer is built, `k` is above
            `units`.

    Example:

    >>> import keras, keras_ae
    >>> layer = keras_ae.BatchTopK(1)
    >>> p = keras.ops.array([[4.0, 3.0], [1.0, 2.0]])
    >>> keras.ops.convert_to_numpy(layer(p, training=True)).tolist()
    [[4.0, 3.0], [0.0, 0.0]]
    >>> float(layer.threshold)
    3.0

    Reference:
        Bussmann, Leask, Nanda: BatchTopK Sparse Autoencoders, 2024.
    """

    def __init__(self, k: int, momentum: float = 0.99, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.k = check_integer("k", k, minimum=1)
        self.momentum = check_number("momentum", momentum, minimum=0)
        if self.momentum >= 1:
            raise ValueError(f"momentum must be below 1. Received: momentum={momentum!r}")
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        check_fits(self.k, input_shape)
        # In float32 under any policy: half precision would lose the small steps of the average.
        self.threshold = self.add_weight(
            name="threshold",
            shape=(),
            dtype="float32",
            initializer="zeros",
            trainable=False,
            autocast=False,
        )

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        if not training:
            # This way round, so that NaN stays NaN.
            weak = ops.cast(inputs, "float32") <= self.threshold
            return ops.where(weak, ops.zeros_like(inputs), ops.relu(inputs))
        size = ops.size(inputs)
        positions = size // inputs.shape[-1]
        kept = ops.reshape(
            keep_largest(ops.reshape(inputs, (1, size)), positions * self.k), ops.shape(inputs)
        )
        self._follow(ops.cast(ops.stop_gradient(kept), "float32"))
        return kept

    def _follow(self, kept: Tensor) -> None:
        old = ops.convert_to_tensor(self.threshold)
        smallest = ops.min(ops.where(kept > 0, kept, float("inf")), initial=float("inf"))
        mean = self.momentum * old + (1 - self.momentum) * smallest
        new = ops.where(old > 0, mean, smallest)
        # An empty batch, or one without a positive value, says nothing.
        self.threshold.assign(ops.where(ops.isfinite(smallest), new, old))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> Config:
        return {**super().get_config(), "k": self.k, "momentum": self.momentum}
