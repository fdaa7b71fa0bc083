"""Sparse coding together with a predictor of the codes."""

from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops

from keras_ae._checks import check_choice, check_integer, check_number
from keras_ae.layers.psd_predictor import KINDS, PSDPredictor
from keras_ae.models._dictionary import dictionary
from keras_ae.models.autoencoder import Autoencoder
from keras_ae.ops.batch import batch_mean
from keras_ae.ops.shrinkage import fista, objective
from keras_ae.types import Config, FloatArray, Tensor


class PredictionQuality(NamedTuple):
    """How close predicted codes come to the optimal ones.

    Attributes:
        snr: `10 log10(sum ||h*||^2 / sum ||h* - f(x)||^2)`, in dB; NaN where both are 0.
        objective_gap: The objective of the predicted codes over that of the optimal ones, less 1;
            NaN where both are 0.
    """

    snr: float
    objective_gap: float


@keras.saving.register_keras_serializable("keras_ae")
class PredictiveSparseDecomposition(Autoencoder):
    """Learn a dictionary, the sparse codes in it, and a predictor `f` that gives them at once.

    `loss = mean_b min_h ||x - h D||^2 + sparsity |h|_1 + prediction ||h - f(x)||^2`

    In training the code `h` of each example is found by `ops.shrinkage.fista`, started at `f(x)`.
    At the minimum the gradient for `D` and `f` is the one with `h` held fixed. The rows of `D` have
    length 1, at the start and after every update. The terms show as `reconstruction`, `sparsity`
    and `prediction`; the last two in training only.

    `encode(x)` is one pass of `f`, `infer(x)` the optimal code, `decode(h)` is `h D`, and the model
    itself `f(x) D`. The reconstruction has no offset: take the mean off the data.

    The loss is part of the method: `compile(optimizer)` takes none.

    Args:
        input_dim: Size of the input, an integer >= 1.
        units: Atoms of the dictionary, an integer >= 1.
        sparsity: Weight of the L1 norm, a finite number > 0, in units of the input. At `2 max |x
            D^T|` and above every code is 0.
        prediction: Weight of the distance to the prediction, a finite number >= 0.
        predictor: `"tanh"` or `"lista"` for a `PSDPredictor` of this kind, or a layer or model from
            `(n, input_dim)` to `(n, units)`.
        tolerance: Of `fista` in training, a finite number >= 0.
        iterations: Of `fista` at most, in training and in `infer`, an integer >= 1.
        **kwargs: `name` and `dtype`, as in `keras.Model`.

    Shape:
        Input and output `(n, input_dim)`; codes are `(n, units)`.

    Raises:
        ValueError: An argument is out of its range.

    Example:

    >>> import keras, keras_ae
    >>> model = keras_ae.PredictiveSparseDecomposition(16, 32, sparsity=0.2, prediction=1.0)
    >>> model.compile("adam")
    >>> x = keras.random.normal((64, 16))
    >>> sorted(model.fit(x, verbose=0).history)
    ['loss', 'prediction', 'reconstruction', 'sparsity']
    >>> model.encode(x).shape, model.infer(x).shape
    ((64, 32), (64, 32))

    Reference:
        Kavukcuoglu, Ranzato, LeCun: Fast Inference in Sparse Coding Algorithms with Applications to
        Object Recognition, 2008. Goodfellow, Bengio, Courville: Deep Learning, chapter 14.8, 2016.
    """

    def __init__(
        self,
        input_dim: int,
        units: int,
        sparsity: float,
        prediction: float,
        *,
        predictor: str | keras.layers.Layer = "tanh",
        tolerance: float = 1e-3,
        iterations: int = 200,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        self.input_dim = check_integer("input_dim", input_dim, minimum=1)
        self.units = check_integer("units", units, minimum=1)
        self.sparsity = check_number("sparsity", sparsity, minimum=0, exclusive=True)
        self.prediction = check_number("prediction", prediction, minimum=0)
        self.tolerance = check_number("tolerance", tolerance, minimum=0)
        self.iterations = check_integer("iterations", iterations, minimum=1)
        if not isinstance(predictor, keras.layers.Layer):
            predictor = PSDPredictor(
                units, check_choice("predictor", predictor, KINDS), dtype=dtype, name="predictor"
            )
        is_new = not predictor.built
        encoder = keras.Sequential([keras.Input((input_dim,)), predictor], name="encoder")
        if encoder.output_shape != (None, units):
            raise ValueError(
                f"predictor must map (n, {input_dim}) to (n, {units}). "
                f"Received: predictor={predictor!r} with output {encoder.output_shape}"
            )
        decoder = dictionary(
            units, input_dim, dtype, use_bias=False, kernel_initializer="random_normal"
        )
        super().__init__(encoder, decoder, dtype=dtype, **kwargs)
        self.predictor = predictor
        if is_new and isinstance(predictor, PSDPredictor):
            predictor.start_from(self.dictionary, self.sparsity)
        self.build((None, input_dim))

    @property
    def dictionary(self) -> keras.Variable:
        """The atoms `D` as rows, `(units, input_dim)`."""
        return self.decoder.layers[0].kernel

    @property
    def penalty_names(self) -> tuple[str, ...]:
        """Names of the losses that a training call adds, in their order."""
        return ("sparsity", "prediction")

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Configure as `keras.Model.compile` does, without a loss.

        Raises:
            ValueError: A loss is given.
        """
        if len(args) > 1 or kwargs.get("loss") is not None:
            loss = args[1] if len(args) > 1 else kwargs["loss"]
            raise ValueError(
                "loss must be left out: it is part of the method, and the codes are its minimum. "
                f"Received: loss={loss!r}"
            )
        super().compile(*args, **{**kwargs, "loss": _squared_error})

    def get_compile_config(self) -> Config:
        config = super().get_compile_config()
        config.pop("loss", None)
        return config

    def call(self, inputs: Tensor, training: bool | None = None) -> Tensor:
        if not training:
            return super().call(inputs, training=training)
        predicted = self.encoder(inputs, training=True)
        code = self._optimal(inputs, predicted, self.prediction)
        self.add_loss(self.sparsity * batch_mean(ops.abs(code)))
        distance = ops.square(code - ops.cast(predicted, code.dtype))
        self.add_loss(self.prediction * batch_mean(distance))
        return self.decoder(code, training=True)

    def infer(
        self, x: FloatArray, prediction: float | None = None, batch_size: int = 256
    ) -> FloatArray:
        """Return the optimal codes of an array, computed batch by batch.

        Args:
            x: Array `(n, input_dim)` of finite numbers.
            prediction: Weight of the distance to the prediction, a finite number >= 0; that of the
                model if `None`. At 0 it is the sparse code of the dictionary alone.
            batch_size: Examples at a time, an integer >= 1. It bounds the memory used.

        Returns:
            NumPy array `(n, units)`.

        Raises:
            ValueError: An argument is out of its range, or `x` has NaN or infinite values.
        """
        weight = self.prediction if prediction is None else prediction
        check_number("prediction", weight, minimum=0)
        # A model of its own, because Keras compiles what `predict_on_batch` runs.
        inference = _Inference(self, weight)
        return self._in_batches(inference.predict_on_batch, "x", x, batch_size)

    def prediction_quality(self, x: FloatArray, batch_size: int = 256) -> PredictionQuality:
        """Compare `encode(x)` with the sparse code of the dictionary, `infer(x, prediction=0)`.

        Args:
            x: Array `(n, input_dim)` of finite numbers.
            batch_size: Examples at a time, an integer >= 1. It bounds the memory used.

        Returns:
            `PredictionQuality`: the signal-to-noise ratio in dB and the relative gap of
            `||x - h D||^2 + sparsity |h|_1`.

        Example:

        >>> import keras, keras_ae
        >>> model = keras_ae.PredictiveSparseDecomposition(16, 32, sparsity=0.2, prediction=1.0)
        >>> quality = model.prediction_quality(keras.random.normal((64, 16)))
        >>> quality.objective_gap > 0
        True
        """
        predicted = self.encode(x, batch_size).astype("float64")
        optimal = self.infer(x, 0.0, batch_size).astype("float64")
        signals = np.asarray(x, "float64")
        atoms = ops.convert_to_numpy(self.dictionary).astype("float64")
        totals = [
            ops.convert_to_numpy(ops.sum(objective(code, signals, atoms, self.sparsity)))
            for code in (predicted, optimal)
        ]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.sum(optimal**2) / np.sum((optimal - predicted) ** 2)
            snr = 10 * np.log10(ratio)
            gap = totals[0] / totals[1] - 1
        return PredictionQuality(float(snr), float(gap))

    def _optimal(self, x: Tensor, predicted: Tensor, prediction: float) -> Tensor:
        # Constants, all of them: the codes are a minimum, at which no derivative goes through them.
        x, predicted, dictionary = (
            ops.stop_gradient(ops.convert_to_tensor(part))
            for part in (x, predicted, self.dictionary)
        )
        return fista(
            x,
            dictionary,
            self.sparsity,
            prediction=prediction,
            target=predicted,
            start=predicted,
            tolerance=self.tolerance,
            iterations=self.iterations,
        ).code

    def get_config(self) -> Config:
        config = super().get_config()
        for made_here in ("encoder", "decoder", "corruption"):
            del config[made_here]
        return {
            **config,
            "input_dim": self.input_dim,
            "units": self.units,
            "sparsity": self.sparsity,
            "prediction": self.prediction,
            "predictor": keras.saving.serialize_keras_object(self.predictor),
            "tolerance": self.tolerance,
            "iterations": self.iterations,
        }

    @classmethod
    def from_config(cls, config: Config) -> "PredictiveSparseDecomposition":
        predictor = keras.saving.deserialize_keras_object(config["predictor"])
        return cls(**{**config, "predictor": predictor})


class _Inference(keras.Model):
    def __init__(self, model: PredictiveSparseDecomposition, prediction: float) -> None:
        super().__init__(name="inference", dtype=model.dtype_policy)
        self.model = model
        self.prediction = prediction

    def call(self, inputs: Tensor) -> Tensor:
        return self.model._optimal(inputs, self.model.encoder(inputs), self.prediction)


def _squared_error(x: Tensor, reconstruction: Tensor) -> Tensor:
    return ops.sum(
        ops.square(ops.cast(x, "float32") - ops.cast(reconstruction, "float32")), axis=-1
    )
