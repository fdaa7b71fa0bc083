"""A denoising autoencoder that can tell which part of its input was corrupted."""

from typing import Any

import keras
import numpy as np
from keras import ops
from keras.src.backend import get_keras_mask, set_keras_mask

from keras_ae._checks import check_number
from keras_ae.models.autoencoder import Autoencoder
from keras_ae.types import Config, Shape, Tensor

# Generic values between 0 and 1, to find out what a loss does with them.
_TARGET = np.array([[0.1, 0.7, 0.4], [0.9, 0.2, 0.6]], "float32")
_RECONSTRUCTION = np.array([[0.3, 0.6, 0.8], [0.5, 0.45, 0.15]], "float32")
_WEIGHT = np.array([[0.2, 1.0, 0.0], [0.7, 0.4, 1.3]], "float32")


@keras.saving.register_keras_serializable("keras_ae")
class DenoisingAutoencoder(Autoencoder):
    """Autoencoder whose loss tells the corrupted elements of the input from the others.

    `loss = mean_j w_j L(x_j, r(x')_j)`, with `w_j = alpha` where `x'_j != x_j` and `beta` elsewhere

    Here `x' = corruption(x)`, `L` is the compiled loss of one element, and the mean is over the
    elements of an example and over examples. With `beta < alpha` the model is trained to fill in
    what was destroyed more than to copy what was not; `beta = 0` is full emphasis, and
    `alpha = beta = 1` the loss of `Autoencoder`.

    An element that the corruption happened to leave as it was, such as a 0 set to 0, is not a
    corrupted one. `GaussianCorruption` changes every element, so that only `alpha` counts.

    Outside training nothing is corrupted, and `evaluate` and validation give the plain compiled
    loss: `reconstruction` and `val_reconstruction` agree in scale if `alpha = beta = 1`.

    Args:
        encoder: Model from the input, one tensor, to the code.
        decoder: Model from the code to the reconstruction.
        corruption: Layer that corrupts the input in training, such as `MaskingCorruption`.
        alpha: Weight of the corrupted elements, a finite number >= 0.
        beta: Weight of the others, a finite number >= 0; not 0 if `alpha` is.
        **kwargs: `name` and `dtype`, as in `keras.Model`.

    Shape:
        Input `(n, ...)`; the output and, where they are given, the targets have the same shape.
        A `sample_weight` is `(n,)`, or has some of the axes that follow too.

    Raises:
        ValueError: An argument is out of its range; `compile` is given a loss that is not a mean
            over elements with a loss each, as cosine similarity; or in training the target or the
            output has another shape than the input.

    Example:

    >>> import keras, keras_ae
    >>> autoencoder = keras_ae.DenoisingAutoencoder(
    ...     keras.Sequential([keras.Input((16,)), keras.layers.Dense(4, activation="tanh")]),
    ...     keras.Sequential([keras.Input((4,)), keras.layers.Dense(16, activation="sigmoid")]),
    ...     keras_ae.MaskingCorruption(0.3), alpha=1.0, beta=0.5)
    >>> autoencoder.compile("adam", "binary_crossentropy")
    >>> x = keras.random.uniform((32, 16))
    >>> sorted(autoencoder.fit(x, verbose=0).history)
    ['loss', 'reconstruction']

    Reference:
        Vincent, Larochelle, Lajoie, Bengio, Manzagol: Stacked Denoising Autoencoders: Learning
        Useful Representations in a Deep Network with a Local Denoising Criterion, 2010.
    """

    corruption: keras.layers.Layer

    def __init__(
        self,
        encoder: keras.layers.Layer,
        decoder: keras.layers.Layer,
        corruption: keras.layers.Layer,
        alpha: float = 1.0,
        beta: float = 0.5,
        **kwargs: Any,
    ) -> None:
        if corruption is None:
            raise ValueError("corruption must be a Keras layer or model. Received: corruption=None")
        super().__init__(encoder, decoder, corruption, **kwargs)
        self.alpha = check_number("alpha", alpha, minimum=0)
        self.beta = check_number("beta", beta, minimum=0)
        if self.alpha == self.beta == 0:
            raise ValueError(
                f"alpha and beta must not both be 0. Received: alpha={alpha!r}, beta={beta!r}"
            )
        self._corrupted: Tensor | None = None

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Configure the model as `keras.Model.compile` does, for an elementwise loss."""
        super().compile(*args, **kwargs)
        if self._compile_loss is not None:
            _check_elementwise(self._compile_loss)

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        corrupted = self.corruption(inputs, training=training)
        outputs = self._reconstruct(corrupted, training)
        # Last, so that a call that fails leaves no tensor of its own behind. The cast undoes what a
        # corruption of another precision does to the elements that it leaves alone.
        self._corrupted = (
            ops.not_equal(corrupted, ops.cast(inputs, corrupted.dtype)) if training else None
        )
        return outputs

    def reconstruction_loss(
        self, target: Tensor, reconstruction: Tensor, sample_weight: Tensor = None
    ) -> Tensor:
        corrupted, self._corrupted = self._corrupted, None
        if corrupted is None:
            return super().reconstruction_loss(target, reconstruction, sample_weight)
        for name, x in (("target y", target), ("output", reconstruction)):
            if not _agree(x.shape, corrupted.shape):
                raise ValueError(
                    f"The {name} must have the shape of the input, {tuple(corrupted.shape)}: each "
                    f"element is weighed by whether it was corrupted. Received: {tuple(x.shape)}"
                )
        weight = ops.where(corrupted, self.alpha, self.beta)
        if sample_weight is not None:
            weight *= _append_axes(ops.cast(sample_weight, weight.dtype), len(target.shape))
        # With an axis of one more the loss has nothing left to average within an element.
        elements = ops.expand_dims(reconstruction, -1)
        mask = get_keras_mask(reconstruction)
        if mask is not None:
            mask = _append_axes(mask, len(target.shape))
            set_keras_mask(elements, ops.broadcast_to(mask, ops.shape(target)))
        return super().reconstruction_loss(ops.expand_dims(target, -1), elements, weight)

    def get_config(self) -> Config:
        return {**super().get_config(), "alpha": self.alpha, "beta": self.beta}


def _agree(shape: Shape, other: Shape) -> bool:
    return len(shape) == len(other) and all(
        a is None or b is None or a == b for a, b in zip(shape, other, strict=True)
    )


def _append_axes(x: Tensor, rank: int) -> Tensor:
    return ops.reshape(x, (*ops.shape(x), *(1,) * (rank - len(x.shape))))


def _check_elementwise(loss: Any) -> None:
    """Raise unless the loss is a weighted mean of what it gives for each element alone."""
    try:
        # First as it is given data, by whose shape Keras resolves "crossentropy".
        given = [
            float(loss(_TARGET, _RECONSTRUCTION)),
            float(loss(_TARGET[..., None], _RECONSTRUCTION[..., None], _WEIGHT)),
        ]
        each = [
            float(loss(_TARGET[i : i + 1, j : j + 1], _RECONSTRUCTION[i : i + 1, j : j + 1]))
            for i, j in np.ndindex(_TARGET.shape)
        ]
    except Exception as error:  # A loss is free to fail in its own way.
        raise ValueError(f"{_EXPECTED} Received: one that fails on such: {error}") from error
    expected = [np.mean(each), np.mean(each * _WEIGHT.ravel())]
    if not np.allclose(given, expected, rtol=1e-3):
        raise ValueError(
            f"{_EXPECTED} Received: one that is {given[0]:.3g} for elements of mean "
            f"{expected[0]:.3g}, or weighed {given[1]:.3g} for {expected[1]:.3g}"
        )


_EXPECTED = (
    'loss must be a mean over elements with a loss of their own, such as "mse" or '
    '"binary_crossentropy", so that each can be weighed.'
)
