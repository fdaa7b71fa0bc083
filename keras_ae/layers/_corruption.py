"""What the layers that corrupt their input share."""

import math
from typing import Any, ClassVar

import keras
from keras import ops

from keras_ae._checks import check_number, check_seed
from keras_ae.ops import random
from keras_ae.types import Config, Tensor


class Corruption(keras.layers.Layer):
    """Identity outside training; in training `corrupt`, with noise drawn anew at every call.

    The level of the noise is a weight, not a number: a callback can change it between batches
    without another trace, and a saved model keeps it.

    Args:
        level: Initial level of the noise, which the subclass keeps under the name `level_name`.
        seed: Integer >= 0 that makes the noise reproducible, or `None`.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.
    """

    level_name: ClassVar[str]
    maximum: ClassVar[float] = math.inf

    def __init__(self, level: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seed = check_seed(seed)
        self.seed_generator = keras.random.SeedGenerator(self.seed)
        # float32 under any policy: half precision would round a small rate, or lose it.
        self.level = self.add_weight(
            name=self.level_name,
            shape=(),
            initializer=keras.initializers.Constant(self.check_level(level)),
            dtype="float32",
            trainable=False,
            autocast=False,
        )
        self.supports_masking = True

    @classmethod
    def check_level(cls, level: Any) -> float:
        """Return `level` as a float, or raise a ValueError that names the argument."""
        return check_number(cls.level_name, level, minimum=0, maximum=cls.maximum)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        if not keras.backend.is_float_dtype(inputs.dtype):
            inputs = ops.cast(inputs, self.compute_dtype)
        return self.corrupt(inputs) if training else inputs

    def corrupt(self, inputs: Tensor) -> Tensor:
        """Return the corrupted inputs, of the same shape and dtype. For subclasses."""
        raise NotImplementedError

    def uniform(self, inputs: Tensor) -> Tensor:
        """Return a number in [0, 1) for each element of `inputs`, fine enough for any rate."""
        return random.uniform(ops.shape(inputs), self.seed_generator)

    def normal(self, inputs: Tensor) -> Tensor:
        """Return a number from N(0, 1) for each element of `inputs`, float32."""
        return random.normal(ops.shape(inputs), self.seed_generator)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            self.level_name: getattr(self, self.level_name),
            "seed": self.seed,
        }
