"""Tangent propagation for any layer or model."""

from typing import Any

import keras

from keras_ae.regularizers.tangent_propagation import TangentPropagation, check_tangents
from keras_ae.types import Config, Shape, Tensor


@keras.saving.register_keras_serializable("keras_ae")
class TangentPropagated(keras.layers.Wrapper):
    """Wrapper that adds a penalty on a layer's change along tangents in training.

    `y = layer(x)`, and in training
    `loss += strength * mean_b sum_k ||(dy / dx)(x_b) t_bk||^2`

    It is called on `[x, tangents]`, so that `fit` takes the tangents of each example beside it. The
    layer inside learns, and needs no tangents afterwards: use it alone to evaluate, predict and
    export.

    The penalty sees the forward pass that gives the output: noise and dropout masks are the same,
    and the batch statistics of `BatchNormalization` are taken as constants. Other layers must map
    each example on its own. Outputs before a softmax change where the softmax no longer does: which
    of the two the layer ends in makes a difference.

    Args:
        layer: Layer or model with one input and one output.
        propagation: Weight of the penalty, a finite number >= 0, or a `TangentPropagation`.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Call arguments:
        inputs: A pair of float tensors, the layer's input and the tangents there.
        training: Whether to add the penalty.

    Shape:
        Inputs `(n, ...)` and `(n, k, ...)`, output that of `layer`.

    Raises:
        ValueError: An argument is out of its range, or the tangents do not fit the input.

    Example:

    >>> import keras, keras_ae
    >>> classifier = keras.Sequential([
    ...     keras.Input((16,)), keras.layers.Dense(8, "relu"), keras.layers.Dense(3, "softmax")])
    >>> x, tangents = keras.Input((16,)), keras.Input((2, 16))
    >>> model = keras.Model(
    ...     [x, tangents], keras_ae.TangentPropagated(classifier, 0.1)([x, tangents]))
    >>> model.compile("adam", "sparse_categorical_crossentropy")
    >>> data = [keras.random.normal((32, 16)), keras.random.normal((32, 2, 16))]
    >>> history = model.fit(data, keras.ops.zeros(32), verbose=0)
    >>> classifier.predict(data[0], verbose=0).shape
    (32, 3)

    Reference:
        Simard, Victorri, LeCun, Denker: Tangent Prop: A Formalism for Specifying Selected
        Invariances in an Adaptive Network, 1991. Rifai, Dauphin, Vincent, Bengio, Muller: The
        Manifold Tangent Classifier, 2011.
    """

    def __init__(
        self,
        layer: keras.layers.Layer,
        propagation: float | TangentPropagation = 0.1,
        **kwargs: Any,
    ) -> None:
        if not isinstance(layer, keras.layers.Layer):
            raise ValueError(f"layer must be a Keras layer or model. Received: layer={layer!r}")
        super().__init__(layer, **kwargs)
        self.propagation = TangentPropagation.of(propagation)
        self.supports_masking = True

    @property
    def penalty_names(self) -> tuple[str, ...]:
        """Names of the losses that a training call adds, in their order."""
        return self.propagation.penalty_names

    def build(self, input_shape: Any) -> None:
        if len(input_shape) != 2 or not all(isinstance(part, list | tuple) for part in input_shape):
            raise ValueError(
                "inputs must be a pair [x, tangents]. "
                f"Received: inputs with shape={tuple(input_shape)}"
            )
        check_tangents(*input_shape)
        super().build(input_shape[0])

    def call(self, inputs: tuple[Tensor, Tensor], training: bool | None = None) -> Tensor:
        x, tangents = inputs
        if not training or not self.penalty_names:
            return self.layer(x, training=training)
        outputs, penalties = self.propagation.value_and_penalties(self.layer, x, tangents)
        for name in self.penalty_names:
            self.add_loss(penalties[name])
        return outputs

    def compute_output_shape(self, input_shape: tuple[Shape, Shape]) -> Shape:
        return self.layer.compute_output_shape(input_shape[0])

    def compute_mask(
        self, inputs: tuple[Tensor, Tensor], previous_mask: tuple[Tensor, Tensor] | None = None
    ) -> Tensor:
        mask = None if previous_mask is None else previous_mask[0]
        # A layer that does not support masks ends them, and its `compute_mask` does not tell.
        return self.layer.compute_mask(inputs[0], mask) if self.layer.supports_masking else None

    def get_config(self) -> Config:
        config: Config = super().get_config()
        config["propagation"] = keras.saving.serialize_keras_object(self.propagation)
        return config
