"""Train every model on one device and on two, and print how the losses differ, as JSON."""

import json
import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"

import keras
import numpy as np
import tensorflow as tf
from every_model import MODELS, data_of, loss_of


def main() -> None:
    # Before anything is computed.
    (cpu,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
    x = np.random.default_rng(0).random((70, 12)).astype("float32")
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
                model.compile(keras.optimizers.SGD(0.1), jit_compile=False, **loss_of(name))
            # The last batch, of 10, is smaller than the others.
            data = data_of(name, x)
            history = model.fit(*data, epochs=3, batch_size=20, shuffle=False, verbose=0).history
            histories.append(history)
        result[name] = {key: [history[key] for history in histories] for key in histories[0]}
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
