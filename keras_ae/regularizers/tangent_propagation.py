"""The penalty of tangent propagation."""

from functools import partial
from typing import Any

import keras
from keras import ops

from keras_ae._checks import check_number
from keras_ae.ops.batch import batch_mean
from keras_ae.ops.differentiation import value_and_jvp
from keras_ae.regularizers._arguments import differentiable, regularizer_of
from keras_ae.regularizers._batch_statistics import BatchStatistics
from keras_ae.types import Config, Shape, Tensor, TensorFunction


@keras.saving.register_keras_serializable("keras_ae")
class TangentPropagation(keras.regularizers.Regularizer):
    """Squared change of a function along given tangents, averaged over the batch.

    `tangent_propagation = strength * mean_b sum_k ||J(x_b) t_bk||^2`, with `J` the Jacobian

    It makes a classifier hold its output along directions in which the class does not change: those
    of a known transformation, or of the manifold that the data lies on, from
    `keras_ae.analysis.tangents` of an autoencoder.

    A Keras activity regularizer never sees a layer's input, so this one is not called on an
    output: give it to `TangentPropagated`, or call `value_and_penalties`.

    Args:
        strength: Weight of the penalty, a finite number >= 0. It goes with the squared length of
            the tangents.

    Raises:
        ValueError: `strength` is out of its range.

    Example:

    >>> import keras, keras_ae
    >>> propagation = keras_ae.TangentPropagation(0.5)
    >>> x, tangents = keras.ops.ones((4, 3)), keras.ops.ones((4, 1, 3))
    >>> outputs, penalties = propagation.value_and_penalties(lambda x: x**2, x, tangents)
    >>> float(penalties["tangent_propagation"])  # 0.5 * 3 * 2^2
    6.0

    Reference:
        Simard, Victorri, LeCun, Denker: Tangent Prop: A Formalism for Specifying Selected
        Invariances in an Adaptive Network, 1991. Rifai, Dauphin, Vincent, Bengio, Muller: The
        Manifold Tangent Classifier, 2011.
    """

    def __init__(self, strength: float) -> None:
        self.strength = check_number("strength", strength, minimum=0)

    @classmethod
    def of(cls, propagation: Any) -> "TangentPropagation":
        """Return what `propagation` stands for: a regularizer, its serialized form, or a weight."""
        return regularizer_of(cls, "propagation", propagation)

    @property
    def penalty_names(self) -> tuple[str, ...]:
        """The name of the penalty, if its weight is above 0."""
        return ("tangent_propagation",) if self.strength > 0 else ()

    def __call__(self, x: Tensor) -> Tensor:
        """Refuse to act on an output alone."""
        raise ValueError(
            "TangentPropagation must be given as TangentPropagated(layer, propagation): it needs "
            "the layer's input and its tangents, which an activity_regularizer or "
            f"kernel_regularizer never sees. Received: a call on {x!r}"
        )

    def value_and_penalties(
        self, function: TensorFunction, inputs: Tensor, tangents: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Evaluate a function as in training, and its penalty.

        The penalty sees the forward pass that gives the outputs: the same dropout masks, and batch
        statistics taken as constants.

        Args:
            function: A layer or model with one input and one output, `(n, ...)` to `(n, ...)`, or a
                function. Each example is mapped on its own; in a layer or model, though not in a
                function, there may be `BatchNormalization`.
            inputs: Tensor `(n, ...)`; integers are taken as floats.
            tangents: Tensor `(n, k, *input_shape)`, k directions at each example. They are taken as
                constants.

        Returns:
            The function's outputs, and by name (`penalty_names`) a float32 scalar.

        Raises:
            ValueError: `tangents` has another shape.
        """
        inputs, tangents = differentiable(inputs), ops.convert_to_tensor(tangents)
        check_tangents(inputs.shape, tangents.shape)
        if isinstance(function, keras.layers.Layer):
            with BatchStatistics(function, inputs).held():
                outputs, push_forward = value_and_jvp(partial(function, training=True), inputs)
        else:
            outputs, push_forward = value_and_jvp(function, inputs)
        tangents = ops.stop_gradient(ops.cast(tangents, inputs.dtype))
        total = 0.0
        for direction in range(tangents.shape[1]):
            # Sums of squares overflow float16.
            change = ops.cast(push_forward(tangents[:, direction]), "float32")
            total = total + batch_mean(ops.square(change))
        return outputs, {name: self.strength * total for name in self.penalty_names}

    def get_config(self) -> Config:
        return {"strength": self.strength}


def check_tangents(input_shape: Shape, tangents_shape: Shape) -> None:
    """Raise a ValueError unless tangents of this shape go with inputs of that shape."""
    n, *inner = input_shape
    expected = (n, None, *inner)
    if (
        len(tangents_shape) != len(expected)
        or any(
            None not in pair and pair[0] != pair[1]
            for pair in zip(tangents_shape, expected, strict=True)
        )
        or not tangents_shape[1]
    ):
        raise ValueError(
            "tangents must have shape (n, k, *input_shape), with k known and n and input_shape "
            f"those of the inputs, {tuple(input_shape)}. "
            f"Received: tangents with shape={tuple(tangents_shape)}"
        )
