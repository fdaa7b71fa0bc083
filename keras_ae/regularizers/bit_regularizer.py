"""The penalties that make good bits of logits."""

import keras
from keras import ops

from keras_ae._checks import check_number
from keras_ae.types import Config, Tensor


@keras.saving.register_keras_serializable("keras_ae")
class BitRegularizer(keras.regularizers.Regularizer):
    """Bits that are sure, that are 1 for half of the examples, and that do not repeat one another.

    With `h = tanh(z)` of the logits `z`, and means over the batch,

    `penalty = quantization * mean_i sum_j (1 - |h_ij|)^2 + balance * sum_j (mean_i h_ij)^2
    + decorrelation * sum_(j != k) (mean_i h_ij h_ik)^2`

    The value is `n` times this for a batch of `n`: used as `activity_regularizer` of the layer that
    makes the logits, Keras divides it by the batch size. The last two are functions of the batch,
    not of an example: give it batches of some hundred examples.

    Args:
        quantization: Weight of the distance to -1 and 1, a finite number >= 0.
        balance: Weight of the squared mean of each bit, a finite number >= 0.
        decorrelation: Weight of the squared correlations of pairs of bits, a finite number >= 0.

    Shape:
        Logits `(n, ..., bits)`. Means are taken over all axes but the last.

    Raises:
        ValueError: An argument is out of its range, or the logits have no axis of bits.

    Example:

    >>> import keras, keras_ae
    >>> layer = keras.layers.Dense(
    ...     8, activity_regularizer=keras_ae.BitRegularizer(balance=0.1, decorrelation=0.01))
    >>> _ = layer(keras.random.normal((32, 16)))
    >>> len(layer.losses)
    1

    Reference:
        Weiss, Torralba, Fergus: Spectral Hashing, 2008. Liong, Lu, Wang, Moulin, Zhou: Deep Hashing
        for Compact Binary Codes Learning, 2015. Zhu, Long, Wang, Cao: Deep Hashing Network for
        Efficient Similarity Retrieval, 2016.
    """

    penalty_name = "bits"

    def __init__(
        self, quantization: float = 0.0, balance: float = 0.0, decorrelation: float = 0.0
    ) -> None:
        self.quantization = check_number("quantization", quantization, minimum=0)
        self.balance = check_number("balance", balance, minimum=0)
        self.decorrelation = check_number("decorrelation", decorrelation, minimum=0)

    def __call__(self, x: Tensor) -> Tensor:
        """Return the scalar penalty times the batch size, float32."""
        x = ops.convert_to_tensor(x)
        if len(x.shape) < 2:
            raise ValueError(
                "BitRegularizer needs logits of shape (n, ..., bits). "
                f"Received: logits of shape {tuple(x.shape)}"
            )
        n = ops.cast(ops.shape(x)[0], "float32")
        h = ops.reshape(ops.tanh(ops.cast(x, "float32")), (-1, x.shape[-1]))
        # An empty batch, which a replica can get, has no penalty.
        count = ops.maximum(ops.cast(ops.shape(h)[0], "float32"), 1.0)
        penalty = self.quantization * ops.sum(ops.square(1.0 - ops.abs(h))) / count
        penalty += self.balance * ops.sum(ops.square(ops.sum(h, axis=0) / count))
        products = ops.matmul(ops.transpose(h), h) / count
        pairs = ops.square(products) * (1.0 - ops.eye(x.shape[-1]))
        return n * (penalty + self.decorrelation * ops.sum(pairs))

    def get_config(self) -> Config:
        return {
            "quantization": self.quantization,
            "balance": self.balance,
            "decorrelation": self.decorrelation,
        }
