"""Batch normalisation inside a penalty on derivatives."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras

from keras_ae.ops._isolated_scope import IsolatedScope
from keras_ae.types import Tensor


class BatchStatistics:
    """Makes the batch statistics of an encoder constants for the derivatives taken of it.

    The derivative of a sum over the batch through them would mix the examples: after a batch
    normalisation it is 0 whatever the encoder does. Each example is given the Jacobian of the
    function that it goes through, statistics held. They come from a pass of their own, outside of
    those derivatives; a training step still sees through them.

    Args:
        encoder: A layer or model.
        inputs: The batch.
    """

    def __init__(self, encoder: keras.layers.Layer, inputs: Tensor) -> None:
        self._seen: dict[keras.layers.Layer, list[Any]] = {
            layer: []
            for layer in encoder._flatten_layers()
            if isinstance(layer, keras.layers.BatchNormalization)
        }
        if self._seen:
            with IsolatedScope(), self._replaced(self._recording):
                encoder(inputs, training=True)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Calls inside are given the statistics that were kept, in the same order."""
        with self._replaced(self._replaying):
            yield

    def _recording(self, layer: keras.layers.Layer) -> Callable[..., Any]:
        moments = layer._moments

        def recording(*args: Any) -> tuple[Tensor, Tensor]:
            self._seen[layer].append(moments(*args))
            return self._seen[layer][-1]

        return recording

    def _replaying(self, layer: keras.layers.Layer) -> Callable[..., Any]:
        statistics = iter(self._seen[layer])
        return lambda *args: next(statistics)

    @contextmanager
    def _replaced(self, replacement: Callable[[Any], Callable[..., Any]]) -> Iterator[None]:
        # Keras has no public way in. Past its tracking, and undone as soon as the call is over.
        for layer in self._seen:
            object.__setattr__(layer, "_moments", replacement(layer))
        try:
            yield
        finally:
            for layer in self._seen:
                vars(layer).pop("_moments")
