"""Noise that changes as the training goes on."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops

from keras_ae.layers._corruption import Corruption


class NoiseSchedule(keras.callbacks.Callback):
    """Set the level of a corruption layer at the start of every epoch.

    `level = schedule(epoch)`, with epochs counted from 0

    Training that begins with much noise, which shows the coarse features of the data, and goes on
    with less finds finer ones too. The level appears in `history` as the layer calls it: `stddev`,
    `rate` or `fraction`; if that name is taken, with the layer's name and `_` before it. After the
    training the layer keeps the last one, and a saved model does too.

    The level is a weight of the layer: nothing is traced or compiled again.

    Args:
        layer: `GaussianCorruption` or another layer of noise with a `level`, anywhere in
            the model that is trained.
        schedule: Function from the epoch, an integer, to the level, a number in the range of the
            layer's argument; or a `keras.optimizers.schedules.LearningRateSchedule`, whose steps
            are then epochs.

    Raises:
        ValueError: An argument is not as above; or, in training, the model lacks the layer or a
            level is out of its range.

    Example:

    >>> import keras, keras_ae
    >>> noise = keras_ae.MaskingCorruption(0.5)
    >>> model = keras.Sequential([keras.Input((4,)), noise, keras.layers.Dense(4)])
    >>> model.compile("adam", "mse")
    >>> x = keras.random.uniform((32, 4))
    >>> schedule = keras_ae.callbacks.NoiseSchedule(noise, lambda epoch: 0.5 / 2**epoch)
    >>> model.fit(x, x, epochs=3, callbacks=[schedule], verbose=0).history["rate"]
    [0.5, 0.25, 0.125]

    Reference:
        Geras and Sutton: Scheduled Denoising Autoencoders, 2015.
    """

    def __init__(self, layer: Corruption, schedule: Callable[[int], Any]) -> None:
        super().__init__()
        if not isinstance(layer, Corruption):
            raise ValueError(
                "layer must be a GaussianCorruption, MaskingCorruption, RangeCorruption or "
                f"SaltAndPepperCorruption. Received: layer={layer!r}"
            )
        if not callable(schedule):
            raise ValueError(
                "schedule must be a function of the epoch or a LearningRateSchedule. "
                f"Received: schedule={schedule!r}"
            )
        self.layer = layer
        self.schedule = schedule

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Check that the layer is in the model: else the schedule would change nothing."""
        if not any(layer is self.layer for layer in self.model._flatten_layers()):
            raise ValueError(
                "layer must be in the model that is trained, not a copy of one in it. "
                f"Received: layer={self.layer.name!r} and a model without it"
            )

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Set the level of the epoch."""
        level = self.schedule(epoch)
        if hasattr(level, "shape"):
            level = ops.convert_to_numpy(level)[()]
        self.layer.level.assign(self.layer.check_level(level))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Record the level of the epoch."""
        if logs is not None:
            name = self.layer.level_name
            logs[f"{self.layer.name}_{name}" if name in logs else name] = float(self.layer.level)
