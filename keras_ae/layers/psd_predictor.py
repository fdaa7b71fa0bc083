"""One pass that predicts a sparse code."""

from typing import Any

import keras
from keras import ops

from keras_ae._checks import check_choice, check_integer, check_number
from keras_ae.ops.shrinkage import soft_threshold, spectral_norm
from keras_ae.types import Config, Shape, Tensor

KINDS = ("tanh", "lista")


@keras.saving.register_keras_serializable("keras_ae")
class PSDPredictor(keras.layers.Layer):
    """Predict the sparse code of an input without any optimisation.

    `kind="tanh"`: `f(x) = g tanh(x W + b)`, with a gain `g` for each unit.

    `kind="lista"`: a few steps of `ops.shrinkage.ista` with matrices that are learnt,
    `h_1 = soft_threshold(x W, theta)` and `h_(k+1) = soft_threshold(x W + h_k S, theta)`, with a
    threshold `theta >= 0` for each unit. Only this one gives codes with zeros in them.

    Args:
        units: Size of the code, an integer >= 1.
        kind: `"tanh"` or `"lista"`.
        steps: Shrinkages of `"lista"`, an integer >= 1. They share their weights.
        **kwargs: `name`, `dtype` and the other arguments of `keras.layers.Layer`.

    Shape:
        Input `(n, ..., inputs)`, output `(n, ..., units)`.

    Raises:
        ValueError: An argument is out of its range.

    Example:

    >>> import keras, keras_ae
    >>> predictor = keras_ae.PSDPredictor(8, kind="lista", steps=2)
    >>> tuple(predictor(keras.ops.ones((4, 16))).shape)
    (4, 8)

    Reference:
        Kavukcuoglu, Ranzato, LeCun: Fast Inference in Sparse Coding Algorithms with Applications to
        Object Recognition, 2008. Gregor, LeCun: Learning Fast Approximations of Sparse Coding,
        2010.
    """

    def __init__(self, units: int, kind: str = "tanh", steps: int = 3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = check_integer("units", units, minimum=1)
        self.kind = check_choice("kind", kind, KINDS)
        self.steps = check_integer("steps", steps, minimum=1)
        self.supports_masking = True

    def build(self, input_shape: Shape) -> None:
        units = (self.units,)
        self.kernel = self.add_weight(name="kernel", shape=(input_shape[-1], self.units))
        if self.kind == "tanh":
            self.bias = self.add_weight(name="bias", shape=units, initializer="zeros")
            self.gain = self.add_weight(name="gain", shape=units, initializer="ones")
            return
        self.recurrent_kernel = self.add_weight(
            name="recurrent_kernel", shape=(self.units, self.units), initializer="zeros"
        )
        self.threshold = self.add_weight(
            name="threshold",
            shape=units,
            initializer=keras.initializers.Constant(0.1),
            constraint=keras.constraints.NonNeg(),
        )

    def call(self, inputs: Tensor) -> Tensor:
        if self.kind == "tanh":
            return self.gain * ops.tanh(ops.matmul(inputs, self.kernel) + self.bias)
        first = ops.matmul(inputs, self.kernel)
        code = soft_threshold(first, self.threshold)
        for _ in range(self.steps - 1):
            code = soft_threshold(first + ops.matmul(code, self.recurrent_kernel), self.threshold)
        return code

    def start_from(self, dictionary: Tensor, sparsity: float) -> None:
        """Set the weights from a dictionary, as a start for training.

        `"lista"` becomes `steps` steps of `ops.shrinkage.ista` from 0; of `"tanh"`, `W` becomes
        the transposed dictionary.

        Args:
            dictionary: Atoms as rows, `(units, inputs)`.
            sparsity: Weight of the L1 norm, a finite number > 0.

        Raises:
            ValueError: The layer is not built, or an argument is not as above.
        """
        sparsity = check_number("sparsity", sparsity, minimum=0, exclusive=True)
        if not self.built:
            raise ValueError("start_from must be called on a built layer. Received: one without")
        atoms = ops.transpose(ops.cast(dictionary, self.variable_dtype))
        if tuple(atoms.shape) != tuple(self.kernel.shape):
            raise ValueError(
                f"dictionary must have shape {tuple(reversed(self.kernel.shape))}. "
                f"Received: dictionary with shape={tuple(dictionary.shape)}"
            )
        if self.kind == "tanh":
            self.kernel.assign(atoms)
            return
        steepness = ops.square(spectral_norm(atoms))
        self.kernel.assign(atoms / steepness)
        gram = ops.matmul(ops.transpose(atoms), atoms)
        self.recurrent_kernel.assign(ops.eye(self.units) - gram / steepness)
        self.threshold.assign(ops.full((self.units,), sparsity / 2) / steepness)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return (*input_shape[:-1], self.units)

    def get_config(self) -> Config:
        config = super().get_config()
        return {**config, "units": self.units, "kind": self.kind, "steps": self.steps}
