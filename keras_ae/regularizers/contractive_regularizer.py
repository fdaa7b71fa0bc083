"""The penalty of the contractive autoencoder."""

from typing import Any, ClassVar

import keras
from keras import ops

from keras_ae._checks import check_choice, check_integer, check_number, check_seed
from keras_ae.ops.differentiation import value_and_jacobian, value_and_vjp
from keras_ae.types import Config, Tensor, TensorFunction


@keras.saving.register_keras_serializable("keras_ae")
class ContractiveRegularizer(keras.regularizers.Regularizer):
    """Squared Frobenius norm of an encoder's Jacobian, averaged over the batch.

    `penalty = strength * mean_b sum_ij (d h_i(x_b) / d x_bj)^2`

    A Keras activity regularizer never sees a layer's input, so this one is not called on an
    output: give it to `ContractiveDense(contraction=...)`, or call `value_and_penalty`.

    Args:
        strength: Weight of the penalty, a finite number >= 0.
        estimator: `"exact"`, the closed form of a layer `activation(x W + b)` with an elementwise
            activation; `"jacobian"`, the whole Jacobian by automatic differentiation, right for any
            encoder and slow; `"hutchinson"`, an unbiased estimate from `probes` random projections
            of the outputs, one backward pass each.
        probes: Projections an example for `"hutchinson"`, an integer >= 1.
        seed: Integer >= 0 that makes the projections reproducible, or `None`.

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
        During Feature Extraction, 2011. Hutchinson: A Stochastic Estimator of the Trace of the
        Influence Matrix, 1989.
    """

    estimators: ClassVar[tuple[str, ...]] = ("exact", "jacobian", "hutchinson")

    def __init__(
        self,
        strength: float,
        estimator: str = "exact",
        probes: int = 1,
        seed: int | None = None,
    ) -> None:
        self.strength = check_number("strength", strength, minimum=0)
        self.estimator = check_choice("estimator", estimator, self.estimators)
        self.probes = check_integer("probes", probes, minimum=1)
        self.seed = check_seed(seed)

    def __call__(self, x: Tensor) -> Tensor:
        """Refuse to act on an output alone."""
        raise ValueError(
            "ContractiveRegularizer must be given as ContractiveDense(contraction=...): it needs "
            "the layer's input, which an activity_regularizer or kernel_regularizer never sees. "
            f"Received: a call on {x!r}"
        )

    def value_and_penalty(
        self, encoder: TensorFunction, inputs: Tensor, seed: Any = None
    ) -> tuple[Tensor, Tensor]:
        """Evaluate any encoder and its penalty, by `"jacobian"` or `"hutchinson"`.

        Args:
            encoder: Maps `(n, ...)` to `(n, ...)`, each example on its own.
            inputs: Tensor `(n, ...)`; integers are taken as floats.
            seed: Integer or `keras.random.SeedGenerator` for `"hutchinson"`; `self.seed` if `None`.

        Returns:
            The encoder's outputs, and a float32 scalar: `strength` times the mean over the batch.

        Raises:
            ValueError: The estimator is `"exact"`, which needs a layer's kernel.
        """
        if self.estimator == "exact":
            raise ValueError(
                'estimator must be "jacobian" or "hutchinson" to penalise an arbitrary encoder. '
                'Received: estimator="exact"'
            )
        inputs = ops.convert_to_tensor(inputs)
        if not keras.backend.is_float_dtype(inputs.dtype):
            # Integers have no derivative: it would be 0 without a word.
            inputs = ops.cast(inputs, keras.config.floatx())
        if self.estimator == "jacobian":
            outputs, matrix = value_and_jacobian(encoder, inputs)
            return outputs, self._mean(_sum_of_squares(matrix), inputs)
        outputs, pull_back = value_and_vjp(encoder, inputs)
        signs = keras.random.randint(
            (self.probes, *ops.shape(outputs)), 0, 2, seed=self.seed if seed is None else seed
        )
        projections = ops.cast(2 * signs - 1, outputs.dtype)
        total = sum(_sum_of_squares(pull_back(projections[i])) for i in range(self.probes))
        return outputs, self._mean(total / self.probes, inputs)

    def dense_penalty(self, kernel: Tensor, derivative: Tensor) -> Tensor:
        """Return the scalar penalty of `activation(x W + b)` in closed form.

        `sum_ij (f'(z_i) W_ji)^2 = sum_i f'(z_i)^2 |W_i|^2`, with `W_i` the column of unit `i`.

        Args:
            kernel: `W`, `(input_dim, units)`.
            derivative: `f'(z)`, `(n, ..., units)`.

        Returns:
            Float32 scalar, `strength` times the mean over the batch.
        """
        column_norms = ops.sum(_square(kernel), axis=0)
        slopes = ops.sum(_square(derivative), axis=tuple(range(len(derivative.shape) - 1)))
        return self._mean(ops.sum(slopes * column_norms), derivative)

    def get_config(self) -> Config:
        return {
            "strength": self.strength,
            "estimator": self.estimator,
            "probes": self.probes,
            "seed": self.seed,
        }

    def _mean(self, total: Tensor, batch: Tensor) -> Tensor:
        # An empty batch, which a replica can get, has no penalty.
        return self.strength * total / ops.cast(ops.maximum(ops.shape(batch)[0], 1), "float32")


def _square(x: Tensor) -> Tensor:
    # Squares of a whole kernel overflow float16.
    return ops.square(ops.cast(x, "float32"))


def _sum_of_squares(x: Tensor) -> Tensor:
    return ops.sum(_square(x))
