"""Whole autoencoders from a few sizes."""

from collections.abc import Sequence
from typing import Any

import keras

from keras_ae._checks import check_integer
from keras_ae.models.autoencoder import Autoencoder
from keras_ae.models.mirror import mirror

_CONVOLUTIONS = {2: keras.layers.Conv1D, 3: keras.layers.Conv2D, 4: keras.layers.Conv3D}


def dense_autoencoder(
    input_dim: int,
    hidden: Sequence[int] = (512, 256),
    code_dim: int = 32,
    *,
    activation: Any = "relu",
    output_activation: Any = None,
    corruption: keras.layers.Layer | None = None,
    dtype: Any = None,
    **kwargs: Any,
) -> Autoencoder:
    """Return an autoencoder of dense layers with a linear code.

    `h = W_L f(... f(W_1 x + b_1)) + b_L`; the decoder is its `mirror`.

    Args:
        input_dim: Size of the input, an integer >= 1.
        hidden: Sizes of the encoder's hidden layers, from the input to the code; the decoder has
            the same in reverse. Integers >= 1.
        code_dim: Size of the code, an integer >= 1.
        activation: Activation `f` of the hidden layers, as in `keras.layers.Dense`.
        output_activation: Activation of the reconstruction: `"sigmoid"` for inputs in [0, 1].
        corruption: Layer that corrupts the input in training, or `None`.
        dtype: Precision or policy of every layer, as in `keras.layers.Layer`.
        **kwargs: `name`, as in `keras.Model`.

    Returns:
        A `keras_ae.Autoencoder` that is built and not compiled.

    Raises:
        ValueError: An argument is out of its range.

    Example:

    >>> import keras, keras_ae
    >>> autoencoder = keras_ae.dense_autoencoder(16, hidden=(12, 8), code_dim=2)
    >>> autoencoder.compile("adam", "mse")
    >>> x = keras.random.uniform((32, 16))
    >>> history = autoencoder.fit(x, verbose=0)
    >>> autoencoder.encode(x).shape
    (32, 2)

    Reference:
        Hinton and Salakhutdinov: Reducing the Dimensionality of Data with Neural Networks, 2006.
    """
    check_integer("input_dim", input_dim, minimum=1)
    encoder = [
        *(
            keras.layers.Dense(units, activation, dtype=dtype)
            for units in _check_sizes("hidden", hidden)
        ),
        keras.layers.Dense(check_integer("code_dim", code_dim, minimum=1), dtype=dtype),
    ]
    return _autoencoder((input_dim,), encoder, output_activation, corruption, dtype, kwargs)


def convolutional_autoencoder(
    input_shape: Sequence[int],
    filters: Sequence[int] = (32, 64),
    code_dim: int = 32,
    *,
    kernel_size: int = 3,
    activation: Any = "relu",
    output_activation: Any = None,
    corruption: keras.layers.Layer | None = None,
    dtype: Any = None,
    **kwargs: Any,
) -> Autoencoder:
    """Return an autoencoder of convolutions that each halve the size, and a linear dense code.

    `h = W vec(f(K_L * ... f(K_1 * x + b_1))) + b`; the decoder is its `mirror`, so any size comes
    out as it went in.

    Args:
        input_shape: Shape of an example with the channels last: `(steps, channels)`,
            `(height, width, channels)` or `(depth, height, width, channels)`. Integers >= 1.
        filters: Channels of the encoder's convolutions, from the input to the code; the decoder has
            the same in reverse. Integers >= 1, at least one.
        code_dim: Size of the code, an integer >= 1.
        kernel_size: Width of every kernel along every axis, an integer >= 1.
        activation: Activation `f` of the convolutions, as in `keras.layers.Conv2D`.
        output_activation: Activation of the reconstruction: `"sigmoid"` for inputs in [0, 1].
        corruption: Layer that corrupts the input in training, or `None`.
        dtype: Precision or policy of every layer, as in `keras.layers.Layer`.
        **kwargs: `name`, as in `keras.Model`.

    Returns:
        A `keras_ae.Autoencoder` that is built and not compiled.

    Raises:
        ValueError: An argument is out of its range.

    Example:

    >>> import keras, keras_ae
    >>> autoencoder = keras_ae.convolutional_autoencoder((9, 9, 1), filters=(4, 8), code_dim=5)
    >>> autoencoder.compile("adam", "mse")
    >>> x = keras.random.uniform((32, 9, 9, 1))
    >>> history = autoencoder.fit(x, verbose=0)
    >>> autoencoder.encode(x).shape, autoencoder.reconstruct(x).shape
    ((32, 5), (32, 9, 9, 1))

    Reference:
        Masci, Meier, Ciresan, Schmidhuber: Stacked Convolutional Auto-Encoders for Hierarchical
        Feature Extraction, 2011.
    """
    shape = _check_sizes("input_shape", input_shape)
    if len(shape) not in _CONVOLUTIONS:
        raise ValueError(
            "input_shape must have 2, 3 or 4 sizes, the channels last. "
            f"Received: input_shape={input_shape!r}"
        )
    channels = _check_sizes("filters", filters)
    if not channels:
        raise ValueError(f"filters must have at least one size. Received: filters={filters!r}")
    check_integer("kernel_size", kernel_size, minimum=1)
    encoder = [
        *(
            _CONVOLUTIONS[len(shape)](
                n,
                kernel_size,
                strides=2,
                padding="same",
                data_format="channels_last",
                activation=activation,
                dtype=dtype,
            )
            for n in channels
        ),
        keras.layers.Flatten(data_format="channels_last", dtype=dtype),
        keras.layers.Dense(check_integer("code_dim", code_dim, minimum=1), dtype=dtype),
    ]
    return _autoencoder(shape, encoder, output_activation, corruption, dtype, kwargs)


def _check_sizes(name: str, sizes: Any) -> tuple[int, ...]:
    if not isinstance(sizes, Sequence) or isinstance(sizes, str):
        raise ValueError(f"{name} must be a list of sizes. Received: {name}={sizes!r}")
    return tuple(check_integer(name, size, minimum=1) for size in sizes)


def _autoencoder(
    shape: tuple[int, ...],
    layers: list[keras.layers.Layer],
    output_activation: Any,
    corruption: keras.layers.Layer | None,
    dtype: Any,
    kwargs: dict[str, Any],
) -> Autoencoder:
    encoder = keras.Sequential([keras.Input(shape), *layers], name="encoder")
    decoder = mirror(encoder, output_activation)
    autoencoder = Autoencoder(encoder, decoder, corruption, dtype=dtype, **kwargs)
    autoencoder.build((None, *shape))
    return autoencoder
