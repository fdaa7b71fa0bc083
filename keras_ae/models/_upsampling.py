"""Ways back from a smaller image to the exact size that it came from."""

from typing import Any

from keras import layers

from keras_ae.types import Shape

_UPSAMPLINGS = {1: layers.UpSampling1D, 2: layers.UpSampling2D, 3: layers.UpSampling3D}
_CROPPINGS = {1: layers.Cropping1D, 2: layers.Cropping2D, 3: layers.Cropping3D}
_PADDINGS = {1: layers.ZeroPadding1D, 2: layers.ZeroPadding2D, 3: layers.ZeroPadding3D}
_TRANSPOSED = {1: layers.Conv1DTranspose, 2: layers.Conv2DTranspose, 3: layers.Conv3DTranspose}


def transposed_convolution(
    layer: Any, shape: Shape, output_shape: Shape, activation: Any
) -> list[layers.Layer]:
    """Return the transposed convolution from `output_shape` to `shape`, cropped if need be."""
    same = layer.padding == "same"
    axes = list(
        zip(
            _sizes(layer, shape),
            _sizes(layer, output_shape),
            layer.kernel_size,
            layer.strides,
            strict=True,
        )
    )
    # Keras makes (m - 1) s + k + output_padding out of m, with k % 2 for k if padding is "same".
    added: Any = [n - (m - 1) * s - (k % 2 if same else k) for n, m, k, s in axes]
    crops = [(0, 0)] * len(axes)
    if any(size >= s for size, s in zip(added, layer.strides, strict=True)):
        # More than Keras lets one add, for a "same" kernel of even size. Without output_padding it
        # makes m s, which starts where a convolution of that size has its padding.
        added = None
        crops = [
            _split(m * s - n, _padded(n, m, k, s) - _padded(m * s, m, k, s)) for n, m, k, s in axes
        ]
    config = layer.get_config()
    transposed = _TRANSPOSED[layer.rank](
        shape[1 if layer.data_format == "channels_first" else -1],
        layer.kernel_size,
        strides=layer.strides,
        padding=layer.padding,
        output_padding=added,
        data_format=layer.data_format,
        activation=activation,
        kernel_initializer=config["kernel_initializer"],
        kernel_regularizer=config["kernel_regularizer"],
        dtype=layer.dtype_policy,
    )
    return [transposed, *_resized(_CROPPINGS, crops, layer)]


def upsampling(layer: Any, shape: Shape, output_shape: Shape) -> list[layers.Layer]:
    """Return the upsampling from `output_shape` to `shape` that undoes a pooling layer."""
    crops, pads = [], []
    for n, m, p, s in zip(
        _sizes(layer, shape),
        _sizes(layer, output_shape),
        layer.pool_size,
        layer.strides,
        strict=True,
    ):
        # Each value covers the middle of the window that it came from.
        surplus, missing = max(m * s - n, 0), max(n - m * s, 0)
        crops.append(_split(surplus, surplus // 2))
        pads.append(_split(missing, min(max(p - s, 0) // 2, missing)))
    size = layer.strides[0] if len(layer.strides) == 1 else layer.strides
    return [
        _UPSAMPLINGS[len(layer.strides)](size, dtype=layer.dtype_policy, **_data_format(layer)),
        *_resized(_CROPPINGS, crops, layer),
        *_resized(_PADDINGS, pads, layer),
    ]


def _sizes(layer: Any, shape: Shape) -> tuple[Any, ...]:
    return shape[2:] if layer.data_format == "channels_first" else shape[1:-1]


def _split(total: int, first: int) -> tuple[int, int]:
    return first, total - first


def _padded(n: int, m: int, k: int, s: int) -> int:
    """What a "same" convolution from `n` to `m` pads before the first element."""
    return max((m - 1) * s + k - n, 0) // 2


def _resized(kinds: Any, amounts: list[tuple[int, int]], layer: Any) -> list[layers.Layer]:
    if not any(first or last for first, last in amounts):
        return []
    given: Any = amounts[0] if len(amounts) == 1 else tuple(amounts)
    return [kinds[len(amounts)](given, dtype=layer.dtype_policy, **_data_format(layer))]


def _data_format(layer: Any) -> dict[str, str]:
    return {"data_format": layer.data_format} if len(layer.strides) > 1 else {}
