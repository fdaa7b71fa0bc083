"""Every model of the package, small, for inputs of 12 numbers: `MODELS` and `RANDOM_MODELS`."""

from typing import Any

import keras
import numpy as np

import keras_ae

Dense = keras.layers.Dense


def encoder(*layers: keras.layers.Layer) -> keras.Sequential:
    return keras.Sequential([keras.Input((12,)), *layers])


def contractive(*arguments, **more) -> keras.Model:
    penalty = keras_ae.ContractiveRegularizer(0.1, *arguments, **more)
    return keras_ae.Autoencoder(
        encoder(keras_ae.ContractiveDense(5, "sigmoid", contraction=penalty)), Dense(12)
    )


def hasher() -> keras.Model:
    hidden = keras_ae.ContractiveDense(10, "tanh", contraction=0.1)
    decoder = keras.Sequential([keras.Input((8,)), Dense(12, "sigmoid")])
    return keras_ae.SemanticHasher(encoder(hidden, Dense(8)), decoder, 8)


@keras.saving.register_keras_serializable("every_model")
class Size(keras_ae.ViewConsistency):
    """Of each example alone. The real one compares those of a batch, which devices share out."""

    def between(self, first, second):
        return keras.ops.mean(keras.ops.square(first))


def consistent() -> keras.Model:
    decoder = keras.Sequential([keras.Input((8,)), Dense(12, "sigmoid")])
    corruption, code = keras.layers.Identity(), keras_ae.TanhCode()
    return keras_ae.SemanticHasher(
        encoder(Dense(8)), decoder, 8, corruption, code, consistency=Size()
    )


def sparse(activation: keras.layers.Layer) -> keras.Model:
    return keras_ae.SparseAutoencoder(12, 24, activation, dead_after=10)


def tangents() -> keras.Model:
    """A plain Keras model of inputs and directions, whose penalty shows in the loss alone."""
    inputs = [keras.Input((12,)), keras.Input((2, 12))]
    return keras.Model(inputs, keras_ae.TangentPropagated(encoder(Dense(12, "tanh")), 0.1)(inputs))


laplace = keras_ae.LaplaceActivityRegularizer(0.1)
MODELS = {
    "hasher": hasher,
    "consistent": consistent,
    "exact": contractive,
    "jacobian": lambda: contractive("jacobian"),
    "hutchinson": lambda: contractive("hutchinson", probes=8, seed=0),
    "curvature": lambda: contractive(curvature=0.1, seed=0),
    "laplace": lambda: keras_ae.Autoencoder(
        encoder(Dense(5, activity_regularizer=laplace)), Dense(12)
    ),
    "top_k": lambda: sparse(keras_ae.TopK(3)),
    "jump_relu": lambda: sparse(keras_ae.JumpReLU(sparsity=0.1)),
    "gated_relu": lambda: sparse(keras_ae.GatedReLU(sparsity=0.1)),
    "psd": lambda: keras_ae.PredictiveSparseDecomposition(12, 16, 0.1, 0.5),
    "tangents": tangents,
}
# With draws of their own, which differ from backend to backend and device to device.
RANDOM_MODELS = {
    "denoising": lambda: keras_ae.DenoisingAutoencoder(
        encoder(Dense(5, "tanh")), Dense(12), keras_ae.MaskingCorruption(0.3), alpha=1.0, beta=0.5
    ),
    "dense": lambda: keras_ae.dense_autoencoder(
        12, [8], 4, corruption=keras_ae.SaltAndPepperCorruption(0.2)
    ),
    "dense hasher": lambda: keras_ae.SemanticHasher.dense(12, (10,), 8, hidden_noise=0.1),
    "hasher of images": lambda: keras_ae.SemanticHasher.dense(
        12, (10,), 8, image_shape=(4, 3, 1), logit_regularizer=keras_ae.BitRegularizer(0.1)
    ),
    "batch_top_k": lambda: sparse(keras_ae.BatchTopK(3)),
    "dropout": lambda: keras_ae.Autoencoder(
        keras_ae.Contractive(
            encoder(
                Dense(8, "sigmoid", activity_regularizer=keras_ae.KLSparsityRegularizer()),
                keras.layers.BatchNormalization(),
                keras.layers.Dropout(0.2),
                Dense(5, kernel_regularizer="l2"),
            ),
            keras_ae.ContractiveRegularizer(0.1, curvature=0.1),
        ),
        Dense(12),
    ),
}


def make(name: str) -> keras.Model:
    """Return a new model, built: TensorFlow traces a step that makes variables once more."""
    model = (MODELS | RANDOM_MODELS)[name]()
    if not model.built:
        model.build((None, 12))
    return model


def loss_of(name: str) -> dict[str, str]:
    """Return the loss to compile a model with, as an argument."""
    return {} if name == "psd" else {"loss": "mse"}


def data_of(name: str, x: np.ndarray) -> tuple[Any, ...]:
    """Return what to fit a model to."""
    if name != "tangents":
        return (x,)
    directions = np.random.default_rng(1).normal(size=(len(x), 2, 12)).astype("float32")
    return ([x, directions], x)
