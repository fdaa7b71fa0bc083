"""Arguments that every analysis takes: what to look at, and whether to show how far it is."""

from functools import partial

import keras

from keras_ae.types import TensorFunction

# Arrays are gone through in less time than XLA compiles for. JAX has no other graphs.
JIT_COMPILE = keras.backend.backend() == "jax"


def at_inference(name: str, function: TensorFunction) -> TensorFunction:
    """Return the function of tensors that a model, layer or function is, or raise a ValueError."""
    if isinstance(function, keras.layers.Layer):
        return partial(function, training=False)
    if not callable(function):
        raise ValueError(
            f"{name} must be a Keras model or layer, or a function. Received: {name}={function!r}"
        )
    return function


def progress_bar(total: int, verbose: int | str) -> keras.utils.Progbar:
    """Return a bar that is as loud as `verbose` says, or raise a ValueError."""
    if verbose not in {"auto", 0, 1, 2}:
        raise ValueError(f"verbose must be 'auto', 0, 1 or 2. Received: verbose={verbose!r}")
    return keras.utils.Progbar(total, verbose=1 if verbose == "auto" else verbose)
