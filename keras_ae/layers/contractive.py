"""A contractive penalty for any encoder."""

from typing import Any

import keras

from keras_ae.regularizers._dense_stack import dense_stack
from keras_ae.regularizers.contractive_regularizer import ContractiveRegularizer
from keras_ae.types import Config, Shape, Tensor


@keras.saving.register_keras_serializable("keras_ae")
class Contractive(keras.layers.Wrapper):
    """Wrapper that adds a penalty on the Jacobian of a layer or model in training.

    `h = layer(x)`, and in training `loss += strength * mean_b ||d h / d x||^2`, and the curvature
    penalty where the regularizer has one.

    The penalty sees the forward pass that gives the output: noise and dropout masks are the same,
    and the batch statistics of `BatchNormalization` are taken as constants, so that each example
    has the Jacobian of the function that it went through. Other layers must map each example on its
    own.

    Give `"exact"` for stacks of dense layers: a `Sequential` or a functional chain of `Dense` with
    elementwise activations, `Activation` and the activation layers, `Dropout`, noise,
    `BatchNormalization`, `Rescaling`, and `Flatten` before the first `Dense`. For a single dense
    layer `ContractiveDense` is faster. Give `"hutchinson"` for others, such as convolutional ones.

    The penalty is added in training only: `evaluate`, `predict` and exported graphs do not have it.

    Args:
        layer: Layer or model with one input and one output.
        contraction: Weight of the penalty with the `"exact"` estimator, a finite number >= 0, or a
            `ContractiveRegularizer`.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Shape:
        Those of `layer`.

    Raises:
        ValueError: An argument is out of its range, or the encoder is no stack of dense layers and
            the estimator is `"exact"`.

    Example:

    >>> import keras, keras_ae
    >>> encoder = keras.Sequential([
    ...     keras.Input((8, 8, 1)),
    ...     keras.layers.Conv2D(4, 3, activation="relu"),
    ...     keras.layers.Flatten(),
    ...     keras.layers.Dropout(0.2),
    ...     keras.layers.Dense(6),
    ... ])
    >>> contraction = keras_ae.ContractiveRegularizer(0.1, estimator="hutchinson")
    >>> model = keras.Sequential([keras_ae.Contractive(encoder, contraction)])
    >>> tuple(model(keras.ops.ones((2, 8, 8, 1)), training=True).shape), len(model.losses)
    ((2, 6), 1)

    Reference:
        Rifai, Vincent, Muller, Glorot, Bengio: Contractive Auto-Encoders: Explicit Invariance
        During Feature Extraction, 2011.
    """

    def __init__(
        self,
        layer: keras.layers.Layer,
        contraction: float | ContractiveRegularizer = 0.1,
        **kwargs: Any,
    ) -> None:
        if not isinstance(layer, keras.layers.Layer):
            raise ValueError(f"layer must be a Keras layer or model. Received: layer={layer!r}")
        super().__init__(layer, **kwargs)
        self.contraction = ContractiveRegularizer.of(contraction)
        if self.contraction.estimator == "exact":
            dense_stack(layer)
        if self.contraction.is_random:
            self.seed_generator = keras.random.SeedGenerator(self.contraction.seed)
        self.supports_masking = True

    @property
    def penalty_names(self) -> tuple[str, ...]:
        """Names of the losses that a training call adds, in their order."""
        return self.contraction.penalty_names

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        if not training or not self.penalty_names:
            return self.layer(inputs, training=training)
        outputs, penalties = self.contraction.value_and_penalties(
            self.layer, inputs, getattr(self, "seed_generator", None)
        )
        for name in self.penalty_names:
            self.add_loss(penalties[name])
        return outputs

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return self.layer.compute_output_shape(input_shape)

    def compute_mask(self, inputs: Tensor, previous_mask: Tensor = None) -> Tensor:
        # A layer that does not support masks ends them, and its `compute_mask` does not tell.
        supported = self.layer.supports_masking
        return self.layer.compute_mask(inputs, previous_mask) if supported else None

    def get_config(self) -> Config:
        config: Config = super().get_config()
        config["contraction"] = keras.saving.serialize_keras_object(self.contraction)
        return config
