"""Train a hasher on several machines: a loop of its own, as Keras's `fit` runs on one machine.

    python examples/multi_worker.py --workers 127.0.0.1:7001 127.0.0.1:7002 --index 0 &
    python examples/multi_worker.py --workers 127.0.0.1:7001 127.0.0.1:7002 --index 1

Each worker runs the same program and names itself by its place in the list; what they say to each
other goes to these addresses. On several GPUs of one machine none of this is needed: make and
compile the model within `tf.distribute.MirroredStrategy().scope()`, and call `fit`.
"""

import json
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from data import command_line, start

import keras_ae


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--workers", nargs="+", required=True, help="host:port of each")
    parser.add_argument("--index", type=int, required=True, help="which of them this is")
    parser.add_argument("--bits", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=64, help="of all workers together")
    arguments, images = start(parser)
    task = {"type": "worker", "index": arguments.index}
    os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": arguments.workers}, "task": task})
    # Before anything else of TensorFlow's.
    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    keras.utils.set_random_seed(0)
    with strategy.scope():
        hasher = make(images.x_train.shape[1], arguments.bits)
        hasher.compile(keras.optimizers.Adam(1e-3), "binary_crossentropy")
        hasher.optimizer.build(hasher.trainable_variables)
    losses = train(strategy, hasher, images.x_train, arguments.epochs, arguments.batch_size)
    name = f"worker{arguments.index}"
    hasher.save(arguments.out / f"{name}.keras")
    (arguments.out / f"{name}.json").write_text(json.dumps(losses))


def make(pixels: int, bits: int) -> keras_ae.SemanticHasher:
    """Return a hasher whose batches are normalised over all replicas, not on each alone."""
    encoder = keras.Sequential(
        [
            keras.Input((pixels,)),
            keras_ae.ContractiveDense(128, "relu", contraction=1e-4),
            keras.layers.Dense(bits, use_bias=False),
            keras.layers.BatchNormalization(center=False, scale=False, synchronized=True),
        ]
    )
    decoder = keras.Sequential(
        [
            keras.Input((bits,)),
            keras.layers.Dense(128, "relu"),
            keras.layers.Dense(pixels, "sigmoid"),
        ]
    )
    hasher = keras_ae.SemanticHasher(encoder, decoder, bits)
    hasher.build((None, pixels))
    return hasher


def train(
    strategy: tf.distribute.Strategy,
    hasher: keras_ae.SemanticHasher,
    x: np.ndarray,
    epochs: int,
    batch_size: int,
) -> list[float]:
    """Return the mean loss of each epoch. Each replica takes its part of every batch."""
    data = tf.data.Dataset.from_tensor_slices(x).shuffle(len(x), seed=0)
    options = tf.data.Options()
    # By rows: there are no files to share out.
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    data = data.batch(batch_size, drop_remainder=True).with_options(options)
    batches = strategy.experimental_distribute_dataset(data)

    def step(x: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            # The loss of a replica is its share of that of the batch, penalties too.
            loss = hasher.compute_loss(x=x, y_pred=hasher(x, training=True))
        variables = hasher.trainable_variables
        hasher.optimizer.apply_gradients(
            zip(tape.gradient(loss, variables), variables, strict=True)
        )
        return loss

    @tf.function
    def step_everywhere(x: tf.Tensor) -> tf.Tensor:
        return strategy.reduce("SUM", strategy.run(step, (x,)), axis=None)

    losses = []
    for epoch in range(epochs):
        losses.append(float(np.mean([step_everywhere(batch).numpy() for batch in batches])))
        print(f"epoch {epoch + 1}: loss {losses[-1]:.4f}", flush=True)
    return losses


if __name__ == "__main__":
    main()
