"""The optimizer of the tables."""

import keras


def decaying_adam(
    rate: float, examples: int, batch_size: int, epochs: int
) -> keras.optimizers.Optimizer:
    """Return Adam whose rate falls to 0, as a cosine, over the whole training."""
    steps = epochs * -(-examples // batch_size)
    return keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(rate, steps))
