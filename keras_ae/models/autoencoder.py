"""An encoder and a decoder trained to reproduce their input."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from keras_ae._checks import check_finite, check_integer
from keras_ae.models._penalties import penalties, penalty_names, training_only_names
from keras_ae.types import Config, FloatArray, Tensor


@keras.saving.register_keras_serializable("keras_ae")
class Autoencoder(keras.Model):
    """Model `r(x) = decoder(encoder(x))`, trained on the loss between `r(corruption(x))` and `x`.

    `fit(x)` is enough: without targets the clean input is the target. Every loss term shows by name
    in the progress bar and in `history`: `reconstruction`, and the penalties of the layers in it
    (`contraction`, `sparsity`, `regularization`). Penalties added in training only are not shown
    for validation data. `compile(code_metrics=[...])` adds metrics of the code.

    Args:
        encoder: Model from the input to the code.
        decoder: Model from the code to the reconstruction.
        corruption: Layer that corrupts the input in training, such as `GaussianCorruption`, or
            `None`.
        **kwargs: `name` and `dtype`, as in `keras.Model`.

    Shape:
        Input `(n, ...)`. The output is the decoder's: to learn from `fit(x)` it has the shape of
        the input.

    Raises:
        ValueError: An argument is not a Keras layer or model, or the encoder returns several
            tensors.

    Example:

    >>> import keras, keras_ae
    >>> autoencoder = keras_ae.Autoencoder(
    ...     keras.Sequential([keras.Input((16,)), keras.layers.Dense(4, activation="tanh")]),
    ...     keras.Sequential([keras.Input((4,)), keras.layers.Dense(16)]),
    ...     corruption=keras_ae.GaussianCorruption(0.1))
    >>> autoencoder.compile("adam", "mse")
    >>> x = keras.random.uniform((32, 16))
    >>> sorted(autoencoder.fit(x, verbose=0).history)
    ['loss', 'reconstruction']
    >>> autoencoder.encode(x).shape
    (32, 4)

    Reference:
        Goodfellow, Bengio, Courville: Deep Learning, chapter 14, 2016.
    """

    def __init__(
        self,
        encoder: keras.layers.Layer,
        decoder: keras.layers.Layer,
        corruption: keras.layers.Layer | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, part in (("encoder", encoder), ("decoder", decoder), ("corruption", corruption)):
            optional = name == "corruption"
            if not isinstance(part, keras.layers.Layer) and not (optional and part is None):
                raise ValueError(
                    f"{name} must be a Keras layer or model{' or None' if optional else ''}. "
                    f"Received: {name}={part!r}"
                )
        self.encoder = encoder
        self.decoder = decoder
        self.corruption = corruption
        self._trackers: dict[str, keras.metrics.Mean] = {}
        self._code_metrics: tuple[keras.metrics.Metric, ...] = ()

    def build(self, input_shape: Any) -> None:
        # By a symbolic call, which builds parts of any kind and tells what they return.
        inputs = keras.tree.map_shape_structure(
            lambda shape: keras.KerasTensor((None, *shape[1:]), self.compute_dtype), input_shape
        )
        if self.corruption is not None:
            inputs = self.corruption(inputs)
        code = self.encoder(inputs)
        if not isinstance(code, keras.KerasTensor):
            raise ValueError(f"encoder must return one tensor. Received: one that returns {code}")
        self.decoder(self.decoder_input(code))
        # Metrics hold variables, so they have to exist before a training step is traced.
        for name in ("reconstruction", *penalty_names(self)):
            if name not in self._trackers:
                self._trackers[name] = keras.metrics.Mean(name=name)

    def decoder_input(self, encoded: Tensor, training: bool | None = None) -> Tensor:
        """Return what the decoder is given for what the encoder returned. For subclasses."""
        return encoded

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        if self.corruption is not None:
            inputs = self.corruption(inputs, training=training)
        return self._reconstruct(inputs, training)

    def _reconstruct(self, inputs: Tensor, training: bool | None) -> Tensor:
        encoded = self.encoder(inputs, training=training)
        return self.decoder(self.decoder_input(encoded, training), training=training)

    def compile(
        self,
        *args: Any,
        code_metrics: Sequence[keras.metrics.Metric] | None = None,
        **kwargs: Any,
    ) -> None:
        """Configure as `keras.Model.compile` does, with metrics of the code besides.

        Each gets `update_state(x, code, sample_weight)` with the clean input `x` and the code
        `encoder(x)` as it is at inference, before the step: for `SemanticHasher`, the logits. That
        costs a second pass through the encoder a batch, only if there are such metrics.

        Args:
            *args: The arguments of `keras.Model.compile`.
            code_metrics: List of `keras.metrics.Metric`, such as those of `keras_ae.metrics`, shown
                by name like other metrics, or `None`.
            **kwargs: The arguments of `keras.Model.compile`.

        Raises:
            ValueError: `code_metrics` is not such a list, or one has the name of a loss term or of
                another metric; as far as those are not known yet, at the first step.

        Example:

        >>> import keras, keras_ae
        >>> model = keras_ae.Autoencoder(keras.layers.Dense(4, "relu"), keras.layers.Dense(16))
        >>> model.compile("adam", "mse", code_metrics=[keras_ae.metrics.DeadFraction()])
        >>> sorted(model.fit(keras.random.uniform((32, 16)), verbose=0).history)
        ['dead_fraction', 'loss', 'reconstruction']
        """
        metrics = [] if code_metrics is None else code_metrics
        if not isinstance(metrics, list | tuple) or not all(
            isinstance(metric, keras.metrics.Metric) for metric in metrics
        ):
            raise ValueError(
                "code_metrics must be a list of keras.metrics.Metric or None. "
                f"Received: code_metrics={code_metrics!r}"
            )
        super().compile(*args, **kwargs)
        # Past Keras's tracking: it takes no new metrics after `build`, and keeps those replaced.
        object.__setattr__(self, "_code_metrics", tuple(metrics))
        self._check_metric_names()

    def get_compile_config(self) -> Config:
        config: Config = super().get_compile_config()
        if self._code_metrics:
            config["code_metrics"] = keras.saving.serialize_keras_object(list(self._code_metrics))
        return config

    def compile_from_config(self, config: Config) -> None:
        # Keras's own leaves a model with another `compile` than its own uncompiled.
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """Every metric: of the loss terms, of the output, and of the code."""
        return [*super().metrics, *self._code_metrics]

    def fit(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Train as `keras.Model.fit` does; without `y`, the input is the target."""
        return super().fit(x, _target(x, y, kwargs), *args, **kwargs)

    def evaluate(self, x: Any = None, y: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Evaluate as `keras.Model.evaluate` does; without `y`, the input is the target."""
        return super().evaluate(x, _target(x, y, kwargs), *args, **kwargs)

    def compute_loss(
        self,
        x: Tensor = None,
        y: Tensor = None,
        y_pred: Tensor = None,
        sample_weight: Tensor = None,
        training: bool = True,
    ) -> Tensor:
        """Return the total loss of a batch, and record each of its terms by name."""
        target = x if y is None else y
        if self._compile_loss is None:
            raise ValueError(
                "compile must be given a loss between input and reconstruction. Received: loss=None"
            )
        terms = {"reconstruction": self.reconstruction_loss(target, y_pred, sample_weight)}
        # On several replicas Keras adds up the gradients of all: each counts its share.
        terms |= {
            name: self._aggregate_additional_loss(value)
            for name, value in self.penalty_losses(training).items()
        }
        share = self._aggregate_additional_loss(ops.ones(()))
        # By examples, as Keras averages the loss: a partial batch counts for less.
        examples = ops.shape(keras.tree.flatten(x)[0])[0]
        for name, tracker in self._trackers.items():
            if name in terms:
                tracker.update_state(terms[name] / share, sample_weight=examples)
        if self._code_metrics:
            # Here, because on JAX there are no weights where Keras computes metrics.
            code = self.encoder(x, training=False)
            for metric in self._code_metrics:
                metric.update_state(x, code, sample_weight)
        return sum(terms.values())

    def reconstruction_loss(
        self, target: Tensor, reconstruction: Tensor, sample_weight: Tensor = None
    ) -> Tensor:
        """Return the compiled loss between target and reconstruction. For subclasses."""
        return self._compile_loss(target, reconstruction, sample_weight)

    def penalty_losses(self, training: bool) -> dict[str, Tensor]:
        """Return the sums of the losses that the layers added, by name. For subclasses."""
        return penalties(self, training)

    def compute_metrics(
        self, x: Tensor, y: Tensor, y_pred: Tensor, sample_weight: Tensor = None
    ) -> dict[str, Tensor]:
        logs = super().compute_metrics(x, x if y is None else y, y_pred, sample_weight)
        # Once more: Keras knows the names of its own metrics only now.
        self._check_metric_names()
        return logs

    def test_step(self, *args: Any) -> Any:
        """Evaluate a batch; terms that exist in training only are left out."""
        results = super().test_step(*args)
        # On JAX a pair: the logs, and the values of the variables.
        logs = results[0] if isinstance(results, tuple) else results
        hidden = training_only_names(self)
        shown = {name: value for name, value in logs.items() if name not in hidden}
        return (shown, *results[1:]) if isinstance(results, tuple) else shown

    def encode(self, x: FloatArray, batch_size: int = 256) -> np.ndarray[Any, Any]:
        """Return the codes of an array, computed batch by batch.

        Args:
            x: Array `(n, ...)` of finite numbers.
            batch_size: Examples at a time, an integer >= 1. It bounds the memory used.

        Returns:
            NumPy array `(n, *code_shape)`.

        Raises:
            ValueError: `x` has another shape than the model's input, or it has NaN or infinite
                values or leads to some: their code would mean nothing.
        """
        return self._in_batches(self.encoder, "x", x, batch_size)

    def decode(self, codes: np.ndarray[Any, Any], batch_size: int = 256) -> FloatArray:
        """Return the reconstructions of an array of codes `(n, *code_shape)`; see `encode`."""
        return self._in_batches(self.decoder, "codes", codes, batch_size)

    def reconstruct(self, x: FloatArray, batch_size: int = 256) -> FloatArray:
        """Return the reconstructions of an array `(n, ...)`, without corruption; see `encode`."""
        return self._in_batches(self, "x", x, batch_size)

    def get_config(self) -> Config:
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "encoder": serialize(self.encoder),
            "decoder": serialize(self.decoder),
            "corruption": serialize(self.corruption),
        }

    @classmethod
    def from_config(cls, config: Config) -> "Autoencoder":
        config = dict(config)
        for name in ("encoder", "decoder", "corruption"):
            config[name] = keras.saving.deserialize_keras_object(config[name])
        return cls(**config)

    def _check_metric_names(self) -> None:
        known = [m.name for own in super().metrics for m in getattr(own, "metrics", [own])]
        for metric in self._code_metrics:
            if metric.name in known:
                raise ValueError(
                    "code_metrics must have names that no loss term and no other metric has. "
                    f"Received: code_metrics with a metric of name={metric.name!r}"
                )
            known.append(metric.name)

    def _in_batches(
        self, function: Any, name: str, x: np.ndarray[Any, Any], batch_size: int
    ) -> np.ndarray[Any, Any]:
        check_integer("batch_size", batch_size, minimum=1)
        x = check_finite(name, x)
        shape = getattr(self.encoder, "input_shape", None)
        if name == "x" and isinstance(shape, list | tuple) and not _fits(x.shape, shape):
            raise ValueError(
                f"x must have the shape {(None, *shape[1:])}, one example a row. "
                f"Received: x with shape={x.shape}"
            )
        if x.dtype.kind != "f":
            x = x.astype(keras.config.floatx())
        # At least one batch, so that an empty array gets an empty result of the right shape.
        starts = range(0, max(len(x), 1), batch_size)
        # On JAX float64 becomes float32 here; what that makes infinite is refused below.
        with np.errstate(over="ignore"):
            batches = [function(ops.convert_to_tensor(x[i : i + batch_size])) for i in starts]
        outputs = np.concatenate([ops.convert_to_numpy(batch) for batch in batches])
        if outputs.dtype.kind == "V":  # NumPy has no bfloat16.
            outputs = outputs.astype("float32")
        if not np.isfinite(outputs).all():
            raise ValueError(
                f"{name} must be numbers that the model computes with, to finite results. "
                f"Received: {name} with values up to {np.abs(x).max():.3g}, which give "
                f"{np.count_nonzero(~np.isfinite(outputs))} NaN or infinite outputs"
            )
        return outputs


def _target(x: Any, y: Any, arguments: dict[str, Any]) -> Any:
    # Keras drops the weights of examples that have no target.
    return x if y is None and arguments.get("sample_weight") is not None else y


def _fits(shape: tuple[int, ...], expected: Any) -> bool:
    return len(shape) == len(expected) and all(
        wanted is None or size == wanted
        for size, wanted in zip(shape[1:], expected[1:], strict=True)
    )
