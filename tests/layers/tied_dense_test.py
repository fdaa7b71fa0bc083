import keras
import numpy as np
import pytest

import keras_ae


def parts(cls=keras_ae.ContractiveDense):
    hidden = cls(4, activation="sigmoid")
    encoder = keras.Sequential([keras.Input((6,)), hidden])
    decoder = keras.Sequential([keras.Input((4,)), keras_ae.TiedDense(hidden)])
    return hidden, encoder, decoder


def in_one_sequence(cls):
    hidden = cls(4, activation="sigmoid")
    model = keras.Sequential([keras.Input((6,)), hidden, keras_ae.TiedDense(hidden)])
    return model, lambda m: (m.layers[0], m.layers[1])


def in_a_functional_model(cls):
    hidden, inputs = cls(4, activation="sigmoid"), keras.Input((6,))
    model = keras.Model(inputs, keras_ae.TiedDense(hidden)(hidden(inputs)))
    return model, lambda m: (m.layers[1], m.layers[2])


def in_nested_sequences(cls):
    _, encoder, decoder = parts(cls)
    model = keras.Sequential([keras.Input((6,)), encoder, decoder])
    return model, lambda m: (m.layers[0].layers[0], m.layers[1].layers[0])


def in_an_autoencoder(cls):
    _, encoder, decoder = parts(cls)
    model = keras_ae.Autoencoder(encoder, decoder)
    return model, lambda m: (m.encoder.layers[0], m.decoder.layers[0])


@pytest.fixture
def x():
    return np.random.default_rng(0).random((12, 6)).astype("float32")


@pytest.mark.parametrize("cls", [keras.layers.Dense, keras_ae.ContractiveDense])
@pytest.mark.parametrize(
    "make", [in_one_sequence, in_a_functional_model, in_nested_sequences, in_an_autoencoder]
)
def test_still_shared_after_saving_and_loading_twice(make, cls, x, tmp_path):
    model, layers = make(cls)
    for i in range(2):
        model.compile("adam", "mse")
        model.fit(x, x, verbose=0)
        model.save(tmp_path / f"{i}.keras")
        loaded = keras.models.load_model(tmp_path / f"{i}.keras")
        hidden, tied = layers(loaded)
        assert tied.tied_to is hidden
        assert tied.kernel is hidden.kernel
        np.testing.assert_array_equal(model.predict(x, verbose=0), loaded.predict(x, verbose=0))
        model = loaded


def test_output_is_the_transposed_kernel_and_its_own_bias(x):
    hidden, encoder, decoder = parts(keras.layers.Dense)
    code = np.asarray(encoder(x))
    decoder.layers[0].bias.assign(np.arange(6))
    expected = code @ hidden.kernel.numpy().T + np.arange(6)
    np.testing.assert_allclose(decoder(code), expected, rtol=1e-5)


def test_a_decoder_saved_alone_keeps_its_kernel(x, tmp_path):
    _, encoder, decoder = parts()
    decoder.save(tmp_path / "decoder.keras")
    loaded = keras.models.load_model(tmp_path / "decoder.keras")
    code = encoder(x)
    np.testing.assert_array_equal(loaded(code), decoder(code))


def test_losses_of_the_partner_count_once(x):
    _, encoder, decoder = parts()
    model = keras_ae.Autoencoder(encoder, decoder)
    model(x, training=True)
    assert len(model.losses) == 1
    assert len(model.trainable_variables) == 3


def test_training_moves_the_one_kernel_from_both_sides(x):
    hidden, _, decoder = parts(keras.layers.Dense)
    before = hidden.kernel.numpy()
    decoder.compile("sgd", "mse")
    decoder.fit(np.ones((4, 4)), np.zeros((4, 6)), verbose=0)
    assert not np.array_equal(before, hidden.kernel.numpy())


def test_a_copy_from_a_config_has_a_partner_of_its_own():
    hidden, _, decoder = parts()
    copy = keras_ae.TiedDense.from_config(decoder.layers[0].get_config())
    assert copy.tied_to is not hidden
    assert copy.tied_to.get_config() == hidden.get_config()


def test_refuses_what_is_not_dense():
    with pytest.raises(ValueError, match=r"tied_to must be a keras\.layers\.Dense\. Received"):
        keras_ae.TiedDense(keras.layers.Dropout(0.5))


def test_refuses_an_unbuilt_partner():
    with pytest.raises(ValueError, match="tied_to must be built before"):
        keras_ae.TiedDense(keras.layers.Dense(3))(np.ones((2, 3)))


def test_refuses_an_input_of_the_wrong_size():
    hidden, _, _ = parts()
    with pytest.raises(ValueError, match=r"must be tied_to\.units=4.*input_shape=\(2, 5\)"):
        keras_ae.TiedDense(hidden)(np.ones((2, 5)))


def test_refuses_a_partner_with_lora():
    hidden, _, _ = parts(keras.layers.Dense)
    hidden.enable_lora(2)
    with pytest.raises(ValueError, match="without LoRA"):
        keras_ae.TiedDense(hidden)(np.ones((2, 4)))


@pytest.mark.parametrize("change", ["enable_lora", "quantize"])
def test_a_partner_that_changes_later_is_noticed_at_once(change, x, tmp_path):
    hidden, encoder, decoder = parts(keras.layers.Dense)
    model = keras_ae.Autoencoder(encoder, decoder)
    model.build((None, 6))
    getattr(hidden, change)(2 if change == "enable_lora" else "int8")
    with pytest.raises(ValueError, match="without LoRA or quantization"):
        model(x)
    with pytest.raises(ValueError, match="without LoRA or quantization"):
        model.save(tmp_path / "model.keras")
