"""An autoencoder with an overcomplete dictionary of which every example uses little."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_ae._checks import check_integer, check_number
from keras_ae.layers.gated_relu import GatedReLU
from keras_ae.models._dictionary import dictionary
from keras_ae.models._overwrite import overwrite
from keras_ae.models.autoencoder import Autoencoder
from keras_ae.ops.sparsity import keep_largest
from keras_ae.types import Config, FloatArray, Tensor

_TINY = 1e-12


@keras.saving.register_keras_serializable("keras_ae")
class SparseAutoencoder(Autoencoder):
    """Model `r(x) = z D + c`, `z = activation(x W + b)`: a sum of few atoms, the rows of `D`.

    The rows of `D` have length 1, at the start and after every update, so that `z` measures how
    much there is of an atom. `W` starts as the transpose of `D`.

    A unit that no example turns on gets no gradient and stays dead. In training it is revived by
    the residual `e = x - r(x)`, as a constant: `loss += revival * mean((e - s a D)^2)`, with `a`
    the `revival_units` largest pre-activations of dead units of an example, as far as they are
    positive, and `s` the scale in [0, 1] that fits best, a constant too: dead units turn and grow
    towards the residual, and are not shrunk where they overshoot. Units that are alive get no
    gradient from it, and it is 0 when none is dead. A unit
    is dead once it was 0 for `dead_after` training examples in a row. It can only help where a
    unit is off at a positive pre-activation (`TopK`, `BatchTopK`, `JumpReLU`); for a ReLU see
    `callbacks.DeadUnitResampler`.

    With `GatedReLU` the gates are trained by `loss += mean((x - (relu(p) D + c))^2)`, in which `D`
    and `c` are constants and `p` are the pre-activations.

    These terms show as `revival` and `gate`, in training only.

    Args:
        input_dim: Size of the input, an integer >= 1.
        units: Atoms of the dictionary, an integer >= 1, usually several times `input_dim`.
        activation: Layer that makes the code sparse: `TopK`, `BatchTopK`, `JumpReLU`, `GatedReLU`,
            or any other that keeps the shape, such as
            `keras.layers.ReLU(activity_regularizer=keras_ae.LaplaceActivityRegularizer(1e-4))`. A
            name is taken as in `keras.layers.Activation`.
        revival: Weight of the revival of dead units, a finite number >= 0.
        revival_units: Dead units that reconstruct a residual, an integer >= 1, at most `units`.
            `None` for half of `input_dim`, or all units if there are fewer.
        dead_after: Training examples for which a unit is 0 until it counts as dead, an integer
            >= 1.
        sparsity_schedule: `keras.optimizers.schedules.LearningRateSchedule` by which the `sparsity`
            term is multiplied at each training step of the model, or `None`.
            `PolynomialDecay(0.0, 1000, 1.0)` warms it up for 1000 steps. `evaluate` takes the term
            as it is.
        **kwargs: `name` and `dtype`, as in `keras.Model`.

    Shape:
        Input and output `(n, input_dim)`; codes are `(n, units)`.

    Raises:
        ValueError: An argument is out of its range.

    Example:

    >>> import keras, keras_ae
    >>> autoencoder = keras_ae.SparseAutoencoder(16, 64, keras_ae.TopK(4))
    >>> autoencoder.compile("adam", "mse")
    >>> x = keras.random.uniform((32, 16))
    >>> sorted(autoencoder.fit(x, verbose=0).history)
    ['loss', 'reconstruction', 'revival']
    >>> codes = autoencoder.encode(x)
    >>> codes.shape, int((codes != 0).sum(axis=1).max())
    ((32, 64), 4)

    Reference:
        Gao, Dupre la Tour, Tillman, Goh, Troll, Radford, Sutskever, Leike, Wu: Scaling and
        Evaluating Sparse Autoencoders, 2024. Rajamanoharan, Conmy, Smith, Lieberum, Varma, Kramar,
        Shah, Nanda: Improving Dictionary Learning with Gated Sparse Autoencoders, 2024.
    """

    def __init__(
        self,
        input_dim: int,
        units: int,
        activation: str | keras.layers.Layer,
        *,
        revival: float = 1 / 32,
        revival_units: int | None = None,
        dead_after: int = 5_000,
        sparsity_schedule: keras.optimizers.schedules.LearningRateSchedule | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        check_integer("input_dim", input_dim, minimum=1)
        check_integer("units", units, minimum=1)
        if isinstance(activation, str):
            activation = keras.layers.Activation(activation, dtype=dtype)
        if not isinstance(activation, keras.layers.Layer):
            raise ValueError(
                "activation must be a Keras layer, such as keras_ae.TopK(32), or the name of a "
                f"Keras activation. Received: activation={activation!r}"
            )
        encoder = keras.Sequential(
            [
                keras.Input((input_dim,)),
                keras.layers.Dense(units, name="preactivation", dtype=dtype),
                activation,
            ],
            name="encoder",
        )
        if encoder.output_shape != (None, units):
            raise ValueError(
                f"activation must keep the shape of its input, (None, {units}). "
                f"Received: activation={activation!r} with output {encoder.output_shape}"
            )
        super().__init__(encoder, dictionary(units, input_dim, dtype), dtype=dtype, **kwargs)
        self.input_dim = input_dim
        self.units = units
        self.activation = activation
        self.revival = check_number("revival", revival, minimum=0)
        self.revival_units = min(units, max(1, input_dim // 2))
        if revival_units is not None:
            self.revival_units = check_integer("revival_units", revival_units, minimum=1)
            if revival_units > units:
                raise ValueError(
                    f"revival_units must be at most units={units}. "
                    f"Received: revival_units={revival_units}"
                )
        self.dead_after = check_integer("dead_after", dead_after, minimum=1)
        schedules = keras.optimizers.schedules.LearningRateSchedule
        if sparsity_schedule is not None and not isinstance(sparsity_schedule, schedules):
            raise ValueError(
                "sparsity_schedule must be a keras.optimizers.schedules.LearningRateSchedule or "
                f"None. Received: sparsity_schedule={sparsity_schedule!r}"
            )
        self.sparsity_schedule = sparsity_schedule
        # Examples since a unit was last on, up to `dead_after`.
        self.idle = self.add_weight(
            name="idle", shape=(units,), dtype="int32", initializer="zeros", trainable=False
        )
        if sparsity_schedule is not None:
            # Its own: on JAX a loss does not see the count of the optimizer.
            self.steps = self.add_weight(
                name="steps", shape=(), dtype="int", initializer="zeros", trainable=False
            )
        self.encoder_layer.kernel.assign(ops.transpose(self.decoder_layer.kernel))
        self.build((None, input_dim))

    @property
    def encoder_layer(self) -> keras.layers.Dense:
        """The dense layer of `W`, `(input_dim, units)`, and `b`."""
        return self.encoder.layers[0]

    @property
    def decoder_layer(self) -> keras.layers.Dense:
        """The dense layer of `D`, `(units, input_dim)`, and `c`."""
        return self.decoder.layers[0]

    @property
    def penalty_names(self) -> tuple[str, ...]:
        """Names of the losses that a training call adds, in their order."""
        names = ("revival",) if self.revival > 0 else ()
        return (*names, "gate") if isinstance(self.activation, GatedReLU) else names

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        if not training:
            return super().call(inputs, training=training)
        p = self.encoder_layer(inputs)
        z = self.activation(p, training=True)
        # Read once: a read that a variable's own gradient does not depend on may follow the update,
        # because TensorFlow's graph optimizer drops the order of the two.
        kernel, bias = ops.copy(self.decoder_layer.kernel), ops.copy(self.decoder_layer.bias)
        reconstruction = ops.matmul(z, kernel) + bias
        self._count(z)
        if self.sparsity_schedule is not None:
            self.steps.assign(self.steps + 1)
        if self.revival > 0:
            self.add_loss(self.revival * self._revival(p, inputs - reconstruction))
        if isinstance(self.activation, GatedReLU):
            frozen = ops.matmul(ops.relu(p), ops.stop_gradient(kernel)) + ops.stop_gradient(bias)
            self.add_loss(_mean_of_squares(inputs - frozen))
        return reconstruction

    def penalty_losses(self, training: bool) -> dict[str, Tensor]:
        terms = super().penalty_losses(training)
        if training and self.sparsity_schedule is not None and "sparsity" in terms:
            # The call has counted this step.
            terms["sparsity"] *= self.sparsity_schedule(self.steps - 1)
        return terms

    def _count(self, z: Tensor) -> None:
        on = ops.any(z > 0, axis=0)
        idle = ops.minimum(self.idle + ops.shape(z)[0], self.dead_after)
        self.idle.assign(ops.where(on, 0, idle))

    def _revival(self, p: Tensor, residual: Tensor) -> Tensor:
        dead = self.idle >= self.dead_after
        a = keep_largest(ops.where(dead, p, ops.zeros_like(p)), self.revival_units)
        residual = ops.cast(ops.stop_gradient(residual), "float32")
        # Without the bias: the residual is what is left after it.
        estimate = ops.cast(ops.matmul(a, self.decoder_layer.kernel), "float32")
        length = ops.maximum(ops.sum(ops.square(estimate), axis=-1, keepdims=True), _TINY)
        fit = ops.sum(residual * estimate, axis=-1, keepdims=True) / length
        # At scale 1 many units overshoot together, and lose the bias that could bring them back.
        error = residual - ops.stop_gradient(ops.clip(fit, 0.0, 1.0)) * estimate
        return ops.where(ops.any(dead), _mean_of_squares(error), 0.0)

    def restart(self, units: np.ndarray[Any, Any], directions: FloatArray) -> None:
        """Start units anew, each from a direction of the input space, and leave the others alone.

        The atom becomes the direction, and the unit's column of `W` the same with 0.2 times the
        mean length of the columns of the other units. Its bias becomes 0, the other weights that
        the activation has for it their initial values, and the optimizer's memory of them 0. It no
        longer counts as dead.

        Args:
            units: Distinct indices `(m,)` of units, integers from 0.
            directions: `(m, input_dim)`, of any length other than 0.

        Raises:
            ValueError: The arrays are not as above.
        """
        units, directions = np.asarray(units), np.asarray(directions, dtype="float64")
        if (
            units.ndim != 1
            or units.dtype.kind not in "iu"
            or not np.isin(units, np.arange(self.units)).all()
            or len(np.unique(units)) < len(units)
        ):
            raise ValueError(
                f"units must be distinct integers from 0 to {self.units - 1}. "
                f"Received: units={units}"
            )
        lengths = np.linalg.norm(directions, axis=-1, keepdims=True)
        if (
            directions.shape != (len(units), self.input_dim)
            or not (np.isfinite(lengths) & (lengths > 0)).all()
        ):
            raise ValueError(
                f"directions must have shape ({len(units)}, {self.input_dim}), finite numbers and "
                f"no row of length 0. Received: directions with shape={directions.shape}"
            )
        atoms = directions / lengths
        columns = np.linalg.norm(ops.convert_to_numpy(self.encoder_layer.kernel), axis=0)
        others = np.delete(columns, units)
        length = 0.2 * (others if len(others) else columns).mean()
        # A fresh layer knows the initial values of any activation.
        fresh = type(self.activation).from_config(self.activation.get_config())
        fresh.build((None, self.units))
        parts = [
            (self.decoder_layer.kernel, units, atoms),
            (self.encoder_layer.kernel, (slice(None), units), length * atoms.T),
            (self.encoder_layer.bias, units, 0),
            (self.idle, units, 0),
            *(
                (weight, units, ops.convert_to_numpy(initial)[units])
                for weight, initial in zip(
                    self.activation.trainable_weights, fresh.trainable_weights, strict=True
                )
                if weight.shape == (self.units,)
            ),
        ]
        for weight, where, values in parts:
            overwrite(weight, where, values, getattr(self, "optimizer", None))

    def get_config(self) -> Config:
        config = super().get_config()
        for made_here in ("encoder", "decoder", "corruption"):
            del config[made_here]
        serialize = keras.saving.serialize_keras_object
        return {
            **config,
            "input_dim": self.input_dim,
            "units": self.units,
            "activation": serialize(self.activation),
            "revival": self.revival,
            "revival_units": self.revival_units,
            "dead_after": self.dead_after,
            "sparsity_schedule": serialize(self.sparsity_schedule),
        }

    @classmethod
    def from_config(cls, config: Config) -> "SparseAutoencoder":
        config = dict(config)
        for name in ("activation", "sparsity_schedule"):
            config[name] = keras.saving.deserialize_keras_object(config[name])
        return cls(**config)


def _mean_of_squares(x: Tensor) -> Tensor:
    return ops.mean(ops.square(ops.cast(x, "float32")))
