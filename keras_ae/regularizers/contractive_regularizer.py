"""The penalty of the contractive autoencoder."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from numbers import Integral
from typing import Any, ClassVar

import keras
from keras import ops

from keras_ae._checks import check_choice, check_integer, check_number, check_seed
from keras_ae.ops import random
from keras_ae.ops._isolated_scope import IsolatedScope
from keras_ae.ops.batch import batch_mean
from keras_ae.ops.differentiation import value_and_jacobian, value_and_vjp
from keras_ae.regularizers._arguments import differentiable, masked_as, regularizer_of
from keras_ae.regularizers._batch_statistics import BatchStatistics
from keras_ae.regularizers._dense_stack import dense_stack, value_and_factors
from keras_ae.regularizers._jacobians import (
    DenseJacobian,
    Jacobian,
    ProjectedJacobian,
    WholeJacobian,
    random_signs,
)
from keras_ae.types import Config, Tensor, TensorFunction

Evaluation = Callable[[Tensor], tuple[Tensor, Jacobian]]
"""From inputs to the outputs and the Jacobian there."""


@keras.saving.register_keras_serializable("keras_ae")
class ContractiveRegularizer(keras.regularizers.Regularizer):
    """Squared Frobenius norm of an encoder's Jacobian, averaged over the batch.

    `contraction = strength * mean_b ||J(x_b)||^2`, with `||J||^2 = sum_ij (d h_i / d x_j)^2`

    `curvature = curvature * mean_b E_e ||J(x_b) - J(x_b + e)||^2`, with `e ~ N(0, stddev^2)`

    The second, optional term penalises how fast the Jacobian changes (CAE+H).

    A Keras activity regularizer never sees a layer's input, so this one is not called on an
    output: give it to `ContractiveDense` or `Contractive`, or call `value_and_penalties`.

    Args:
        strength: Weight of the contraction, a finite number >= 0.
        estimator: `"exact"`, for stacks of dense layers with elementwise activations: a closed form
            for one, the product of the layers' Jacobians from the narrow side for several, or for
            two with a linear last one their Gram matrices, which are cheap in large batches;
            `"jacobian"`, the whole Jacobian by automatic differentiation, right for any encoder and
            slow; `"hutchinson"`, an unbiased estimate from `probes` random projections of the
            outputs, one backward pass each.
        probes: Projections an example for `"hutchinson"`, an integer >= 1.
        curvature: Weight of the change of the Jacobian, a finite number >= 0. Each noise sample
            costs about as much as the contraction.
        stddev: Standard deviation of `e` in units of the input, a finite number > 0.
        samples: Noise samples that estimate the expectation, an integer >= 1.
        seed: Integer >= 0 that makes projections and noise reproducible, or `None`.

    Raises:
        ValueError: An argument is out of its range.

    Example:

    >>> import keras, keras_ae
    >>> contraction = keras_ae.ContractiveRegularizer(0.1, estimator="hutchinson", probes=2, seed=0)
    >>> layer = keras_ae.ContractiveDense(8, activation="tanh", contraction=contraction)
    >>> tuple(layer(keras.ops.ones((4, 16)), training=True).shape)
    (4, 8)

    Reference:
        Rifai, Vincent, Muller, Glorot, Bengio: Contractive Auto-Encoders: Explicit Invariance
        During Feature Extraction, 2011. Rifai, Mesnil, Vincent, Muller, Bengio, Dauphin, Glorot:
        Higher Order Contractive Auto-Encoder, 2011. Hutchinson: A Stochastic Estimator of the
        Trace of the Influence Matrix, 1989.
    """

    estimators: ClassVar[tuple[str, ...]] = ("exact", "jacobian", "hutchinson")

    def __init__(
        self,
        strength: float,
        estimator: str = "exact",
        probes: int = 1,
        curvature: float = 0.0,
        stddev: float = 0.1,
        samples: int = 1,
        seed: int | None = None,
    ) -> None:
        self.strength = check_number("strength", strength, minimum=0)
        self.estimator = check_choice("estimator", estimator, self.estimators)
        self.probes = check_integer("probes", probes, minimum=1)
        self.curvature = check_number("curvature", curvature, minimum=0)
        self.stddev = check_number("stddev", stddev, minimum=0, exclusive=True)
        self.samples = check_integer("samples", samples, minimum=1)
        self.seed = check_seed(seed)

    @classmethod
    def of(cls, contraction: Any) -> "ContractiveRegularizer":
        """Return what `contraction` stands for: a regularizer, its serialized form, or a weight."""
        return regularizer_of(cls, "contraction", contraction)

    @property
    def penalty_names(self) -> tuple[str, ...]:
        """Names of the terms with a weight above 0."""
        weights = {"contraction": self.strength, "curvature": self.curvature}
        return tuple(name for name, weight in weights.items() if weight > 0)

    @property
    def is_random(self) -> bool:
        """Whether a value takes random numbers."""
        return self.curvature > 0 or (self.estimator == "hutchinson" and self.strength > 0)

    def __call__(self, x: Tensor) -> Tensor:
        """Refuse to act on an output alone."""
        raise ValueError(
            "ContractiveRegularizer must be given as ContractiveDense(contraction=...) or "
            "Contractive(layer, contraction): it needs the layer's input, which an "
            "activity_regularizer or kernel_regularizer never sees. "
            f"Received: a call on {x!r}"
        )

    def value_and_penalties(
        self, encoder: TensorFunction, inputs: Tensor, seed: Any = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Evaluate an encoder as in training, and its penalties.

        The penalties see the forward pass that gives the outputs: the same dropout masks, and batch
        statistics taken as constants. `J(x + e)` is that of the same function at another point.

        Args:
            encoder: A layer or model with one input and one output, `(n, ...)` to `(n, ...)`, or a
                function. Each example is mapped on its own; in a layer or model, though not in a
                function, there may be `BatchNormalization`.
            inputs: Tensor `(n, ...)`; integers are taken as floats.
            seed: Integer or `keras.random.SeedGenerator`; `self.seed` if `None`.

        Returns:
            The encoder's outputs, and by name (`penalty_names`) float32 scalars, each its weight
            times the mean over the batch.

        Raises:
            ValueError: The estimator is `"exact"`, and the encoder not a stack of dense layers.
        """
        seed = self.seed if seed is None else seed
        seed = int(seed) if isinstance(seed, Integral) else seed
        inputs = differentiable(inputs)
        if not isinstance(encoder, keras.layers.Layer):
            evaluate = self._evaluation(encoder, encoder, seed)
            outputs, jacobian = evaluate(inputs)
            return outputs, self.penalties(jacobian, evaluate, inputs, seed)
        evaluate = self._evaluation(encoder, partial(encoder, training=True), seed)
        statistics, draws = BatchStatistics(encoder, inputs), _random_state(encoder)
        with statistics.held():
            outputs, jacobian = evaluate(inputs)

        def evaluate_again(x: Tensor) -> tuple[Tensor, Jacobian]:
            # The same draws as before, and no second update of any state or loss.
            with IsolatedScope(draws), statistics.held(), _losses_kept(encoder):
                return evaluate(x)

        return outputs, self.penalties(jacobian, evaluate_again, inputs, seed)

    def penalties(
        self, jacobian: Jacobian, evaluate: Evaluation, inputs: Tensor, seed: Any
    ) -> dict[str, Tensor]:
        """Return the penalties by name, from the Jacobian at the inputs and a way to get others."""
        penalties = {}
        if self.strength > 0:
            penalties["contraction"] = self.strength * batch_mean(jacobian.squared_norms())
        if self.curvature > 0:
            # An integer gives the same numbers at every draw: not those of the projections.
            shape = (self.samples, *ops.shape(inputs))
            noise = random.normal(shape, seed + 1 if isinstance(seed, int) else seed)
            noise = ops.cast(self.stddev * noise, inputs.dtype)
            total = 0.0
            for sample in range(self.samples):
                _, other = evaluate(masked_as(inputs, inputs + noise[sample]))
                total = total + batch_mean(jacobian.squared_norms(other))
            penalties["curvature"] = self.curvature / self.samples * total
        return penalties

    def get_config(self) -> Config:
        return {
            "strength": self.strength,
            "estimator": self.estimator,
            "probes": self.probes,
            "curvature": self.curvature,
            "stddev": self.stddev,
            "samples": self.samples,
            "seed": self.seed,
        }

    def _evaluation(self, encoder: Any, function: TensorFunction, seed: Any) -> Evaluation:
        if self.estimator == "exact":
            stack = dense_stack(encoder)

            def exact(x: Tensor) -> tuple[Tensor, Jacobian]:
                outputs, kernels, slopes = value_and_factors(stack, x, training=True)
                return outputs, DenseJacobian(kernels, slopes)

            return exact

        def jacobian(x: Tensor) -> tuple[Tensor, Jacobian]:
            outputs, matrix = value_and_jacobian(function, x)
            return outputs, WholeJacobian(matrix)

        def hutchinson(x: Tensor) -> tuple[Tensor, Jacobian]:
            outputs, pull_back = value_and_vjp(function, x)
            signs = random_signs((self.probes, *ops.shape(outputs)), seed)
            return outputs, ProjectedJacobian(pull_back, ops.cast(signs, outputs.dtype))

        return jacobian if self.estimator == "jacobian" else hutchinson


@contextmanager
def _losses_kept(encoder: keras.layers.Layer) -> Iterator[None]:
    """A call inside, which begins by clearing them, leaves the losses of an encoder as they are."""
    kept = [
        (layer, list(layer._losses), set(layer._loss_ids)) for layer in encoder._flatten_layers()
    ]
    try:
        yield
    finally:
        for layer, losses, ids in kept:
            layer._losses[:] = losses
            layer._loss_ids.clear()
            layer._loss_ids.update(ids)


def _random_state(encoder: keras.layers.Layer) -> list[tuple[keras.Variable, Tensor]]:
    """Return the seed states of an encoder with their values now."""
    others = {id(variable) for variable in (*encoder.weights, *encoder.metrics_variables)}
    return [
        (variable, variable.value * 1)  # A copy: the value itself may be the changing variable.
        for variable in encoder.variables
        if id(variable) not in others
    ]
