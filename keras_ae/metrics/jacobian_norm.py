"""How much an encoder contracts."""

from functools import partial
from typing import Any

import keras
from keras import ops

from keras_ae._sharing import always_save_as_shared
from keras_ae.layers.contractive import Contractive
from keras_ae.ops._isolated_scope import are_known
from keras_ae.ops.differentiation import value_and_jacobian
from keras_ae.regularizers._dense_stack import dense_stack, value_and_factors
from keras_ae.regularizers._jacobians import DenseJacobian, WholeJacobian
from keras_ae.types import Config, Tensor


@keras.saving.register_keras_serializable("keras_ae")
class JacobianNorm(keras.metrics.Mean):
    """Mean Frobenius norm of an encoder's Jacobian, `mean_b ||d h(x_b) / d x_b||`, as at inference.

    A stack of dense layers is measured from its factors, any other encoder from its whole Jacobian,
    which is slow and takes memory for `n * outputs * inputs` numbers.

    The first argument of `update_state` is the encoder's input. In a model that is fitted to
    reproduce its input, that is the target: `compile(..., metrics=[JacobianNorm(encoder)])` is all.
    On JAX, where Keras computes metrics without the weights, give it to an `Autoencoder` as
    `compile(..., code_metrics=[JacobianNorm(encoder)])`.

    Args:
        encoder: Layer or model with one input and one output, each example mapped on its own. In a
            saved and loaded model, it is the encoder of that model again.
        name: Name in logs and history.
        dtype: As in `keras.metrics.Metric`.

    Raises:
        ValueError: `encoder` is not a layer or model.
        RuntimeError: It is one of Keras's own `metrics` on JAX, at the first update.

    Example:

    >>> import keras, keras_ae, numpy as np
    >>> encoder = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, use_bias=False)])
    >>> encoder.set_weights([np.array([[3, 0], [0, 4], [0, 0]])])
    >>> norm = keras_ae.metrics.JacobianNorm(encoder)
    >>> norm.update_state(keras.ops.ones((5, 3)))
    >>> round(float(norm.result()), 4)
    5.0

    Reference:
        Rifai, Vincent, Muller, Glorot, Bengio: Contractive Auto-Encoders: Explicit Invariance
        During Feature Extraction, 2011.
    """

    def __init__(
        self, encoder: keras.layers.Layer, name: str = "jacobian_norm", dtype: Any = None
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        if not isinstance(encoder, keras.layers.Layer):
            raise ValueError(
                f"encoder must be a Keras layer or model. Received: encoder={encoder!r}"
            )
        self.encoder = encoder
        always_save_as_shared(encoder)

    def update_state(
        self, y_true: Tensor, y_pred: Tensor = None, sample_weight: Tensor = None
    ) -> None:
        """Add a batch.

        Args:
            y_true: The encoder's input, `(n, ...)`; integers are taken as floats.
            y_pred: Ignored.
            sample_weight: `(n,)` weights of the examples, or `None`.
        """
        if keras.backend.backend() == "jax" and not are_known(self.encoder.weights):
            raise RuntimeError(
                "JacobianNorm must be given as compile(code_metrics=[...]) of an Autoencoder on "
                "JAX: what is in metrics=[...] has no weights there"
            )
        inputs = ops.cast(y_true, keras.config.floatx())
        encoder = self.encoder.layer if isinstance(self.encoder, Contractive) else self.encoder
        try:
            stack = dense_stack(encoder)
        except ValueError:
            _, matrix = value_and_jacobian(partial(encoder, training=False), inputs)
            squares = WholeJacobian(matrix).squared_norms()
        else:
            _, kernels, slopes = value_and_factors(stack, inputs, training=False)
            squares = DenseJacobian(kernels, slopes).squared_norms()
        inner = tuple(range(1, len(squares.shape)))
        super().update_state(ops.sqrt(ops.sum(squares, axis=inner)), sample_weight)

    def get_config(self) -> Config:
        return {
            "name": self.name,
            "dtype": self.dtype,
            "encoder": keras.saving.serialize_keras_object(self.encoder),
        }

    @classmethod
    def from_config(cls, config: Config) -> "JacobianNorm":
        return cls(
            **{**config, "encoder": keras.saving.deserialize_keras_object(config["encoder"])}
        )
