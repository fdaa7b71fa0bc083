"""What the metrics share: an example a row, its weight, and sums kept in float32 or wider."""

import math
from typing import Any

import keras
from keras import ops

from keras_ae.types import Tensor


class StreamingMetric(keras.metrics.Metric):
    """A metric whose state is float32, or float64 where `dtype` asks for it."""

    def __init__(self, name: str, dtype: Any) -> None:
        super().__init__(dtype=dtype, name=name)
        # A sum in float16 stops growing after some thousand examples.
        self.state_dtype = keras.backend.result_type(self.dtype, "float32")
        self.weight = self.add_state((), "weight")

    def add_state(self, shape: tuple[int, ...], name: str, aggregation: str = "sum") -> Any:
        """Return a new variable of zeros."""
        return self.add_variable(shape, "zeros", self.state_dtype, aggregation, name)

    def rows(self, name: str, x: Tensor) -> Tensor:
        """Return `x` as `(n, size)`."""
        x = ops.cast(x, self.state_dtype)
        if len(x.shape) == 0:
            raise ValueError(f"{name} must have one example a row. Received: {name} with shape=()")
        inner = x.shape[1:]
        # The size is inferred only where it has to be: it cannot be for an empty batch.
        size = -1 if None in inner else math.prod(inner)
        return ops.reshape(x, (ops.shape(x)[0], size))

    def weights(self, sample_weight: Tensor, x: Tensor) -> Tensor:
        """Return the weights of the examples of `x`, `(n,)`, each 1 if none are given."""
        n = ops.shape(x)[0]
        if sample_weight is None:
            return ops.ones((n,), self.state_dtype)
        weights = ops.cast(sample_weight, self.state_dtype)
        if len(weights.shape) == 0 or any(size != 1 for size in weights.shape[1:]):
            raise ValueError(
                "sample_weight must have the shape (n,), one weight an example. "
                f"Received: sample_weight with shape={tuple(weights.shape)}"
            )
        return ops.reshape(weights, (n,))


class ExampleMean(StreamingMetric):
    """The weighted mean over examples of the number that `measure` gives each."""

    def __init__(self, name: str, dtype: Any) -> None:
        super().__init__(name, dtype)
        self.total = self.add_state((), "total")

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> None:
        code = self.rows("y_pred", y_pred)
        weights = self.weights(sample_weight, code)
        self.total.assign_add(ops.sum(weights * self.measure(code)))
        self.weight.assign_add(ops.sum(weights))

    def measure(self, code: Tensor) -> Tensor:
        """Map codes `(n, size)` to numbers `(n,)`."""
        raise NotImplementedError

    def result(self) -> Tensor:
        return ops.divide(self.total, self.weight)


class ResidualMoments(StreamingMetric):
    """Mean and sum of squares about it, of `y_true` and of `y_true - y_pred`.

    Batches are merged as they come: the moments of all the examples seen do not depend on how they
    were cut, and unlike `E[x^2] - E[x]^2` they survive a mean far from 0.
    """

    def __init__(self, name: str, dtype: Any) -> None:
        super().__init__(name, dtype)
        self.mean: Any = None
        # Means do not add up over replicas; without a rule TensorFlow refuses to read them there.
        self.squares = self.add_state((2,), "squares", aggregation="none")

    def update_state(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor = None) -> None:
        y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
        target, prediction = self.rows("y_true", y_true), self.rows("y_pred", y_pred)
        size = target.shape[1] or prediction.shape[1]
        if size is None or not _fit(y_true.shape[1:], y_pred.shape[1:]):
            raise ValueError(
                "y_true and y_pred must have the same shape, known but for the batch. "
                f"Received: shapes {tuple(y_true.shape)} and {tuple(y_pred.shape)}"
            )
        if self.mean is None:
            self.mean = self.add_state((2, size), "mean", aggregation="none")
        weights = self.weights(sample_weight, target)
        batch_weight = ops.sum(weights)
        total_weight = self.weight + batch_weight
        weights = ops.reshape(weights, (-1, 1, 1))
        x = ops.stack([target, target - prediction], axis=1)
        # From the first example, so that a constant is its own mean exactly. None is 0.
        first = ops.sum(x[:1], axis=0)
        batch_mean = first + ops.sum(weights * (x - first), axis=0) / _or_one(batch_weight)
        batch_squares = ops.sum(weights * ops.square(x - batch_mean), axis=(0, 2))
        shift = batch_mean - self.mean
        share = batch_weight / _or_one(total_weight)
        between = ops.sum(ops.square(shift), axis=1) * self.weight * share
        self.squares.assign_add(batch_squares + between)
        self.mean.assign_add(shift * share)
        self.weight.assign(total_weight)


def indicator(condition: Tensor, x: Tensor) -> Tensor:
    """Return 1 where a condition on `x` holds and 0 elsewhere, NaN where `x` is."""
    # NaN compares false with anything: it would count as a 0 without a word.
    return ops.where(ops.isnan(x), x, ops.cast(condition, x.dtype))


def _fit(shape: Any, other: Any) -> bool:
    # An axis of size 1 tells nothing: labels `(n,)` go with predictions `(n, 1)`.
    shape, other = ([size for size in x if size != 1] for x in (shape, other))
    return len(shape) == len(other) and all(
        None in pair or pair[0] == pair[1] for pair in zip(shape, other, strict=True)
    )


def _or_one(weight: Tensor) -> Tensor:
    return ops.where(weight == 0, ops.ones_like(weight), weight)
