import itertools

import keras
import numpy as np
import pytest
from keras import layers

import keras_ae
from keras_ae.models import mirror

CONVOLUTIONS = {1: layers.Conv1D, 2: layers.Conv2D, 3: layers.Conv3D}
POOLINGS = {
    ("max", 1): layers.MaxPooling1D,
    ("max", 2): layers.MaxPooling2D,
    ("max", 3): layers.MaxPooling3D,
    ("average", 1): layers.AveragePooling1D,
    ("average", 2): layers.AveragePooling2D,
    ("average", 3): layers.AveragePooling3D,
}

TWO = [keras.Input((2,)), keras.Input((2,))]


def chain(shape, *parts):
    return keras.Sequential([keras.Input(shape), *parts])


def kinds(decoder):
    return [type(layer).__name__ for layer in decoder.layers]


def random(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def check_adjoint(sizes, kernel, strides, padding):
    """With the kernel of the convolution `C`, the mirror `M` has `<C x, y> = <x, M y>`."""
    convolution = CONVOLUTIONS[len(sizes)](
        3, kernel, strides=strides, padding=padding, use_bias=False
    )
    encoder = chain((*sizes, 2), convolution)
    decoder = mirror(encoder)
    assert decoder.output_shape == encoder.input_shape
    decoder.layers[0].kernel.assign(convolution.kernel)
    x, y = random(2, *sizes, 2), random(2, *encoder.output_shape[1:])
    forward, back = np.asarray(encoder(x)), np.asarray(decoder(y))
    np.testing.assert_allclose((forward * y).sum(), (x * back).sum(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("strides", [1, 2, 3])
def test_a_mirrored_convolution_is_the_adjoint_of_one_at_any_size(padding, strides):
    for kernel, size in itertools.product([1, 2, 3, 4], [5, 6, 7, 8]):
        check_adjoint((size,), kernel, strides, padding)


@pytest.mark.parametrize(
    ("sizes", "kernel", "strides"),
    [
        ((28, 28), 3, 2),
        ((7, 7), 3, 2),
        # Of even width, where one axis needs more than Keras lets one add and the other less.
        ((7, 8), (4, 2), 2),
        ((9, 6), (2, 3), (3, 2)),
        ((6, 7), (2, 4), 3),
        ((5, 4, 6), (3, 2, 4), (2, 1, 3)),
    ],
)
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_a_mirrored_convolution_is_the_adjoint_along_every_axis(sizes, kernel, strides, padding):
    check_adjoint(sizes, kernel, strides, padding)


@pytest.mark.parametrize("kind", ["max", "average"])
@pytest.mark.parametrize("padding", ["valid", "same"])
def test_mirrored_pooling_comes_out_at_any_size(kind, padding):
    for pool, strides, size in itertools.product([1, 2, 3], [1, 2, 3], [5, 6, 7, 8]):
        pooling = POOLINGS[kind, 1](pool, strides, padding)
        encoder = chain((size, 2), layers.Conv1D(2, 1), pooling)
        assert mirror(encoder).output_shape == encoder.input_shape, (pool, strides, size)


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("kind", ["max", "average"])
@pytest.mark.parametrize(
    ("sizes", "pool"),
    [((7,), 2), ((7,), 3), ((8,), 3), ((7, 8), (2, 3)), ((4, 5, 7), (2, 2, 3))],
)
def test_mirrored_pooling_pools_to_what_it_came_from(kind, sizes, pool, padding):
    """Windows side by side see nothing but the value that was repeated in them."""
    pooling = POOLINGS[kind, len(sizes)](pool, padding=padding)
    decoder = mirror(chain((*sizes, 2), layers.Dense(2), pooling))
    code = abs(random(3, *decoder.input_shape[1:]))
    repeated = keras.Sequential([keras.Input(decoder.input_shape[1:]), *decoder.layers[:-1]])(code)
    assert repeated.shape[1:-1] == sizes
    np.testing.assert_allclose(pooling(repeated), code, rtol=1e-6)


def test_layers_are_turned_round_and_activations_stay_at_their_depth():
    encoder = chain(
        (28, 28, 1),
        keras_ae.GaussianCorruption(0.1),
        layers.Conv2D(4, 3, strides=2, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(6, 3, use_bias=False),
        layers.BatchNormalization(),
        layers.LeakyReLU(0.3),
        layers.SpatialDropout2D(0.1),
        layers.AveragePooling2D(2),
        layers.Flatten(),
        layers.Dropout(0.2),
        layers.Dense(20, "tanh"),
        keras_ae.ContractiveDense(5, "sigmoid"),
        layers.BatchNormalization(),
    )
    decoder = mirror(encoder, "softplus")
    assert kinds(decoder) == [
        "Dense",  # of the code, back to 20
        "Dense",  # to the flat image
        "Reshape",
        "UpSampling2D",
        "ZeroPadding2D",  # 5 was pooled to 2
        "BatchNormalization",
        "LeakyReLU",
        "Conv2DTranspose",
        "UpSampling2D",
        "Conv2DTranspose",
    ]
    shapes = [layer.output.shape[1:] for layer in decoder.layers]
    assert shapes == [(20,), (24,), (2, 2, 6), (4, 4, 6), (5, 5, 6), (5, 5, 6), (5, 5, 6),
                      (7, 7, 4), (14, 14, 4), (28, 28, 1)]  # fmt: skip
    activations = [getattr(layer, "activation", None) for layer in decoder.layers]
    names = [getattr(activation, "__name__", "") for activation in activations]
    assert names == ["tanh", "linear", "", "", "", "", "", "relu", "", "softplus"]
    assert decoder.layers[6].negative_slope == pytest.approx(0.3)
    assert all(layer.use_bias for layer in decoder.layers if hasattr(layer, "use_bias"))


def test_layers_before_the_first_kernel_and_after_the_last_have_no_counterpart():
    encoder = chain(
        (3, 4),
        layers.BatchNormalization(),
        layers.Flatten(),
        layers.Dense(6, "relu"),
        layers.LayerNormalization(),
        layers.ReLU(),
        layers.Dense(8),
        keras_ae.JumpReLU(),
        layers.Reshape((2, 4)),
    )
    decoder = mirror(encoder, "sigmoid")
    expected = ["Reshape", "Dense", "LayerNormalization", "ReLU", "Dense", "Reshape"]
    assert kinds(decoder) == expected
    assert decoder.layers[1].activation is keras.activations.relu
    assert decoder.layers[4].activation is keras.activations.sigmoid
    assert decoder.output_shape == (None, 3, 4)


def test_a_chain_is_told_whatever_it_is_wrapped_in():
    dense = layers.Dense(3, "relu")
    inputs = keras.Input((5,))
    functional = keras.Model(inputs, layers.Dense(2)(dense(layers.Dense(4, "tanh")(inputs))))
    nested = chain(
        (5,),
        keras.Sequential([layers.Dense(4, "tanh")]),
        keras_ae.Contractive(keras.Sequential([layers.Dense(3, "relu"), layers.Dense(2)]), 0.1),
    )
    again = keras.Input((4,))
    # Layers that another model had first: their own first call is not the one in the chain.
    shared = keras.Model(again, layers.Dense(2)(dense(again)))
    outer = keras.Input((5,))
    around = keras.Model(outer, shared(layers.Dense(4, "tanh")(outer)))
    for encoder in (functional, nested, around):
        decoder = mirror(encoder)
        assert [(layer.units, layer.activation.__name__) for layer in decoder.layers] == [
            (3, "relu"),
            (4, "tanh"),
            (5, "linear"),
        ]


def test_weights_are_fresh_and_of_the_same_distribution(images):
    regularizer = keras.regularizers.L2(1e-3)
    encoder = chain(
        (20,),
        layers.Dense(
            200,
            activation=layers.PReLU(),
            kernel_initializer=keras.initializers.RandomNormal(stddev=7.0),
            kernel_regularizer=regularizer,
            kernel_constraint="non_neg",
            activity_regularizer="l1",
        ),
        layers.ReLU(activity_regularizer="l1", trainable=False),
        keras_ae.JumpReLU(sparsity=0.1),
        keras_ae.ContractiveDense(20, contraction=0.1, kernel_initializer="ones"),
    )
    decoder = mirror(encoder)
    first, relu, jump, last = decoder.layers
    assert not {id(w) for w in encoder.weights} & {id(w) for w in decoder.weights}
    np.testing.assert_array_equal(first.kernel, 1)
    assert np.std(last.kernel) == pytest.approx(7, rel=0.1)
    assert last.kernel_regularizer.l2 == pytest.approx(1e-3)
    assert last.kernel_constraint is last.activity_regularizer is relu.activity_regularizer is None
    assert isinstance(first.activation, layers.PReLU)
    assert first.activation is not encoder.layers[0].activation
    assert (relu.trainable, jump.sparsity) == (True, 0)
    decoder(encoder(images, training=True), training=True)
    # Of the encoder both activity regularizers, the count, the contraction and the decay.
    assert (len(encoder.losses), len(decoder.losses)) == (5, 1)
    assert (last.kernel.numpy() != mirror(encoder).layers[-1].kernel.numpy()).all()


def test_has_the_precision_of_the_encoder():
    encoder = chain((8, 8, 1), layers.Conv2D(2, 3, dtype="mixed_float16"),
                    layers.MaxPooling2D(dtype="mixed_float16"),
                    layers.Flatten(dtype="mixed_float16"), layers.Dense(2))  # fmt: skip
    policies = [layer.dtype_policy.name for layer in mirror(encoder).layers]
    assert policies == ["float32", "mixed_float16", "mixed_float16", "mixed_float16"]


def test_trains_and_survives_saving(tmp_path):
    encoder = chain(
        (7, 8, 1),
        layers.Conv2D(4, 2, strides=2, padding="same", activation="relu"),
        layers.BatchNormalization(),
        layers.MaxPooling2D(padding="same"),
        layers.Flatten(),
        layers.Dense(3),
    )
    model = keras_ae.Autoencoder(encoder, mirror(encoder, "sigmoid"))
    assert "Cropping2D" in kinds(model.decoder)
    x = np.random.default_rng(0).random((24, 7, 8, 1)).astype("float32")
    model.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=True)
    losses = model.fit(x, epochs=8, batch_size=8, verbose=0).history["loss"]
    assert losses[-1] < losses[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded.reconstruct(x), model.reconstruct(x), rtol=1e-5)


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv2DTranspose(2, 3, name="odd"),
        layers.Conv2D(2, 3, groups=2, name="odd"),
        layers.Conv2D(2, 3, dilation_rate=2, name="odd"),
        layers.SeparableConv2D(2, 3, name="odd"),
        layers.DepthwiseConv2D(3, name="odd"),
        layers.GlobalAveragePooling2D(name="odd"),
        layers.UpSampling2D(name="odd"),
        layers.Rescaling(2.0, name="odd"),
        layers.TimeDistributed(layers.Dense(2), name="odd"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_refuses_other_layers_by_name(layer):
    with pytest.raises(ValueError, match=r"must be a chain of Dense, Conv1D.* Received: <.*odd"):
        mirror(chain((8, 8, 2), layers.Dense(2), layer))


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv1D(2, 3, padding="causal", name="odd"),
        layers.MaxPooling1D(data_format="channels_first", name="odd"),
        layers.LSTM(2, name="odd"),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_refuses_other_layers_of_sequences_by_name(layer):
    with pytest.raises(ValueError, match=r"must be a chain of Dense, Conv1D.* Received: <.*odd"):
        mirror(chain((8, 8), layers.Dense(8), layer))


def test_refuses_an_encoder_that_is_no_chain_or_has_nothing_to_mirror():
    inputs = keras.Input((4,))
    branched = keras.Model(inputs, layers.Dense(2)(inputs) + layers.Dense(2)(inputs), name="odd")
    for encoder in (branched, chain((2, 2), layers.Flatten(name="odd"))):
        with pytest.raises(ValueError, match=r"at least one of them.* Received: \[<.*odd"):
            mirror(encoder)


@pytest.mark.parametrize(
    "encoder",
    [
        keras.Sequential([layers.Dense(2)]),
        chain((None, 3), layers.Dense(2)),
        layers.Dense(2),
        keras.Model(TWO, layers.Add()(TWO)),
        None,
    ],
    ids=["unbuilt", "unknown", "layer", "two", "none"],
)
def test_refuses_an_encoder_without_one_input_of_known_shape(encoder):
    with pytest.raises(ValueError, match=r"encoder must be a Sequential or functional model"):
        mirror(encoder)
