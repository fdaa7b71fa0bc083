"""Train every model on one device and on two, and print how the losses differ, as JSON."""

import json
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf

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


def main() -> None:
    # Before anything is computed.
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    x = np.random.default_rng(0).random((70, 12)).astype("float32")
    directions = np.random.default_rng(1).normal(size=(70, 2, 12)).astype("float32")
    # One for all: each numbers what its devices say to each other.
    two = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    one = tf.distribute.get_strategy()
    result = {}
    for name, make in MODELS.items():
        histories = []
        for strategy in (one, two):
            keras.utils.set_random_seed(0)
            with strategy.scope():
                model = make()
                loss = {} if name == "psd" else {"loss": "mse"}
                model.compile(keras.optimizers.SGD(0.1), jit_compile=False, **loss)
            # The last batch, of 10, is smaller than the others.
            data = ([x, directions], x) if name == "tangents" else (x,)
            history = model.fit(*data, epochs=3, batch_size=20, shuffle=False, verbose=0).history
            histories.append(history)
        result[name] = {key: [history[key] for history in histories] for key in histories[0]}
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
