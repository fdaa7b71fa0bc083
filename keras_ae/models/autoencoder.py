"""An encoder and a decoder trained to reproduce their input."""

from typing import Any

import keras
import numpy as np
from keras import ops

from keras_ae._checks import check_finite, check_integer
from keras_ae.models._penalties import penalties, penalty_names, training_only_names
from keras_ae.types import Config, FloatArray, Shape, Tensor


@keras.saving.register_keras_serializable("keras_ae")
class Autoencoder(keras.Model):
    """Model `r(x) = decoder(encoder(x))`, trained on the loss between `r(corruption(x))` and `x`.

    `fit(x)` is enough: without targets the clean input is the target. Every loss term shows by name
    in the progress bar and in `history`: `reconstruction`, and the penalties of the layers in it
    (`contraction`, `sparsity`, `regularization`). Penalties added in training only are not shown
    for validation data.

    Args:
        encoder: Model from the input to the code.
        decoder: Model from the code to the reconstruction.
        corruption: Layer that corrupts the input in training, such as `GaussianCorruption`, or
            `None`.
        **kwargs: `name` and `dtype`, as in `keras.Model`.

    Shape:
        Input `(n, ...)`; the reconstruction has the shape of the input.

    Raises:
        ValueError: An argument is not a Keras layer or model.

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

    def build(self, input_shape: Shape) -> None:
        if self.corruption is not None:
            self.corruption.build(input_shape)
        if not self.encoder.built:
            self.encoder.build(input_shape)
        if not self.decoder.built:
            self.decoder.build(self.code_shape(input_shape))
        # Metrics hold variables, so they have to exist before a training step is traced.
        for name in ("reconstruction", *penalty_names(self)):
            self._trackers[name] = keras.metrics.Mean(name=name)

    def code_shape(self, input_shape: Shape) -> Shape:
        """Return the shape of what the decoder is given for an input of `input_shape`."""
        return tuple(self.encoder.compute_output_shape(input_shape))

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        if self.corruption is not None:
            inputs = self.corruption(inputs, training=training)
        return self.decoder(self.encoder(inputs, training=training), training=training)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        return tuple(self.decoder.compute_output_shape(self.code_shape(input_shape)))

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
        terms = {"reconstruction": self._compile_loss(target, y_pred, sample_weight)}
        terms |= penalties(self, training)
        for name, tracker in self._trackers.items():
            if name in terms:
                tracker.update_state(terms[name])
        return sum(terms.values())

    def compute_metrics(
        self, x: Tensor, y: Tensor, y_pred: Tensor, sample_weight: Tensor = None
    ) -> dict[str, Tensor]:
        return super().compute_metrics(x, x if y is None else y, y_pred, sample_weight)

    def test_step(self, data: Any) -> dict[str, Tensor]:
        """Evaluate a batch; terms that exist in training only are left out."""
        logs = super().test_step(data)
        hidden = training_only_names(self)
        return {name: value for name, value in logs.items() if name not in hidden}

    def encode(self, x: FloatArray, batch_size: int = 256) -> np.ndarray[Any, Any]:
        """Return the codes of an array, computed batch by batch.

        Args:
            x: Array `(n, ...)` of finite numbers.
            batch_size: Examples at a time, an integer >= 1. It bounds the memory used.

        Returns:
            NumPy array `(n, *code_shape)`.

        Raises:
            ValueError: `x` has NaN or infinite values, whose code would mean nothing.
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

    def _in_batches(
        self, function: Any, name: str, x: np.ndarray[Any, Any], batch_size: int
    ) -> np.ndarray[Any, Any]:
        check_integer("batch_size", batch_size, minimum=1)
        x = check_finite(name, x)
        # At least one batch, so that an empty array gets an empty result of the right shape.
        starts = range(0, max(len(x), 1), batch_size)
        outputs = [function(ops.convert_to_tensor(x[i : i + batch_size])) for i in starts]
        return np.concatenate([ops.convert_to_numpy(part) for part in outputs])
