"""A dense layer that brings its own contractive penalty."""

from typing import Any

import keras
from keras import ops

from keras_ae.ops.differentiation import is_elementwise, value_and_elementwise_derivative
from keras_ae.regularizers._jacobians import DenseJacobian
from keras_ae.regularizers.contractive_regularizer import ContractiveRegularizer
from keras_ae.types import Config, Tensor


@keras.saving.register_keras_serializable("keras_ae")
class ContractiveDense(keras.layers.Dense):
    """`keras.layers.Dense` with a penalty on the Jacobian of its output.

    `h = f(x W + b)`, and in training `loss += strength * mean_b sum_ij (d h_i / d x_j)^2`

    For an elementwise activation `f` the penalty is the closed form `sum_i f'(z_i)^2 |W_i|^2`,
    which costs about as much as the activation itself. `f'` comes from automatic differentiation,
    so any elementwise activation is right, custom ones too.

    The penalty is added in training only: `evaluate`, `predict` and exported graphs do not have it.

    Args:
        units: Size of the output, an integer >= 1.
        activation: As in `keras.layers.Dense`. It must be elementwise (not softmax) unless
            `contraction` names the `"jacobian"` or `"hutchinson"` estimator.
        use_bias: Whether to add `b`.
        contraction: Weight of the penalty, a finite number >= 0, or a `ContractiveRegularizer`.
        **kwargs: The other arguments of `keras.layers.Dense`.

    Shape:
        Input `(n, ..., input_dim)`, output `(n, ..., units)`. With axes between, each position has
        a Jacobian of its own and an example's penalty is the sum over them.

    Raises:
        ValueError: An argument is out of its range, or the activation is not elementwise.

    Example:

    >>> import keras, keras_ae
    >>> model = keras.Sequential([
    ...     keras.Input((16,)),
    ...     keras_ae.ContractiveDense(8, activation="sigmoid", contraction=0.1),
    ...     keras.layers.Dense(16),
    ... ])
    >>> model.compile("adam", "mse")
    >>> x = keras.random.uniform((32, 16))
    >>> history = model.fit(x, x, verbose=0)

    Reference:
        Rifai, Vincent, Muller, Glorot, Bengio: Contractive Auto-Encoders: Explicit Invariance
        During Feature Extraction, 2011.
    """

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        *,
        contraction: float | ContractiveRegularizer = 0.1,
        **kwargs: Any,
    ) -> None:
        super().__init__(units, activation=activation, use_bias=use_bias, **kwargs)
        self.contraction = contraction = ContractiveRegularizer.of(contraction)
        if contraction.estimator == "exact" and not is_elementwise(self.activation, units):
            raise ValueError(
                "activation must act on each element alone for the closed form; for others give "
                'contraction=ContractiveRegularizer(strength, estimator="jacobian"). '
                f"Received: activation={activation!r}"
            )
        if contraction.is_random:
            self.seed_generator = keras.random.SeedGenerator(contraction.seed)

    @property
    def penalty_names(self) -> tuple[str, ...]:
        """Names of the losses that a training call adds, in their order."""
        return self.contraction.penalty_names

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        if not training or not self.penalty_names:
            return super().call(inputs, training=training)
        seed = getattr(self, "seed_generator", None)
        if self.contraction.estimator == "exact":
            outputs, jacobian = self._value_and_jacobian(inputs)
            penalties = self.contraction.penalties(jacobian, self._value_and_jacobian, inputs, seed)
        else:
            outputs, penalties = self.contraction.value_and_penalties(super().call, inputs, seed)
        for name in self.penalty_names:
            self.add_loss(penalties[name])
        return outputs

    def _value_and_jacobian(self, inputs: Tensor) -> tuple[Tensor, DenseJacobian]:
        z = ops.matmul(inputs, self.kernel)
        if self.use_bias:
            z = ops.add(z, self.bias)
        outputs, slope = value_and_elementwise_derivative(self.activation, z)
        return outputs, DenseJacobian([self.kernel], [None, slope])

    def get_config(self) -> Config:
        config: Config = super().get_config()
        config["contraction"] = keras.saving.serialize_keras_object(self.contraction)
        return config
