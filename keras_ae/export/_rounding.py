"""Kernels rounded to int8 together, so that the errors of a layer's inputs cancel."""

import keras
import numpy as np
from keras import ops

from keras_ae._chain import flattened
from keras_ae.types import FloatArray

_LEVELS = 127
# The rounding of one kernel takes time in the third power of its inputs.
_MOST_INPUTS = 4096
_DAMPING = 0.01


def rounded_copy(model: keras.layers.Layer, x: FloatArray) -> keras.Model | None:
    """Return a copy of a chain of layers whose dense kernels are exact in int8, a scale a unit.

    Args:
        model: An encoder, built.
        x: Inputs `(n, ...)` that it is to be right for.

    Returns:
        The copy, or `None` for a model of another kind, without dense layers, or that a copy does
        not equal: tied layers and state outside weights and configuration do not survive one.

    Reference:
        Frantar, Ashkboos, Hoefler, Alistarh: GPTQ, 2022. Hassibi and Stork: Second Order
        Derivatives for Network Pruning: Optimal Brain Surgeon, 1992.
    """
    layers = flattened(model)
    if not isinstance(model, keras.Model) or not any(map(_is_dense, layers)):
        return None
    h = ops.convert_to_tensor(x)
    try:
        copy = keras.models.clone_model(model)
        copy.set_weights(model.get_weights())
        same = np.allclose(copy(h), model(h), rtol=1e-4, atol=1e-6)
        kernels = [twin.kernel for twin in flattened(copy) if _is_dense(twin)]
    except Exception:  # Layers from elsewhere raise many types.
        return None
    if not same or not all(isinstance(kernel, keras.Variable) for kernel in kernels):
        return None
    for layer, twin in zip(layers, flattened(copy), strict=True):
        if _is_dense(layer) and len(h.shape) == 2:
            kernel = ops.convert_to_numpy(layer.kernel)
            twin.kernel.assign(rounded(kernel, ops.convert_to_numpy(h)))
        h = layer(h)
    return copy


def rounded(kernel: FloatArray, x: FloatArray) -> FloatArray:
    """Return the kernel on a grid of 255 levels a column, with little change to `x @ kernel`.

    Input by input, the error that rounding makes is taken up by the inputs that follow, as far as
    they vary alike. The largest value of a column stays, and with it the grid.

    Args:
        kernel: `(inputs, units)`.
        x: `(n, inputs)`.
    """
    w = kernel.astype("float64")
    largest = np.abs(w).argmax(axis=0)
    step = np.abs(w).max(axis=0) / _LEVELS
    step[step == 0] = 1.0
    ends = np.rint(w[largest, np.arange(w.shape[1])] / step)
    hessian = x.T.astype("float64") @ x
    scale = np.diag(hessian).mean()
    hessian += np.eye(len(w)) * (_DAMPING * scale if scale else 1.0)
    # First the inputs that matter most, while many are left to make up for them.
    order = np.argsort(-np.diag(hessian), kind="stable")
    inverse = np.linalg.inv(hessian[np.ix_(order, order)])
    factor = np.linalg.cholesky(inverse).T
    w = w[order]
    levels = np.empty_like(w)
    for i, row in enumerate(order):
        levels[i] = np.clip(np.rint(w[i] / step), -_LEVELS, _LEVELS)
        levels[i, largest == row] = ends[largest == row]
        error = (w[i] - levels[i] * step) / factor[i, i]
        w[i + 1 :] -= np.outer(factor[i, i + 1 :], error)
    result = np.empty_like(kernel)
    result[order] = levels * step
    return result


def _is_dense(layer: keras.layers.Layer) -> bool:
    return isinstance(layer, keras.layers.Dense) and layer.kernel.shape[0] <= _MOST_INPUTS
