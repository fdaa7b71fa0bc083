import keras
import numpy as np
import pytest

import keras_ae


def units(model):
    return [layer.units for layer in model.layers]


def names(model):
    functions = [getattr(layer, "activation", None) for layer in model.layers]
    return [function.__name__ for function in functions if function is not None]


def test_dense_layers_are_as_asked_for():
    corruption = keras_ae.MaskingCorruption(0.2)
    model = keras_ae.dense_autoencoder(20, (12, 7), 3, activation="tanh", corruption=corruption,
                                       output_activation="sigmoid", name="deep")  # fmt: skip
    assert (type(model), model.name, model.built) == (keras_ae.Autoencoder, "deep", True)
    assert model.corruption is corruption
    assert (units(model.encoder), units(model.decoder)) == ([12, 7, 3], [7, 12, 20])
    assert names(model.encoder) == ["tanh", "tanh", "linear"]
    assert names(model.decoder) == ["tanh", "tanh", "sigmoid"]


@pytest.mark.parametrize(
    ("shape", "kind"),
    [
        ((11, 2), "Conv1D"),
        ((28, 28, 1), "Conv2D"),
        ((7, 10, 3), "Conv2D"),
        ((5, 6, 7, 1), "Conv3D"),
    ],
)
def test_convolutions_halve_the_size_and_the_decoder_gives_it_back(shape, kind):
    model = keras_ae.convolutional_autoencoder(
        shape, (4, 6), 5, kernel_size=2, output_activation="sigmoid"
    )
    encoder, decoder = model.encoder, model.decoder
    assert [type(layer).__name__ for layer in encoder.layers] == [kind, kind, "Flatten", "Dense"]
    halves = [tuple(-(-size // 2**i) for size in shape[:-1]) for i in (1, 2)]
    shapes = [layer.output.shape[1:] for layer in encoder.layers[:2]]
    assert shapes == [(*halves[0], 4), (*halves[1], 6)]
    assert names(encoder) == ["relu", "relu", "linear"]
    assert names(decoder) == ["relu", "relu", "sigmoid"]
    x = np.random.default_rng(0).random((3, *shape)).astype("float32")
    assert model.encode(x).shape == (3, 5)
    assert model.reconstruct(x).shape == x.shape


@pytest.mark.parametrize(
    "make",
    [
        lambda **kwargs: keras_ae.dense_autoencoder(16, (8,), 2, **kwargs),
        lambda **kwargs: keras_ae.convolutional_autoencoder((16, 1), (2,), 2, **kwargs),
    ],
    ids=["dense", "convolutional"],
)
def test_trains_in_a_precision_and_survives_saving(make, tmp_path):
    model = make(corruption=keras_ae.GaussianCorruption(0.1), dtype="mixed_bfloat16")
    policies = {layer.dtype_policy.name for layer in model.encoder.layers + model.decoder.layers}
    assert policies == {"mixed_bfloat16"}
    x = np.random.default_rng(0).random((12, *model.encoder.input_shape[1:])).astype("float32")
    model.compile("adam", "mse")
    model.fit(x, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.reconstruct(x), model.reconstruct(x), atol=1e-2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_dim": 0}, "input_dim must be an integer >= 1"),
        ({"hidden": 8}, "hidden must be a list of sizes. Received: hidden=8"),
        ({"hidden": "8"}, "hidden must be a list of sizes"),
        ({"hidden": (8, 0.5)}, "hidden must be an integer >= 1. Received: hidden=0.5"),
        ({"code_dim": True}, "code_dim must be an integer >= 1"),
        ({"corruption": 0.3}, "corruption must be a Keras layer"),
    ],
)
def test_dense_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        keras_ae.dense_autoencoder(**{"input_dim": 16, **arguments})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"input_shape": 8}, "input_shape must be a list of sizes"),
        ({"input_shape": (8,)}, "input_shape must have 2, 3 or 4 sizes"),
        ({"input_shape": (8, None, 1)}, "input_shape must be an integer >= 1"),
        ({"filters": ()}, "filters must have at least one size"),
        ({"filters": (2, -1)}, "filters must be an integer >= 1. Received: filters=-1"),
        ({"code_dim": 0}, "code_dim must be an integer >= 1"),
        ({"kernel_size": (3, 3)}, "kernel_size must be an integer >= 1"),
    ],
)
def test_convolutional_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        keras_ae.convolutional_autoencoder(**{"input_shape": (8, 8, 1), **arguments})
