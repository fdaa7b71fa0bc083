"""Images moved, turned, scaled and sheared at random."""

import math
from typing import Any

import keras
from keras import ops

from keras_ae._checks import check_integer, check_number, check_seed
from keras_ae.ops import random
from keras_ae.types import Config, Tensor


@keras.saving.register_keras_serializable("keras_ae")
class AffineCorruption(keras.layers.Layer):
    """Apply a random affine map to each image in training, and nothing otherwise.

    `x'(p) = x(A p + t)` with p from the centre, `A = R(angle) S(shear) diag(s_1, s_2)`

    Each image has a map of its own, drawn anew at every call, uniformly in the ranges below. Values
    between pixels are bilinear; what lies outside an image is 0. A view of an image that shows the
    same thing: the corruption for `ViewConsistency`, or for a denoising autoencoder that learns to
    put images upright.

    Args:
        shift: Largest move along either axis, as a part of the height or width, >= 0.
        rotation: Largest angle in degrees, >= 0.
        scale: Largest change of scale along either axis, from 0 up to, but not including, 1.
        shear: Largest shear, >= 0.
        image_shape: `(height, width, channels)` of flat inputs; `None` for inputs that are images.
        seed: Integer >= 0 that makes the maps reproducible, or `None`.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: Tensor `(n, height, width, channels)`, or `(n, height * width * channels)` with
            `image_shape`; integers are taken as floats.
        training: Whether to move the images.

    Shape:
        Input and output are the same.

    Raises:
        ValueError: An argument is out of its range, or the inputs are not of that shape.

    Example:

    >>> import keras, keras_ae
    >>> layer = keras_ae.AffineCorruption(image_shape=(8, 8, 1), seed=0)
    >>> x = keras.random.uniform((3, 64))
    >>> tuple(layer(x, training=True).shape), bool(keras.ops.all(layer(x) == x))
    ((3, 64), True)

    Reference:
        Simard, Steinkraus, Platt: Best Practices for Convolutional Neural Networks Applied to
        Visual Document Analysis, 2003.
    """

    def __init__(
        self,
        shift: float = 0.1,
        rotation: float = 15.0,
        scale: float = 0.15,
        shear: float = 0.2,
        image_shape: tuple[int, int, int] | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.shift = check_number("shift", shift, minimum=0)
        self.rotation = check_number("rotation", rotation, minimum=0)
        self.scale = check_number("scale", scale, minimum=0)
        if self.scale >= 1:
            raise ValueError(f"scale must be less than 1. Received: scale={scale!r}")
        self.shear = check_number("shear", shear, minimum=0)
        if image_shape is not None:
            if not isinstance(image_shape, tuple | list) or len(image_shape) != 3:
                raise ValueError(
                    "image_shape must be (height, width, channels) or None. "
                    f"Received: image_shape={image_shape!r}"
                )
            for size in image_shape:
                check_integer("image_shape", size, minimum=1)
        self.image_shape = None if image_shape is None else tuple(image_shape)
        self.seed = check_seed(seed)
        self.seed_generator = keras.random.SeedGenerator(self.seed)
        self.supports_masking = True

    def build(self, input_shape: Any) -> None:
        shape = tuple(input_shape)
        flat = None if self.image_shape is None else math.prod(self.image_shape)
        if len(shape) != 4 if flat is None else shape[1:] != (flat,):
            expected = "(n, height, width, channels)" if flat is None else f"(n, {flat})"
            raise ValueError(f"inputs must have shape {expected}. Received: inputs of {shape}")

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        if not keras.backend.is_float_dtype(inputs.dtype):
            inputs = ops.cast(inputs, self.compute_dtype)
        if not training:
            return inputs
        images = inputs
        if self.image_shape is not None:
            images = ops.reshape(inputs, (-1, *self.image_shape))
        return ops.reshape(self._moved(images), ops.shape(inputs))

    def _moved(self, images: Tensor) -> Tensor:
        n, height, width, channels = ops.shape(images)
        turn, x_scale, y_scale, slant, x_shift, y_shift = (
            self._draw(n, most)
            for most in (
                math.radians(self.rotation),
                self.scale,
                self.scale,
                self.shear,
                self.shift * width,
                self.shift * height,
            )
        )
        cos, sin = ops.cos(turn), ops.sin(turn)
        x_scale, y_scale = 1.0 + x_scale, 1.0 + y_scale
        middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
        x = ops.tile(ops.arange(width, dtype="float32") - middle_x, (height,))
        y = ops.repeat(ops.arange(height, dtype="float32") - middle_y, width)
        from_x = cos * x_scale * x + (cos * slant - sin) * y_scale * y + x_shift + middle_x
        from_y = sin * x_scale * x + (sin * slant + cos) * y_scale * y + y_shift + middle_y
        left, top = ops.floor(from_x), ops.floor(from_y)
        pixels = ops.reshape(images, (n, height * width, channels))
        moved = 0.0
        for column, share_x in ((left, left + 1 - from_x), (left + 1, from_x - left)):
            for row, share_y in ((top, top + 1 - from_y), (top + 1, from_y - top)):
                inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
                share = ops.where(inside, share_x * share_y, 0.0)
                index = ops.where(inside, row * width + column, 0.0)
                values = ops.take_along_axis(pixels, ops.cast(index, "int32")[..., None], axis=1)
                moved = moved + ops.cast(share[..., None], images.dtype) * values
        return moved

    def _draw(self, n: Any, most: float) -> Tensor:
        return most * (2 * random.uniform((n, 1), self.seed_generator) - 1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> Config:
        return {
            **super().get_config(),
            "shift": self.shift,
            "rotation": self.rotation,
            "scale": self.scale,
            "shear": self.shear,
            "image_shape": self.image_shape,
            "seed": self.seed,
        }
