"""A ReLU with a threshold that is learnt for each unit."""

import math
from typing import Any

import keras
from keras import ops

from keras_ae._checks import check_number
from keras_ae.ops.batch import batch_mean
from keras_ae.types import Config, Tensor


@keras.saving.register_keras_serializable("keras_ae")
class JumpReLU(keras.layers.Layer):
    """Pass a unit on as it is above its threshold, and set it to 0 below; learn the thresholds.

    `z_i = p_i [p_i > theta_i]`, and in training
    `loss += sparsity * mean_b sum_i [p_i > theta_i]`

    Both are steps in `theta`. Their derivatives are those of the expectation over the data,
    estimated with a window `K(u) = [|u| < 1/2]` of width `bandwidth` around the threshold:

    - `dz / dp = [p > theta]` and `dz / dtheta = -(theta / bandwidth) K((p - theta) / bandwidth)`;
    - `d[p > theta] / dtheta = -(1 / bandwidth) K((p - theta) / bandwidth)`, and 0 for `p`.

    The penalty counts units rather than their size, so it does not shrink what is kept.

    Args:
        threshold: Initial `theta` of every unit, in units of the input, a finite number > 0.
        bandwidth: Width of the window, in units of the input, a finite number > 0. A wide window
            learns from more examples, a narrow one with less bias.
        sparsity: Weight of the count, a finite number >= 0. The mean squared error of inputs in
            [0, 1] goes with 1e-5 to 1e-3.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: Float tensor of pre-activations.
        training: Whether to add the penalty.

    Shape:
        Input `(n, ..., units)`; the output is the same. With axes between, an example's count is
        the sum over positions.

    Raises:
        ValueError: An argument is out of its range.

    Example:

    >>> import keras, keras_ae
    >>> layer = keras_ae.JumpReLU(threshold=0.5)
    >>> [float(z) for z in layer(keras.ops.array([[-1.0, 0.25, 0.75]]))[0]]
    [0.0, 0.0, 0.75]

    Reference:
        Rajamanoharan, Lieberum, Sonnerat, Conmy, Varma, Kramar, Nanda: Jumping Ahead: Improving
        Reconstruction Fidelity with JumpReLU Sparse Autoencoders, 2024.
    """

    def __init__(
        self, threshold: float = 0.1, bandwidth: float = 0.1, sparsity: float = 0.0, **kwargs: Any
    ) -> None:
        # Half precision moves a value across its threshold, and 1 / bandwidth out of its range.
        super().__init__(autocast=False, **kwargs)
        self.threshold = check_number("threshold", threshold, minimum=0, exclusive=True)
        self.bandwidth = check_number("bandwidth", bandwidth, minimum=0, exclusive=True)
        self.sparsity = check_number("sparsity", sparsity, minimum=0)
        self.supports_masking = True

    @property
    def penalty_names(self) -> tuple[str, ...]:
        """Names of the losses that a training call adds, in their order."""
        return ("sparsity",) if self.sparsity > 0 else ()

    def build(self, input_shape: Any) -> None:
        # As a logarithm, so that a threshold stays positive.
        self.log_threshold = self.add_weight(
            name="log_threshold",
            shape=(input_shape[-1],),
            initializer=keras.initializers.Constant(math.log(self.threshold)),
            autocast=False,
        )

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        p = ops.cast(inputs, self.variable_dtype)
        theta = ops.exp(self.log_threshold)
        # This way round, so that NaN stays NaN.
        z = ops.where(p <= theta, ops.zeros_like(p), p)
        if not training:
            return ops.cast(z, self.compute_dtype)
        edge = ops.stop_gradient(theta)
        near = ops.abs(ops.stop_gradient(p) - edge) < self.bandwidth / 2
        window = ops.cast(near, p.dtype) / self.bandwidth
        # Exactly 0, with the derivative of theta.
        step = theta - edge
        if self.sparsity > 0:
            count = ops.cast(ops.stop_gradient(p) > edge, p.dtype) - window * step
            self.add_loss(self.sparsity * batch_mean(count))
        return ops.cast(z - edge * window * step, self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "threshold": self.threshold,
            "bandwidth": self.bandwidth,
            "sparsity": self.sparsity,
        }
