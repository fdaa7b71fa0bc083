"""Jacobians of an encoder over an array, some examples at a time."""

from collections.abc import Iterator

import keras
import numpy as np
from keras import ops

from keras_ae._checks import check_finite, check_integer
from keras_ae.analysis._arguments import JIT_COMPILE, at_inference, progress_bar
from keras_ae.ops.dense_jacobian import jacobian
from keras_ae.ops.differentiation import value_and_jacobian
from keras_ae.regularizers._dense_stack import dense_stack, value_and_factors
from keras_ae.types import FloatArray, Tensor, TensorFunction


def jacobians(
    encoder: TensorFunction,
    x: FloatArray,
    batch_size: int,
    verbose: int | str,
    dtype: str | None = "float64",
) -> Iterator[FloatArray]:
    """Yield the Jacobians of each batch of `x` at inference, `(b, outputs, inputs)`.

    `dtype=None` leaves them in float32, or in float64 where the encoder computes in it.

    Raises:
        ValueError: An argument is not as the public functions say.
    """
    function = at_inference("encoder", encoder)
    x = check_finite("x", x).astype(keras.config.floatx(), copy=False)
    if x.ndim < 2 or x.size == 0:
        raise ValueError(f"x must have shape (n, ...), n >= 1. Received: x with shape={x.shape}")
    check_integer("batch_size", batch_size, minimum=1)
    bar = progress_bar(len(x), verbose)
    # Once outside what is compiled, where a layer may still make its weights.
    outputs = function(ops.convert_to_tensor(x[:1]))
    if not ops.is_tensor(outputs) or len(outputs.shape) < 2 or outputs.shape[0] != 1:
        raise ValueError(
            "encoder must return one tensor (n, ...) for an input (n, ...). "
            f"Received: one that returns {outputs!r}"
        )
    compiled = _Jacobian(encoder, function)
    for start in range(0, len(x), batch_size):
        batch = x[start : start + batch_size]
        matrices = compiled.predict_on_batch(batch)
        if not np.isfinite(matrices).all():
            raise ValueError(
                "encoder must have a finite Jacobian at x. Received: one with "
                f"{np.count_nonzero(~np.isfinite(matrices))} NaN or infinite values of "
                f"{matrices.size} in the batch from example {start}"
            )
        matrices = matrices.astype(dtype or matrices.dtype, copy=False)
        yield matrices.reshape(len(batch), -1, x[0].size)
        bar.add(len(batch))


class _Jacobian(keras.Model):
    """Compiled by `predict_on_batch`: an eager Jacobian takes ten times as long."""

    def __init__(self, encoder: TensorFunction, function: TensorFunction) -> None:
        super().__init__(autocast=False, name="jacobian")
        self.jit_compile = JIT_COMPILE
        self.function = function
        try:
            self.stack = dense_stack(encoder)
        except ValueError:
            self.stack = []

    def call(self, inputs: Tensor) -> Tensor:
        # A product of matrices, where there is one, costs a hundredth of the differentiation.
        if self.stack and len(inputs.shape) == 2:
            outputs, kernels, slopes = value_and_factors(self.stack, inputs, training=False)
            dtype = _at_least_float32(outputs)
            kernels = [ops.cast(kernel, dtype) for kernel in kernels]
            slopes = [slope if slope is None else ops.cast(slope, dtype) for slope in slopes]
            return jacobian(kernels, slopes)
        _, matrices = value_and_jacobian(self.function, inputs)
        return ops.cast(matrices, _at_least_float32(matrices))


def _at_least_float32(x: Tensor) -> str:
    return "float64" if keras.backend.standardize_dtype(x.dtype) == "float64" else "float32"
