"""What layers that turn logits into bits have in common."""

from typing import Any

import keras
from keras import ops

from keras_ae.types import Tensor


class Binarization(keras.layers.Layer):
    """Base of the layers whose output is the bits `z > 0`, and in training `relax(z)`."""

    def __init__(self, **kwargs: Any) -> None:
        # A tiny positive logit must not become 0 in float16 before it meets the threshold.
        super().__init__(autocast=False, **kwargs)
        self.supports_masking = True

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        return self.relax(inputs) if training else self.threshold(inputs)

    def threshold(self, inputs: Tensor) -> Tensor:
        """Return the bits, 0 or 1."""
        return ops.cast(inputs > 0, self.compute_dtype)

    def relax(self, inputs: Tensor) -> Tensor:
        """Return what stands for the bits in training. For subclasses."""
        raise NotImplementedError

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape
