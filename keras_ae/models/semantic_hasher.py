"""An autoencoder whose code is a string of bits."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_ae._checks import check_bits, check_integer, check_number
from keras_ae.layers._binarization import Binarization
from keras_ae.layers.affine_corruption import AffineCorruption
from keras_ae.layers.binary_code import BinaryCode
from keras_ae.layers.contractive_dense import ContractiveDense
from keras_ae.layers.gaussian_corruption import GaussianCorruption
from keras_ae.layers.range_corruption import RangeCorruption
from keras_ae.layers.tanh_code import TanhCode
from keras_ae.models.autoencoder import Autoencoder
from keras_ae.regularizers.label_consistency import LabelConsistency
from keras_ae.regularizers.view_consistency import ViewConsistency
from keras_ae.types import Codes, Config, FloatArray, Tensor


@keras.saving.register_keras_serializable("keras_ae")
class SemanticHasher(Autoencoder):
    """Model `r(x) = decoder(b)`, `b_j = [encoder(x)_j > 0]`: similar inputs get similar bits.

    Args:
        encoder: Model from the input to `bits` logits, `(n, bits)`, with no activation at the end.
        decoder: Model from `bits` bits, 0 or 1, to the reconstruction.
        bits: Length of the code, a positive multiple of 8.
        corruption: Layer that corrupts the input in training, or `None`.
        code: `BinaryCode` or `TanhCode` layer between the two, which says how the bits train; a
            straight-through `BinaryCode` if `None`.
        consistency: `ViewConsistency`, or its strength, to train the codes of two corrupted views
            of each example to be near; the reconstruction is of the first. `LabelConsistency` to
            train those of the same label to be near: then `fit(x, labels)`, or
            `fit(x, (labels, targets))`. `None` for one view. Neither is weighed by `sample_weight`
            or `class_weight`, which are of the reconstruction.
        **kwargs: `name` and `dtype`, as in `keras.Model`.

    Shape:
        Input `(n, ...)`; codes are `(n, bits / 8)`, uint8, bit 0 lowest. The output is the
        decoder's: to learn from `fit(x)` it has the shape of the input. With `LabelConsistency` a
        call in training returns it with the bits of both views; inside another model, which has
        no labels for it, that loss is not there.

    Raises:
        ValueError: An argument is out of its range, there is `consistency` without a corruption
            or, when the model is built, the encoder does not end in `bits` units.

    Example:

    >>> import keras, keras_ae
    >>> hasher = keras_ae.SemanticHasher.dense(16, hidden=(12,), bits=8)
    >>> hasher.compile("adam", "binary_crossentropy")
    >>> x = keras.random.uniform((32, 16))
    >>> sorted(hasher.fit(x, verbose=0).history)
    ['contraction', 'loss', 'reconstruction']
    >>> codes = hasher.encode(x)
    >>> codes.shape, str(codes.dtype)
    ((32, 1), 'uint8')

    Reference:
        Salakhutdinov and Hinton: Semantic Hashing, 2009.
    """

    def __init__(
        self,
        encoder: keras.layers.Layer,
        decoder: keras.layers.Layer,
        bits: int = 64,
        corruption: keras.layers.Layer | None = None,
        code: Binarization | None = None,
        consistency: ViewConsistency | LabelConsistency | float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(encoder, decoder, corruption, **kwargs)
        self.bits = check_bits(bits)
        if code is not None and not isinstance(code, Binarization):
            raise ValueError(
                f"code must be a BinaryCode, a TanhCode or None. Received: code={code!r}"
            )
        self.code = BinaryCode() if code is None else code
        self.consistency = _contrast(consistency)
        self._between_labels: Tensor = None
        if consistency is not None and corruption is None:
            raise ValueError(
                "corruption must be given with consistency: without, both views are the same. "
                "Received: corruption=None"
            )

    @property
    def penalty_names(self) -> tuple[str, ...]:
        """The names of the losses that the model itself adds in training."""
        return () if self.consistency is None else self.consistency.penalty_names

    @classmethod
    def dense(
        cls,
        input_dim: int,
        hidden: Sequence[int] = (512, 256),
        bits: int = 64,
        stddev: float | None = None,
        contraction: float | None = None,
        hidden_noise: float = 0.0,
        code: Binarization | None = None,
        corruption: keras.layers.Layer | None = None,
        consistency: ViewConsistency | LabelConsistency | float | None = None,
        logit_regularizer: Any = None,
        image_shape: tuple[int, int, int] | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> "SemanticHasher":
        """Return a denoising, contractive hasher made of dense layers, for inputs in [0, 1].

        The logits are normalised over the corrupted training data, which centres each of them at
        the threshold, so that a bit splits the data about in half. Compile it with the loss
        `"binary_crossentropy"`.

        For images give `image_shape`: the codes of two views of each, moved and turned a little,
        then learn to be near, which makes far better codes than noise does.

        Args:
            input_dim: Size of the input, an integer >= 1.
            hidden: Sizes of the encoder's hidden layers, from the input to the code; the decoder
                has the same in reverse. Integers >= 1.
            bits: Length of the code, a positive multiple of 8.
            stddev: Standard deviation of the Gaussian corruption, >= 0; if `None`, 0.3 for images,
                which are moved besides, and 0.6 for others.
            contraction: Weight of the contractive penalty of each hidden layer, >= 0; if `None`,
                0.01 for images and 0.001 for others.
            hidden_noise: Noise in the hidden layers of the encoder, relative to their largest
                activation, >= 0: see `RangeCorruption`. With some 0.05 to 0.1, int8 changes few
                codes.
            code: How the bits train; if `None`, `TanhCode()` with `consistency`, and else
                `BinaryCode("noisy_bits", 0.5)`: without noise, one view says little about a bit.
            corruption: Layer in place of the Gaussian corruption, from `(n, input_dim)` to the
                same, or `None`.
            consistency: As for the class; if `None` and there is an `image_shape`, 1.0. 0 for one
                view.
            logit_regularizer: Activity regularizer of the logits, such as `BitRegularizer`, as in
                `keras.layers.Layer`.
            image_shape: `(height, width, channels)` of inputs that are flat images, which are then
                corrupted by an `AffineCorruption` before the noise; or `None`.
            dtype: Precision or policy of every layer, as in `keras.layers.Layer`.
            **kwargs: `name`, as for the class.

        Returns:
            A hasher that is built and not compiled.

        Raises:
            ValueError: An argument is out of its range.
        """
        check_integer("input_dim", input_dim, minimum=1)
        if not isinstance(hidden, Sequence) or isinstance(hidden, str):
            raise ValueError(f"hidden must be a list of sizes. Received: hidden={hidden!r}")
        for units in hidden:
            check_integer("hidden", units, minimum=1)
        check_bits(bits)
        check_number("hidden_noise", hidden_noise, minimum=0)
        if contraction is None:
            contraction = 1e-3 if image_shape is None else 1e-2
        check_number("contraction", contraction, minimum=0)
        if stddev is None:
            stddev = 0.6 if image_shape is None else 0.3
        check_number("stddev", stddev, minimum=0)
        contrast = _contrast(1.0 if consistency is None and image_shape else consistency)
        layers: list[keras.layers.Layer] = []
        for units in hidden:
            layers.append(ContractiveDense(units, "relu", contraction=contraction, dtype=dtype))
            if hidden_noise:
                layers.append(RangeCorruption(hidden_noise, dtype=dtype))
        encoder = keras.Sequential(
            [
                keras.Input((input_dim,)),
                *layers,
                keras.layers.Dense(bits, use_bias=False, dtype=dtype),
                # A short memory, so that a brief training is enough to settle the averages.
                keras.layers.BatchNormalization(
                    center=False,
                    scale=False,
                    momentum=0.95,
                    activity_regularizer=logit_regularizer,
                    name="logits",
                    dtype=dtype,
                ),
            ],
            name="encoder",
        )
        decoder = keras.Sequential(
            [
                keras.Input((bits,)),
                *(keras.layers.Dense(n, "relu", dtype=dtype) for n in reversed(hidden)),
                keras.layers.Dense(input_dim, "sigmoid", name="reconstruction", dtype=dtype),
            ],
            name="decoder",
        )
        if code is None and contrast is not None and contrast.penalty_names:
            code = TanhCode(dtype=dtype)
        elif code is None:
            code = BinaryCode("noisy_bits", 0.5, dtype=dtype)
        # Made in any case, which checks what it is made of.
        views = _corruption(input_dim, stddev, image_shape, dtype)
        corruption = views if corruption is None else corruption
        hasher = cls(encoder, decoder, bits, corruption, code, contrast, dtype=dtype, **kwargs)
        hasher.build((None, input_dim))
        return hasher

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        corruption, consistency = self.corruption, self.consistency
        if not training or corruption is None or consistency is None or not self.penalty_names:
            return super().call(inputs, training)
        views = corruption(ops.concatenate([inputs, inputs]), training=True)
        bits = self.decoder_input(self.encoder(views, training=True), training=True)
        first, second = ops.split(bits, 2)
        reconstruction = self.decoder(first, training=True)
        if isinstance(consistency, LabelConsistency):
            # The labels are not known here.
            return reconstruction, first, second
        # Replicas take turns with one list: what another has added is not to be counted again.
        self._losses.clear()
        self.add_loss(consistency.between(first, second))
        return reconstruction

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train as `Autoencoder.fit` does; with `LabelConsistency`, `y` are labels."""
        # Before a step: on JAX one that fails takes the weights with it.
        self._labels_and_target(y)
        if y is None and hasattr(x, "shape"):
            self._check_labels(y)
        return super().fit(x, y, *args, **kwargs)

    def compute_loss(
        self,
        x: Tensor = None,
        y: Tensor = None,
        y_pred: Tensor = None,
        sample_weight: Tensor = None,
        training: bool = True,
    ) -> Tensor:
        labels, target = self._labels_and_target(y)
        if isinstance(y_pred, tuple) and isinstance(self.consistency, LabelConsistency):
            y_pred, first, second = y_pred
            self._check_labels(labels)
            self._between_labels = self.consistency.between(first, second, labels)
        return super().compute_loss(x, target, y_pred, sample_weight, training)

    def penalty_losses(self, training: bool) -> dict[str, Tensor]:
        terms = super().penalty_losses(training)
        if self._between_labels is not None:
            (name,) = self.penalty_names
            terms[name] = self._between_labels
            self._between_labels = None
        return terms

    def compute_metrics(
        self, x: Tensor, y: Tensor, y_pred: Tensor, sample_weight: Tensor = None
    ) -> dict[str, Tensor]:
        if isinstance(y_pred, tuple):
            y_pred = y_pred[0]
        return super().compute_metrics(x, self._labels_and_target(y)[1], y_pred, sample_weight)

    def _check_labels(self, labels: Tensor) -> None:
        if labels is None and isinstance(self.consistency, LabelConsistency):
            raise ValueError(
                "y must be labels, or (labels, targets), for LabelConsistency. Received: y=None"
            )

    def _labels_and_target(self, y: Tensor) -> tuple[Tensor, Tensor]:
        if not isinstance(self.consistency, LabelConsistency):
            return None, y
        if isinstance(y, dict) or (isinstance(y, tuple | list) and len(y) != 2):
            raise ValueError(
                "y must be labels, or (labels, targets), for LabelConsistency. "
                f"Received: y of {len(y)} parts, as a {type(y).__name__}"
            )
        labels, target = y if isinstance(y, tuple | list) else (y, None)
        return labels, target

    def decoder_input(self, encoded: Tensor, training: bool | None = None) -> Tensor:
        if len(encoded.shape) != 2 or encoded.shape[-1] != self.bits:
            raise ValueError(
                f"encoder must return logits of shape (n, bits), with bits={self.bits}. "
                f"Received: an encoder that returns {tuple(encoded.shape)}"
            )
        return self.code(encoded, training=training)

    def logits(self, x: FloatArray, batch_size: int = 256) -> FloatArray:
        """Return the logits of an array, `(n, bits)`; the sign of each is a bit. See `encode`."""
        return super().encode(x, batch_size)

    def encode(self, x: FloatArray, batch_size: int = 256) -> Codes:
        """Return the packed codes of an array, computed batch by batch.

        Args:
            x: Array `(n, ...)` of finite numbers.
            batch_size: Examples at a time, an integer >= 1. It bounds the memory used.

        Returns:
            NumPy uint8 array `(n, bits / 8)`.

        Raises:
            ValueError: `x` has another shape than the model's input, or it has NaN or infinite
                values or leads to some: their code would mean nothing.
        """
        return np.packbits(self.logits(x, batch_size) > 0, axis=-1, bitorder="little")

    def decode(self, codes: Codes, batch_size: int = 256) -> FloatArray:
        """Return the reconstructions of packed codes, `(n, bits / 8)` uint8; see `encode`."""
        codes = np.asarray(codes)
        if codes.dtype != np.uint8 or codes.ndim != 2 or codes.shape[1] * 8 != self.bits:
            raise ValueError(
                f"codes must be uint8 of shape (n, {self.bits // 8}). "
                f"Received: codes with dtype={codes.dtype}, shape={codes.shape}"
            )
        return super().decode(np.unpackbits(codes, axis=-1, bitorder="little"), batch_size)

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "bits": self.bits,
            "code": keras.saving.serialize_keras_object(self.code),
            "consistency": keras.saving.serialize_keras_object(self.consistency),
        }

    @classmethod
    def from_config(cls, config: Config) -> "SemanticHasher":
        config = dict(config)
        for name in ("code", "consistency"):
            config[name] = keras.saving.deserialize_keras_object(config[name])
        return super().from_config(config)


def _contrast(consistency: Any) -> ViewConsistency | LabelConsistency | None:
    if isinstance(consistency, dict):
        consistency = keras.saving.deserialize_keras_object(consistency)
    if consistency is None or isinstance(consistency, LabelConsistency):
        return consistency
    return ViewConsistency.of(consistency)


def _corruption(
    input_dim: int, stddev: float, image_shape: tuple[int, int, int] | None, dtype: Any
) -> keras.layers.Layer:
    noise = GaussianCorruption(stddev, dtype=dtype)
    if image_shape is None:
        return noise
    move = AffineCorruption(image_shape=image_shape, dtype=dtype)
    if math.prod(image_shape) != input_dim:
        raise ValueError(
            f"image_shape must be (height, width, channels) with input_dim={input_dim} values. "
            f"Received: image_shape={image_shape!r}"
        )
    return keras.Sequential([keras.Input((input_dim,)), move, noise], name="views")
