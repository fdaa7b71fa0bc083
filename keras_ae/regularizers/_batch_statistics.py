"""Batch normalisation inside a penalty on derivatives."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import keras

from keras_ae.ops.differentiation import held_constant
from keras_ae.types import Tensor


class BatchStatistics:
    """Makes the batch statistics of an encoder constants for the derivatives taken of it.

    The derivative of a sum over the batch through them would mix the examples: after a batch
    normalisation it is 0 whatever the encoder does. Each example is given the Jacobian of the
    function that it went through, statistics held. A second evaluation, for `J(x + noise)`, gets
    the statistics of the first: it is the same function at another point.

    Args:
        encoder: A layer or model.
    """

    def __init__(self, encoder: keras.layers.Layer) -> None:
        self._layers = [
            layer
            for layer in encoder._flatten_layers()
            if isinstance(layer, keras.layers.BatchNormalization)
        ]
        self._seen: dict[keras.layers.Layer, list[Any]] = {layer: [] for layer in self._layers}

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Calls inside compute the statistics, and keep them."""

        def replacement(layer: keras.layers.Layer) -> Callable[..., Any]:
            moments = layer._moments

            def held_moments(*args: Any) -> tuple[Tensor, Tensor]:
                with held_constant():
                    statistics = moments(*args)
                self._seen[layer].append(statistics)
                return statistics

            return held_moments

        with self._replaced(replacement):
            yield

    @contextmanager
    def replayed(self) -> Iterator[None]:
        """Calls inside are given the statistics that were kept, in the same order."""

        def replacement(layer: keras.layers.Layer) -> Callable[..., Any]:
            statistics = iter(self._seen[layer])
            return lambda *args: next(statistics)

        with self._replaced(replacement):
            yield

    @contextmanager
    def _replaced(self, replacement: Callable[[Any], Callable[..., Any]]) -> Iterator[None]:
        # Keras has no public way in. Past its tracking, and undone as soon as the call is over.
        for layer in self._layers:
            object.__setattr__(layer, "_moments", replacement(layer))
        try:
            yield
        finally:
            for layer in self._layers:
                vars(layer).pop("_moments")
