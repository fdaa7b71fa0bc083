"""Keep the k strongest units of every example."""

from typing import Any

import keras
from keras import ops

from keras_ae._checks import check_integer
from keras_ae.ops.sparsity import keep_largest
from keras_ae.types import Config, Tensor


@keras.saving.register_keras_serializable("keras_ae")
class TopK(keras.layers.Layer):
    """Keep the `k` largest units of an example, and set the others to 0.

    `z_i = relu(p_i)` if `p_i` is among the `k` largest of its example, else `0`

    No example has more than `k` units other than 0: of equal values those with a lower index are
    kept. The gradient flows through the values kept. Training and inference are the same.

    Args:
        k: Units kept, an integer >= 1 and at most the size of the last axis.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Shape:
        Input `(n, ..., units)`, pre-activations; the output is the same. With axes between, each
        position keeps `k` units.

    Raises:
        ValueError: `k` is not an integer >= 1 or, when the layer is built, is above `units`.

    Example:

    >>> import keras, keras_ae
    >>> layer = keras_ae.TopK(2)
    >>> [float(z) for z in layer(keras.ops.array([[0.3, 0.9, -1.0, 0.5]]))[0]]
    [0.0, 0.8999999761581421, 0.0, 0.5]

    Reference:
        Makhzani and Frey: k-Sparse Autoencoders, 2013. Gao, Dupre la Tour, Tillman, Goh, Troll,
        Radford, Sutskever, Leike, Wu: Scaling and Evaluating Sparse Autoencoders, 2024.
    """

    def __init__(self, k: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.k = check_integer("k", k, minimum=1)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        check_fits(self.k, input_shape)

    def call(self, inputs: Tensor) -> Tensor:
        rows = ops.reshape(inputs, (-1, inputs.shape[-1]))
        return ops.reshape(keep_largest(rows, self.k), ops.shape(inputs))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> Config:
        return {**super().get_config(), "k": self.k}


def check_fits(k: int, input_shape: Any) -> None:
    """Raise a ValueError unless the last axis has at least `k` units."""
    if input_shape[-1] is None or k > input_shape[-1]:
        raise ValueError(
            f"k must be at most the size of the last axis, {input_shape[-1]}. Received: k={k}"
        )
