"""A decoder layer that shares its kernel with an encoder layer."""

from typing import Any

import keras
from keras import ops

from keras_ae._sharing import always_save_as_shared
from keras_ae.types import Config, Shape, Tensor


@keras.saving.register_keras_serializable("keras_ae")
class TiedDense(keras.layers.Layer):
    """Dense layer whose kernel is the transpose of another's, with a bias of its own.

    `y = f(x W^T + c)`, with `W` the kernel of `tied_to`: one variable, trained from both sides.

    Saved in one file with its partner (`model.save`), the two are still shared after loading. A
    copy made from a config alone (`from_config`, `keras.models.clone_model`) gets a partner of its
    own, like every shared layer in Keras.

    Args:
        tied_to: A `keras.layers.Dense` (or `ContractiveDense`), built before this layer is, with
            neither LoRA nor quantization.
        activation: As in `keras.layers.Dense`.
        use_bias: Whether to add `c`.
        bias_initializer: As in `keras.layers.Dense`.
        bias_regularizer: As in `keras.layers.Dense`.
        bias_constraint: As in `keras.layers.Dense`.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Shape:
        Input `(n, ..., tied_to.units)`, output `(n, ..., input_dim of tied_to)`.

    Raises:
        ValueError: `tied_to` is not a dense layer, is not built in time, or does not fit the input.

    Example:

    >>> import keras, keras_ae
    >>> hidden = keras_ae.ContractiveDense(8, activation="sigmoid")
    >>> model = keras.Sequential([keras.Input((16,)), hidden, keras_ae.TiedDense(hidden)])
    >>> model.count_params() == 16 * 8 + 8 + 16
    True

    Reference:
        Vincent, Larochelle, Bengio, Manzagol: Extracting and Composing Robust Features with
        Denoising Autoencoders, 2008.
    """

    def __init__(
        self,
        tied_to: keras.layers.Dense,
        activation: Any = None,
        use_bias: bool = True,
        bias_initializer: Any = "zeros",
        bias_regularizer: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(tied_to, keras.layers.Dense):
            raise ValueError(f"tied_to must be a keras.layers.Dense. Received: tied_to={tied_to!r}")
        # Past Keras's tracking: the partner is not a sublayer, or its losses would count twice.
        object.__setattr__(self, "tied_to", tied_to)
        always_save_as_shared(tied_to)
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.supports_masking = True

    def build(self, input_shape: Shape) -> None:
        if not self.tied_to.built:
            raise ValueError(
                "tied_to must be built before the layer that shares its kernel: call it, or give "
                f"its model an Input. Received: tied_to={self.tied_to!r}, not built"
            )
        if input_shape[-1] != self.tied_to.units:
            raise ValueError(
                f"The last axis of the input must be tied_to.units={self.tied_to.units}. "
                f"Received: input_shape={tuple(input_shape)}"
            )
        # The variable, or what stands in its place with LoRA or quantization, which is refused.
        self.kernel = self.tied_to.kernel
        self._check_shared()
        self.bias = (
            self.add_weight(
                name="bias",
                shape=(self.kernel.shape[0],),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
            if self.use_bias
            else None
        )

    def call(self, inputs: Tensor) -> Tensor:
        self._check_shared()
        outputs = ops.matmul(inputs, ops.transpose(self.kernel))
        if self.bias is not None:
            outputs = ops.add(outputs, self.bias)
        return self.activation(outputs)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        if not self.tied_to.built:
            raise ValueError(
                "tied_to must be built before the output shape is known. "
                f"Received: tied_to={self.tied_to!r}, not built"
            )
        return (*input_shape[:-1], self.tied_to.kernel.shape[0])

    def _check_shared(self) -> None:
        kernel = self.tied_to.kernel
        quantized = self.tied_to.quantization_mode is not None
        if quantized or kernel is not self.kernel or not isinstance(kernel, keras.Variable):
            raise ValueError(
                "tied_to must keep its kernel in one variable, without LoRA or quantization. "
                f"Received: tied_to={self.tied_to!r}, which no longer does"
            )

    def get_config(self) -> Config:
        if self.built:
            self._check_shared()
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "tied_to": serialize(self.tied_to),
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "bias_initializer": serialize(self.bias_initializer),
            "bias_regularizer": serialize(self.bias_regularizer),
            "bias_constraint": serialize(self.bias_constraint),
        }

    @classmethod
    def from_config(cls, config: Config) -> "TiedDense":
        config = dict(config)
        config["tied_to"] = keras.saving.deserialize_keras_object(config["tied_to"])
        return cls(**config)
