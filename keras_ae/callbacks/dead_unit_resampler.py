"""Second lives for the units of a sparse autoencoder that nothing turns on."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_ae._checks import check_finite, check_integer, check_seed
from keras_ae.types import FloatArray


class DeadUnitResampler(keras.callbacks.Callback):
    """Start units of a `SparseAutoencoder` anew that are on for no example.

    At the end of every `every`-th epoch but the last, each unit that is 0 for all of `x` gets the
    direction of an example, drawn with a probability proportional to the square of the loss of
    that example, its squared error: `SparseAutoencoder.restart` says what becomes of its weights.
    Other units stay as they are. The direction is that of the example itself, without centring, so
    that a ReLU with the bias 0 is on for it.

    The number of units started anew is in the logs, and so in `history`, as `resampled`. Nothing
    is done at the last epoch, or at one where a callback before this one in the list, such as
    `EarlyStopping`, ends the training: a unit that is not trained any more would only disturb.

    Args:
        x: Examples `(n, input_dim)`, n >= 1, finite numbers: the training data, or so many of them
            that a unit that is 0 for all of them may be taken for dead.
        every: Epochs from one time to the next, an integer >= 1.
        batch_size: Examples at a time, an integer >= 1. It bounds the memory used.
        seed: Integer >= 0 that makes the draws reproducible, or `None`.

    Raises:
        ValueError: An argument is not as above or, in `fit`, the model has no `restart`, takes
            examples of another size or gives losses that are not finite.

    Example:

    >>> import keras, keras_ae
    >>> penalty = keras_ae.LaplaceActivityRegularizer(1e-3)
    >>> model = keras_ae.SparseAutoencoder(
    ...     16, 32, keras.layers.ReLU(activity_regularizer=penalty), revival=0)
    >>> model.compile("adam", "mse")
    >>> x = keras.ops.convert_to_numpy(keras.random.uniform((64, 16)))
    >>> resampler = keras_ae.callbacks.DeadUnitResampler(x, every=2, seed=0)
    >>> history = model.fit(x, epochs=4, callbacks=[resampler], verbose=0).history
    >>> len(history["resampled"])
    4

    Reference:
        Bricken et al.: Towards Monosemanticity: Decomposing Language Models With Dictionary
        Learning, 2023.
    """

    def __init__(
        self, x: FloatArray, every: int = 1, batch_size: int = 1024, seed: int | None = None
    ) -> None:
        super().__init__()
        self.x = check_finite("x", x)
        if len(self.x) == 0:
            raise ValueError(
                f"x must have at least one example. Received: x with shape={self.x.shape}"
            )
        self.every = check_integer("every", every, minimum=1)
        self.batch_size = check_integer("batch_size", batch_size, minimum=1)
        self.seed = check_seed(seed)
        self._generator = np.random.default_rng(self.seed)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if not hasattr(self.model, "restart"):
            raise ValueError(
                "DeadUnitResampler must be given to the fit of a SparseAutoencoder. "
                f"Received: {self.model!r}"
            )
        if self.x.shape[1:] != (self.model.input_dim,):
            raise ValueError(
                f"x must have shape (n, {self.model.input_dim}), as the model takes it. "
                f"Received: x with shape={self.x.shape}"
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        due = (epoch + 1) % self.every == 0 and epoch + 1 < self.params["epochs"]
        count = self._resample() if due and not self.model.stop_training else 0
        if logs is not None:
            logs["resampled"] = count

    def _resample(self) -> int:
        losses, dead = [], np.ones(self.model.units, bool)
        for start in range(0, len(self.x), self.batch_size):
            batch = ops.convert_to_tensor(self.x[start : start + self.batch_size])
            code = self.model.encoder(batch)
            error = ops.cast(batch, "float32") - ops.cast(self.model.decoder(code), "float32")
            losses.append(ops.convert_to_numpy(ops.mean(ops.square(error), axis=1)))
            dead &= ~ops.convert_to_numpy(ops.any(code > 0, axis=0))
        units = np.flatnonzero(dead)
        weights = np.concatenate(losses).astype("float64") ** 2
        if not np.isfinite(weights).all():
            raise ValueError(
                "DeadUnitResampler must be given to a training that stays finite. Received: NaN or "
                f"infinite losses for {np.count_nonzero(~np.isfinite(weights))} of {len(self.x)} "
                "examples"
            )
        weights[~self.x.any(axis=1)] = 0  # An example without a direction.
        if len(units) == 0 or weights.sum() == 0:
            return 0
        drawn = self._generator.choice(len(self.x), len(units), p=weights / weights.sum())
        self.model.restart(units, self.x[drawn])
        return len(units)
