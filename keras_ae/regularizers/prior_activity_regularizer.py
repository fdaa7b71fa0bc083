"""The penalty that any prior on the code stands for."""

import inspect
import math
from typing import Any

import keras
from keras import ops

from keras_ae._checks import check_number
from keras_ae._optional import optional_import, require_tensorflow
from keras_ae.types import Config, Tensor

# They say how a distribution is called and checked, not which one it is.
_IGNORED = ("name", "validate_args", "allow_nan_stats")


@keras.saving.register_keras_serializable("keras_ae")
class PriorActivityRegularizer(keras.regularizers.Regularizer):
    """Negative log density of the activations under a prior of your choice.

    `penalty = weight * sum_i -log p(h_i)`

    The value is a sum over the batch: used as `activity_regularizer`, Keras divides it by the batch
    size, which makes the penalty a mean over examples. Where the prior excludes a value, such as
    a negative one under `Exponential`, the penalty is infinite.

    Args:
        distribution: Prior of a single activation: a distribution of `tensorflow_probability` over
            real numbers with constant parameters, such as `Laplace`, `StudentT`, `Horseshoe`, or a
            `MixtureSameFamily` of such. Its batch shape is `()`, or `(units,)` to give each unit on
            the last axis a prior of its own. Also what `get_config` returns for it.
        weight: Weight of the penalty, a finite number >= 0.
        epsilon: Distance from 0, a finite number >= 0 in units of the activation, below which
            the density is taken to be that at the distance itself. The density of `Horseshoe` is
            infinite at 0, where the codes of a `relu` are; between, the gradient is 0.

    Needs the TensorFlow backend, as the distributions do.

    Raises:
        RuntimeError: Keras runs on another backend.
        ValueError: An argument is out of its range; the distribution is not one of
            `tensorflow_probability.distributions`, is discrete, has events that are not scalar, or
            parameters that cannot be saved; or the activations have another number of units.
        ImportError: `tensorflow_probability` is not installed.

    Example:

    >>> import keras, keras_ae
    >>> import tensorflow_probability as tfp
    >>> prior = keras_ae.PriorActivityRegularizer(tfp.distributions.StudentT(3.0, 0.0, 1.0), 1e-3)
    >>> layer = keras.layers.Dense(8, activity_regularizer=prior)
    >>> _ = layer(keras.ops.ones((4, 16)))
    >>> len(layer.losses)
    1

    Reference:
        Goodfellow, Bengio, Courville: Deep Learning, section 14.2.1, 2016. Carvalho, Polson, Scott:
        The Horseshoe Estimator for Sparse Signals, 2010.
    """

    penalty_name = "sparsity"

    def __init__(self, distribution: Any, weight: float = 1.0, epsilon: float = 1e-6) -> None:
        self.weight = check_number("weight", weight, minimum=0)
        self.epsilon = check_number("epsilon", epsilon, minimum=0)
        serialized = distribution if isinstance(distribution, dict) else _serialize(distribution)
        # From the numbers alone, so that one given in float64 works in float32.
        self.distribution = _deserialize(serialized)
        self._serialized = serialized
        if not _is_prior(self.distribution):
            raise ValueError(
                "distribution must be continuous, over single real numbers, with the batch shape "
                f"() or (units,). Received: distribution={distribution!r}"
            )

    def __call__(self, x: Tensor) -> Tensor:
        """Return the scalar sum over every element of `x`, float32."""
        x = ops.cast(x, "float32")
        batch_shape = tuple(self.distribution.batch_shape)
        if batch_shape not in {(), (1,), tuple(x.shape[-1:])}:
            raise ValueError(
                "distribution must have the batch shape () or (units,), with the units on the last "
                "axis of the activations. "
                f"Received: batch shape {batch_shape} for activations of shape {tuple(x.shape)}"
            )
        nearest = ops.where(x < 0, -self.epsilon, self.epsilon)
        x = ops.where(ops.abs(x) < self.epsilon, nearest, x)
        # Several densities go on outside of their support, and would reward what is there.
        inside = _in_support(self.distribution, x)
        return self.weight * ops.sum(ops.where(inside, -self.distribution.log_prob(x), math.inf))

    def get_config(self) -> Config:
        return {
            "distribution": self._serialized,
            "weight": self.weight,
            "epsilon": self.epsilon,
        }


def _distributions() -> Any:
    require_tensorflow("PriorActivityRegularizer")
    return optional_import("tensorflow_probability", "probability").distributions


def _find(name: Any) -> Any:
    """Return the class of a name in tensorflow_probability.distributions, or None."""
    # Only classes of distributions: a file that is loaded must not choose what to run.
    found = getattr(_distributions(), name, None) if isinstance(name, str) else None
    is_one = isinstance(found, type) and issubclass(found, _distributions().Distribution)
    return found if is_one else None


def _serialize(distribution: Any) -> Config:
    """Return the class name and the parameters of a distribution as numbers and lists."""
    cls, name = type(distribution), type(distribution).__name__
    if _find(name) is not cls:
        raise ValueError(
            "distribution must be one of tensorflow_probability.distributions. "
            f"Received: distribution={distribution!r}"
        )
    if distribution.variables:
        raise ValueError(
            "distribution must have constant parameters: it is saved with the numbers they are. "
            f"Received: distribution={distribution!r} with variables"
        )
    arguments = inspect.signature(cls.__init__).parameters
    defaults = {key: argument.default for key, argument in arguments.items()}
    return {
        "name": name,
        "parameters": {
            key: _plain(f"{name}.{key}", value)
            for key, value in distribution.parameters.items()
            if key not in _IGNORED and value is not None and value is not defaults.get(key)
        },
    }


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, _distributions().Distribution):
        return _serialize(value)
    try:
        array = ops.convert_to_numpy(value)
    except Exception as error:
        raise _unsaved(name, value) from error
    if array.dtype.kind not in "fiub":
        raise _unsaved(name, value)
    return array.tolist()


def _unsaved(name: str, value: Any) -> ValueError:
    return ValueError(
        "distribution must have parameters that are numbers, arrays or distributions. "
        f"Received: {name}={value!r}"
    )


def _deserialize(serialized: Config) -> Any:
    """Build a distribution, in float32, from what `_serialize` returned."""
    name, parameters = serialized.get("name"), serialized.get("parameters")
    cls = _find(name)
    if cls is None or not isinstance(parameters, dict):
        raise ValueError(
            "distribution must be the name and parameters of one of "
            f"tensorflow_probability.distributions. Received: distribution={serialized!r}"
        )
    values = {
        key: _deserialize(value) if isinstance(value, dict) else value
        for key, value in parameters.items()
    }
    try:
        return cls(**values)
    except Exception as error:
        raise ValueError(
            f"distribution must have parameters that {name} takes. "
            f"Received: parameters={parameters!r}"
        ) from error


def _in_support(distribution: Any, x: Tensor) -> Tensor:
    components = getattr(distribution, "components_distribution", None)
    if components is not None:
        return ops.any(_in_support(components, x[..., None]), axis=-1)
    # The inverse of what maps all real numbers to the support is NaN elsewhere.
    unbounded = distribution.experimental_default_event_space_bijector().inverse(x)
    return ops.logical_or(ops.isnan(x), ops.logical_not(ops.isnan(unbounded)))


def _is_prior(distribution: Any) -> bool:
    # A mixture does not tell whether it is continuous: its components do.
    part = getattr(distribution, "components_distribution", distribution)
    # Some raise what they like rather than tell.
    try:
        continuous = part.experimental_default_event_space_bijector() is not None
        scalar = distribution.event_shape.rank == 0 and distribution.batch_shape.rank <= 1
    except Exception:
        return False
    return bool(continuous and scalar)
