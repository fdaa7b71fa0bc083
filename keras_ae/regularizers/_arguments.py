"""What penalties on derivatives take: a weight for a regularizer, and inputs of any type."""

from typing import Any

import keras
from keras import ops
from keras.src.backend import get_keras_mask, set_keras_mask

from keras_ae._checks import check_number
from keras_ae.types import Tensor


def regularizer_of(kind: Any, name: str, value: Any) -> Any:
    """Return what `value` stands for: a regularizer, its serialized form, or a weight."""
    if isinstance(value, dict):
        value = keras.saving.deserialize_keras_object(value)
    return value if isinstance(value, kind) else kind(check_number(name, value, minimum=0))


def differentiable(inputs: Tensor) -> Tensor:
    """Return inputs as a float tensor."""
    inputs = ops.convert_to_tensor(inputs)
    if keras.backend.is_float_dtype(inputs.dtype):
        return inputs
    # Integers have no derivative: it would be 0 without a word.
    return masked_as(inputs, ops.cast(inputs, keras.config.floatx()))


def masked_as(inputs: Tensor, x: Tensor) -> Tensor:
    """Return `x` with the mask of `inputs`, which what is computed from them does not have."""
    mask = get_keras_mask(inputs)
    if mask is not None:
        set_keras_mask(x, mask)
    return x
