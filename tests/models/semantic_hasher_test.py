import json

import keras
import numpy as np
import pytest

import keras_ae


def test_codes_are_the_signs_of_the_logits(hasher, images):
    logits, codes = hasher.logits(images), hasher.encode(images)
    assert codes.dtype == np.uint8
    assert codes.shape == (64, 2)
    for j in range(16):
        np.testing.assert_array_equal(codes[:, j // 8] >> (j % 8) & 1, logits[:, j] > 0)


def test_in_graph_codes_equal_numpy_codes(hasher, images):
    packed = keras_ae.PackBits()(hasher.encoder(images))
    np.testing.assert_array_equal(packed, hasher.encode(images))


def test_trained_codes_tell_examples_apart_and_reconstruct(hasher, images):
    assert len(np.unique(hasher.encode(images), axis=0)) > 8
    assert np.mean((hasher.reconstruct(images) - images) ** 2) < np.var(images, axis=0).mean()


def test_the_logits_of_a_dense_hasher_are_centred_at_the_threshold(images):
    model = keras_ae.SemanticHasher.dense(20, hidden=(12,), bits=16, stddev=0)
    model.compile(keras.optimizers.SGD(0.0), "mse")
    assert np.abs(model.logits(images).mean(axis=0)).max() > 0.2
    model.fit(images, epochs=200, batch_size=64, verbose=0)
    np.testing.assert_allclose(model.logits(images).mean(axis=0), 0, atol=0.02)


def test_decoding_the_codes_is_reconstructing(hasher, images):
    np.testing.assert_allclose(
        hasher.decode(hasher.encode(images)), hasher.reconstruct(images), rtol=1e-5
    )


@pytest.mark.parametrize("code", [None, keras_ae.BinaryCode("straight_through")])
@pytest.mark.parametrize("jit_compile", [False, True])
def test_trains_with_either_gradient(images, code, jit_compile):
    model = keras_ae.SemanticHasher.dense(20, (8,), 16, code=code)
    model.compile("adam", "mse", jit_compile=jit_compile)
    before = model.encoder.layers[-2].kernel.numpy()
    history = model.fit(images, epochs=3, batch_size=24, verbose=0).history
    assert set(history) == {"loss", "reconstruction", "contraction"}
    assert not np.array_equal(before, model.encoder.layers[-2].kernel.numpy())


def test_survives_saving(hasher, images, tmp_path):
    hasher.save(tmp_path / "hasher.keras")
    loaded = keras.models.load_model(tmp_path / "hasher.keras")
    # By way of JSON, which turns tuples into lists.
    assert json.dumps(loaded.get_config()) == json.dumps(hasher.get_config())
    np.testing.assert_array_equal(loaded.logits(images), hasher.logits(images))
    np.testing.assert_array_equal(loaded.encode(images), hasher.encode(images))
    assert "loss" in loaded.fit(images, verbose=0).history


def test_a_convolutional_encoder_works():
    encoder = keras.Sequential(
        [keras.layers.Conv2D(2, 3), keras.layers.Flatten(), keras.layers.Dense(8)]
    )
    decoder = keras.Sequential([keras.layers.Dense(36), keras.layers.Reshape((6, 6, 1))])
    model = keras_ae.SemanticHasher(encoder, decoder, bits=8)
    x = np.random.default_rng(0).random((5, 6, 6, 1)).astype("float32")
    model.compile("adam", "mse")
    model.fit(x, verbose=0)
    assert model.encode(x).shape == (5, 1)


@pytest.mark.parametrize("bits", [0, -8, 12, 8.0, "8", True])
def test_refuses_bits_that_are_not_whole_bytes(bits):
    with pytest.raises(ValueError, match="bits must be"):
        keras_ae.SemanticHasher.dense(20, bits=bits)


def test_refuses_an_encoder_of_another_width():
    encoder = keras.Sequential([keras.Input((20,)), keras.layers.Dense(24)])
    model = keras_ae.SemanticHasher(encoder, keras.layers.Dense(20), bits=16)
    with pytest.raises(
        ValueError, match=r"bits=16\. Received: an encoder that returns \(None, 24\)"
    ):
        model.build((None, 20))


def test_refuses_bad_inputs(hasher):
    with pytest.raises(ValueError, match="x must be finite"):
        hasher.encode(np.full((2, 20), np.nan, "float32"))
    for codes in (np.zeros((2, 2)), np.zeros((2, 3), np.uint8), np.zeros(2, np.uint8)):
        with pytest.raises(ValueError, match=r"codes must be uint8 of shape \(n, 2\)"):
            hasher.decode(codes)
    with pytest.raises(ValueError, match="code must be a BinaryCode, a TanhCode or None"):
        keras_ae.SemanticHasher(keras.layers.Dense(8), keras.layers.Dense(2), 8, code="noisy")
    with pytest.raises(ValueError, match=r"input_dim must be an integer >= 1\."):
        keras_ae.SemanticHasher.dense(0)
    with pytest.raises(ValueError, match=r"hidden must be an integer >= 1\. Received: hidden=-3"):
        keras_ae.SemanticHasher.dense(20, hidden=(8, -3))


def test_refuses_the_wrong_width_in_fit_too(images):
    encoder = keras.Sequential([keras.Input((20,)), keras.layers.Dense(24)])
    decoder = keras.Sequential([keras.Input((24,)), keras.layers.Dense(20)])
    model = keras_ae.SemanticHasher(encoder, decoder, bits=8)
    model.compile("adam", "mse")
    with pytest.raises(ValueError, match=r"encoder must return logits of shape \(n, bits\)"):
        model.fit(images, verbose=0)


def test_huge_inputs_are_refused_rather_than_given_an_empty_code(hasher):
    with pytest.raises(ValueError, match=r"x must be numbers that the model computes with"):
        hasher.encode(np.full((2, 20), 1e300))


def test_the_policy_of_a_dense_hasher_is_that_of_its_layers(images):
    model = keras_ae.SemanticHasher.dense(20, (8,), 8, dtype="mixed_float16")
    parts = [model.corruption, *model.encoder.layers, model.code, *model.decoder.layers]
    assert {layer.compute_dtype for layer in parts} == {"float16"}
    model.compile("adam", "mse")
    model.fit(images, verbose=0)
    assert model.logits(images).dtype == np.float16


@pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method:UserWarning")
def test_can_be_quantized_before_its_first_call(images):
    model = keras_ae.SemanticHasher.dense(20, (8,), 8)
    before = model.encode(images)
    fresh = keras_ae.SemanticHasher.dense(20, (8,), 8)
    fresh.set_weights(model.get_weights())
    fresh.quantize("int8")
    assert np.unpackbits(fresh.encode(images) ^ before).mean() < 0.2


def test_hidden_must_be_a_list():
    for hidden in (5, None, "12"):
        with pytest.raises(ValueError, match="hidden must be a list of sizes"):
            keras_ae.SemanticHasher.dense(20, hidden=hidden)


def test_images_get_views_and_other_inputs_noise():
    of_images = keras_ae.SemanticHasher.dense(36, (8,), 8, image_shape=(3, 6, 2))
    move, noise = of_images.corruption.layers
    assert isinstance(move, keras_ae.AffineCorruption)
    assert move.image_shape == (3, 6, 2)
    assert noise.get_config()["stddev"] == 0.3
    assert of_images.consistency.strength == 1.0
    assert isinstance(of_images.code, keras_ae.TanhCode)
    one_view = keras_ae.SemanticHasher.dense(36, (8,), 8, image_shape=(3, 6, 2), consistency=0)
    assert one_view.penalty_names == ()
    assert one_view.code.stddev == 0.5
    masking = keras_ae.MaskingCorruption(0.5)
    own = keras_ae.SemanticHasher.dense(36, (8,), 8, image_shape=(3, 6, 2), corruption=masking)
    assert own.corruption is masking
    assert own.consistency.strength == 1.0
    of_vectors = keras_ae.SemanticHasher.dense(36, (8,), 8)
    assert of_vectors.corruption.get_config()["stddev"] == 0.6
    assert of_vectors.consistency is None
    of_zero = keras_ae.SemanticHasher.dense(36, (8,), 8, consistency=keras_ae.ViewConsistency(0))
    assert of_zero.code.stddev == 0.5
    labels = keras_ae.LabelConsistency(0.5)
    of_dict = keras_ae.SemanticHasher.dense(
        36, (8,), 8, consistency=keras.saving.serialize_keras_object(labels)
    )
    assert of_dict.consistency.get_config() == labels.get_config()


@pytest.mark.parametrize("corruption", [None, keras_ae.MaskingCorruption(0.5)])
def test_refuses_arguments_of_images_that_do_not_fit(corruption):
    def make(**arguments):
        keras_ae.SemanticHasher.dense(36, (), 8, corruption=corruption, **arguments)

    with pytest.raises(ValueError, match=r"image_shape must .* with input_dim=36 values"):
        make(image_shape=(4, 4, 2))
    with pytest.raises(ValueError, match=r"image_shape must be \(height, width, channels\)"):
        make(image_shape="junk")
    with pytest.raises(ValueError, match="stddev must be a finite number >= 0"):
        make(stddev=-1)
    with pytest.raises(ValueError, match="contraction must be a finite number >= 0"):
        make(contraction=-1)


def test_a_hasher_of_images_is_saved_with_its_views(tmp_path):
    x = np.random.default_rng(0).random((40, 36)).astype("float32")
    model = keras_ae.SemanticHasher.dense(36, (8,), 8, image_shape=(3, 6, 2))
    model.compile("adam", "binary_crossentropy", jit_compile=True)
    model.fit(x, verbose=0)
    model.save(tmp_path / "hasher.keras")
    loaded = keras.saving.load_model(tmp_path / "hasher.keras")
    np.testing.assert_array_equal(loaded.encode(x), model.encode(x))
    assert "consistency" in loaded.fit(x, verbose=0).history
