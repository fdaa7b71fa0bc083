"""The decoder that undoes an encoder, layer by layer."""

from collections.abc import Iterator
from typing import Any

import keras
from keras import layers

from keras_ae._chain import flattened
from keras_ae.layers._corruption import Corruption
from keras_ae.layers.batch_top_k import BatchTopK
from keras_ae.layers.contractive import Contractive
from keras_ae.layers.gated_relu import GatedReLU
from keras_ae.layers.jump_relu import JumpReLU
from keras_ae.layers.top_k import TopK
from keras_ae.models._upsampling import transposed_convolution, upsampling
from keras_ae.types import Shape

_CONVOLUTIONS = (layers.Conv1D, layers.Conv2D, layers.Conv3D)
ACTIVATIONS = (
    layers.Activation,
    layers.ELU,
    layers.LeakyReLU,
    layers.PReLU,
    layers.ReLU,
    layers.Softmax,
    BatchTopK,
    GatedReLU,
    JumpReLU,
    TopK,
)
NORMALIZATIONS = (layers.BatchNormalization, layers.LayerNormalization)
_POOLINGS = (
    layers.AveragePooling1D,
    layers.AveragePooling2D,
    layers.AveragePooling3D,
    layers.MaxPooling1D,
    layers.MaxPooling2D,
    layers.MaxPooling3D,
)
_LEFT_OUT = (
    Corruption,
    layers.ActivityRegularization,
    layers.AlphaDropout,
    layers.Dropout,
    layers.GaussianDropout,
    layers.GaussianNoise,
    layers.Identity,
)


def mirror(encoder: keras.Model, output_activation: Any = None) -> keras.Sequential:
    """Return a decoder with the layers of an encoder the other way round, and fresh weights.

    `encoder = f_L(A_L ... f_1(A_1 x))`, `decoder = g(B_1 f_1(... B_{L-1} f_{L-1}(B_L h)))`

    Each `B_l` maps back to exactly the shape that `A_l` took:

    - `Dense` and `ContractiveDense` become a `Dense`;
    - `Conv1D`, `Conv2D` and `Conv3D` the transposed convolution of the same kernel size, strides
      and padding, aligned as the gradient of the convolution is;
    - max and average pooling become upsampling by the strides. What the pooling left over at the
      border is filled with zeros, what it padded is cropped;
    - `Flatten` and `Reshape` become a `Reshape`;
    - batch and layer normalization and activation layers stay what they are, with fresh weights;
    - dropout, noise and corruption are left out. A `Contractive` is taken as the layer in it.

    The activation `f_l` of a dense or convolutional layer, and the normalization and activation
    layers between it and the next one, act on what stands at the same depth in the decoder: each
    mirrored layer takes the activation of the layer below its own, and the last one takes `g`.
    So those of the code have no counterpart, nor do such layers before `A_1`.

    Every mirrored layer has a bias, and the kernel's initializer and regularizer and the dtype of
    its counterpart. Constraints, activity regularizers and contractive penalties are not copied.

    Args:
        encoder: A `keras.Sequential` or a functional chain of the layers above, with an input whose
            shape is known up to the number of examples.
        output_activation: Activation `g`, as in `keras.layers.Dense`: `"sigmoid"` for inputs in
            [0, 1].

    Returns:
        A `keras.Sequential`, built, from the output of the encoder to its input.

    Raises:
        ValueError: The encoder is not such a chain; the message names the layer that is not.

    Example:

    >>> import keras, keras_ae
    >>> encoder = keras.Sequential([keras.Input((28, 28, 1))])
    >>> encoder.add(keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu"))
    >>> encoder.add(keras.layers.Flatten())
    >>> encoder.add(keras.layers.Dense(10))
    >>> decoder = keras_ae.models.mirror(encoder, output_activation="sigmoid")
    >>> [type(layer).__name__ for layer in decoder.layers], decoder.output_shape
    (['Dense', 'Reshape', 'Conv2DTranspose'], (None, 28, 28, 1))

    Reference:
        Hinton and Salakhutdinov: Reducing the Dimensionality of Data with Neural Networks, 2006.
        Dumoulin and Visin: A Guide to Convolution Arithmetic for Deep Learning, 2016.
    """
    shape = known_shape("encoder", encoder)
    chain = list(_unwrapped(encoder))
    weighted = [i for i, layer in enumerate(chain) if has_kernel(layer)]
    if not weighted:
        raise ValueError(_message(chain))
    activation = output_activation
    decoder: list[keras.layers.Layer] = []
    # Those between two layers with a kernel keep their order, where all others are turned round.
    kept: list[keras.layers.Layer] = []
    for position, layer in enumerate(chain):
        output_shape = layer.compute_output_shape(shape)
        if isinstance(layer, ACTIVATIONS + NORMALIZATIONS):
            if weighted[0] < position < weighted[-1]:
                kept.append(fresh(layer))
        elif not isinstance(layer, _LEFT_OUT):
            decoder = [*_mirrored(layer, shape, output_shape, activation), *kept, *decoder]
            kept = []
        if has_kernel(layer):
            activation = fresh(layer.activation)
        shape = output_shape
    return keras.Sequential([keras.Input(shape[1:]), *decoder], name="decoder")


def known_shape(name: str, model: keras.Model) -> Shape:
    """Return the shape of the input of a model, or raise a ValueError that names the argument."""
    shape = getattr(model, "input_shape", None) if isinstance(model, keras.Model) else None
    if not isinstance(shape, tuple) or not shape or None in shape[1:]:
        raise ValueError(
            f"{name} must be a Sequential or functional model with one keras.Input of known shape. "
            f"Received: {name}={model!r} with input shape {shape}"
        )
    return shape


def fresh(layer: Any) -> Any:
    """Return a layer of the same kind without weights, name or penalty; functions as they are."""
    if not isinstance(layer, layers.Layer):
        return layer
    dropped = ("name", "trainable", "activity_regularizer", "sparsity")
    config = {name: value for name, value in layer.get_config().items() if name not in dropped}
    return type(layer).from_config(config)


def has_kernel(layer: Any) -> bool:
    """Whether a layer, or one in it, is dense or convolutional."""
    return any(isinstance(part, (layers.Dense, *_CONVOLUTIONS)) for part in _unwrapped(layer))


def _unwrapped(encoder: Any) -> Iterator[keras.layers.Layer]:
    for layer in flattened(encoder):
        if isinstance(layer, Contractive):
            yield from _unwrapped(layer.layer)
        else:
            yield layer


def _mirrored(
    layer: Any, shape: Shape, output_shape: Shape, activation: Any
) -> list[keras.layers.Layer]:
    """Return what maps back from the output shape of a layer to the shape it took."""
    if isinstance(layer, layers.Dense):
        config = layer.get_config()
        return [
            layers.Dense(
                shape[-1],
                activation,
                kernel_initializer=config["kernel_initializer"],
                kernel_regularizer=config["kernel_regularizer"],
                dtype=layer.dtype_policy,
            )
        ]
    if isinstance(layer, layers.Flatten | layers.Reshape):
        return [layers.Reshape(shape[1:], dtype=layer.dtype_policy)]
    if isinstance(layer, _CONVOLUTIONS) and _is_plain(layer):
        return transposed_convolution(layer, shape, output_shape, activation)
    if isinstance(layer, _POOLINGS) and (layer.data_format == "channels_last" or len(shape) > 3):
        return upsampling(layer, shape, output_shape)
    raise ValueError(_message(layer))


def _is_plain(convolution: Any) -> bool:
    # TensorFlow has no dilated transposed convolution on a CPU, Keras none with groups.
    dilated = max(convolution.dilation_rate) > 1
    return convolution.groups == 1 and not dilated and convolution.padding != "causal"


def _message(received: Any) -> str:
    return (
        "An encoder to mirror must be a chain of Dense, Conv1D, Conv2D and Conv3D (without groups, "
        "dilation or causal padding), at least one of them, of max and average pooling, Flatten, "
        "Reshape, batch and layer normalization, and activation, dropout and corruption layers. "
        f"Received: {received!r}"
    )
