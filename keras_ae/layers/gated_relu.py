"""A ReLU that decides whether a unit is on apart from how much."""

from typing import Any

import keras
from keras import ops

from keras_ae._checks import check_number
from keras_ae.ops.batch import batch_mean
from keras_ae.types import Config, Tensor


@keras.saving.register_keras_serializable("keras_ae")
class GatedReLU(keras.layers.Layer):
    """Let one sign decide whether a unit is on, and a scale and a shift of its own how much.

    `z_i = [p_i > 0] relu(exp(r_i) p_i + b_i)`, and in training
    `loss += sparsity * mean_b sum_i relu(p_i)`

    The penalty shrinks `p`, which decides; `r` and `b`, which measure, can make up for it.

    This is the gated encoder with tied weights as an activation. There the gate is
    `w_i x + c_i > 0` and the magnitude `relu(exp(r_i) w_i x + d_i)`. With the pre-activation
    `p_i = w_i x + c_i` of a dense layer the magnitude is `relu(exp(r_i) p_i + b_i)` with
    `b_i = d_i - exp(r_i) c_i`: for every `d` there is one `b`, and no encoder is lost or gained.

    The step has no gradient, so reconstruction trains the magnitudes alone. What is to train the
    gates is the reconstruction from `relu(p)` by a frozen decoder: `SparseAutoencoder` adds it.

    Args:
        sparsity: Weight of the penalty, a finite number >= 0.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: Float tensor of pre-activations.
        training: Whether to add the penalty.

    Shape:
        Input `(n, ..., units)`; the output is the same. With axes between, an example's penalty is
        the sum over positions.

    Raises:
        ValueError: An argument is out of its range.

    Example:

    >>> import keras, keras_ae
    >>> layer = keras_ae.GatedReLU()
    >>> [float(z) for z in layer(keras.ops.array([[-1.0, 0.25, 0.75]]))[0]]
    [0.0, 0.25, 0.75]

    Reference:
        Rajamanoharan, Conmy, Smith, Lieberum, Varma, Kramar, Shah, Nanda: Improving Dictionary
        Learning with Gated Sparse Autoencoders, 2024.
    """

    def __init__(self, sparsity: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.sparsity = check_number("sparsity", sparsity, minimum=0)
        self.supports_masking = True

    @property
    def penalty_names(self) -> tuple[str, ...]:
        """Names of the losses that a training call adds, in their order."""
        return ("sparsity",) if self.sparsity > 0 else ()

    def build(self, input_shape: Any) -> None:
        units = (input_shape[-1],)
        self.log_scale = self.add_weight(name="log_scale", shape=units, initializer="zeros")
        self.shift = self.add_weight(name="shift", shape=units, initializer="zeros")

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        if training and self.sparsity > 0:
            self.add_loss(self.sparsity * batch_mean(ops.relu(inputs)))
        magnitude = ops.relu(ops.exp(self.log_scale) * inputs + self.shift)
        # This way round, so that NaN stays NaN.
        return ops.where(inputs <= 0, ops.zeros_like(magnitude), magnitude)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> Config:
        return {**super().get_config(), "sparsity": self.sparsity}
