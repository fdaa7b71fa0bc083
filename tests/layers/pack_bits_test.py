import keras
import numpy as np
import pytest

import keras_ae
from keras_ae.ops.bits import pack_bits, unpack_bits


@pytest.mark.parametrize("shape", [(1, 8), (7, 64), (3, 5, 24), (0, 16)])
def test_equals_numpy_in_little_bit_order(shape):
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    expected = np.packbits(x > 0, axis=-1, bitorder="little")
    np.testing.assert_array_equal(keras_ae.PackBits()(x), expected)


def test_logits_and_their_bits_pack_alike():
    logits = np.random.default_rng(0).normal(size=(9, 32)).astype("float32")
    bits = keras_ae.BinaryCode()(logits)
    np.testing.assert_array_equal(keras_ae.PackBits()(bits), keras_ae.PackBits()(logits))


def test_tiny_logits_survive_mixed_precision():
    layer = keras_ae.PackBits(dtype="mixed_float16")
    assert int(layer(np.full((1, 8), 1e-12, "float32"))[0, 0]) == 255


def test_unpacking_is_the_inverse():
    codes = np.random.default_rng(0).integers(0, 256, (6, 3, 4), dtype=np.uint8)
    bits = unpack_bits(codes)
    np.testing.assert_array_equal(bits, np.unpackbits(codes, axis=-1, bitorder="little"))
    np.testing.assert_array_equal(pack_bits(bits), codes)


@pytest.mark.parametrize("shape", [(2, 12), (2, 0), (8,), (2, None)])
def test_refuses_a_shape_that_is_not_whole_bytes(shape):
    with pytest.raises(ValueError, match=r"a positive multiple of 8\. Received: input_shape="):
        keras_ae.PackBits()(keras.KerasTensor(shape))


def test_booleans_are_bits():
    bits = np.random.default_rng(0).random((5, 16)) > 0.5
    np.testing.assert_array_equal(
        keras_ae.PackBits()(bits), np.packbits(bits, axis=1, bitorder="little")
    )
