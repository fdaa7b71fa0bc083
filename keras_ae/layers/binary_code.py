"""Logits to bits, with a gradient in training."""

from typing import Any, ClassVar

import keras
from keras import ops

from keras_ae._checks import check_choice, check_number, check_seed
from keras_ae.layers._binarization import Binarization
from keras_ae.ops import random
from keras_ae.types import Config, Tensor

# Logits of variance 1 reach both bounds.
_SLOPE = 4.0


@keras.saving.register_keras_serializable("keras_ae")
class BinaryCode(Binarization):
    """Turn logits into the bits 0 and 1, in a way that trains.

    Outside training, `b_j = 1 if z_j > 0 else 0`. In training the threshold has no gradient, so:

    - `"straight_through"`: the output is `b` and the gradient that of `sigmoid(z)`;
    - `"noisy"`: the output is `sigmoid(z + e)`, `e ~ N(0, stddev^2)`. To carry information through
      the noise the logits grow away from 0, until the threshold changes little;
    - `"noisy_bits"`: the output is `sigmoid(4 z) + e`. A signal between bounds carries most through
      much noise at the bounds themselves. For logits that cannot grow, such as normalised ones.

    Args:
        gradient: `"straight_through"`, `"noisy"` or `"noisy_bits"`.
        stddev: Standard deviation of the noise, a finite number >= 0: in units of the logits for
            `"noisy"`, of the bits for `"noisy_bits"`. Not used by `"straight_through"`.
        seed: Integer >= 0 that makes the noise reproducible, or `None`.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: Float tensor of logits, any rank.
        training: Whether to use the training form.

    Shape:
        Input and output are the same.

    Raises:
        ValueError: An argument is out of its range.

    Example:

    >>> import keras, keras_ae
    >>> code = keras_ae.BinaryCode()
    >>> [float(b) for b in code(keras.ops.array([-2.0, 0.0, 0.5]))]
    [0.0, 0.0, 1.0]

    Reference:
        Bengio, Leonard, Courville: Estimating or Propagating Gradients Through Stochastic Neurons,
        2013. Salakhutdinov and Hinton: Semantic Hashing, 2009. Smith: The Information Capacity of
        Amplitude- and Variance-Constrained Scalar Gaussian Channels, 1971.
    """

    gradients: ClassVar[tuple[str, ...]] = ("straight_through", "noisy", "noisy_bits")

    def __init__(
        self,
        gradient: str = "straight_through",
        stddev: float = 1.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.gradient = check_choice("gradient", gradient, self.gradients)
        self.stddev = check_number("stddev", stddev, minimum=0)
        self.seed = check_seed(seed)
        if gradient != "straight_through":
            self.seed_generator = keras.random.SeedGenerator(self.seed)

    def relax(self, inputs: Tensor) -> Tensor:
        logits = ops.cast(inputs, self.compute_dtype)
        if self.gradient != "straight_through":
            noise = self.stddev * random.normal(ops.shape(logits), self.seed_generator)
            noise = ops.cast(noise, logits.dtype)
            if self.gradient == "noisy":
                return ops.sigmoid(logits + noise)
            return ops.sigmoid(_SLOPE * logits) + noise
        soft = ops.sigmoid(logits)
        # In this order the forward value is exactly 0 or 1.
        return self.threshold(inputs) + (soft - ops.stop_gradient(soft))

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "gradient": self.gradient,
            "stddev": self.stddev,
            "seed": self.seed,
        }
