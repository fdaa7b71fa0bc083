"""The functions of a model that an export offers, by name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from keras_ae._checks import check_finite
from keras_ae.export._rounding import rounded_copy
from keras_ae.export.export_error import ExportError
from keras_ae.models.autoencoder import Autoencoder
from keras_ae.models.semantic_hasher import SemanticHasher
from keras_ae.ops.bits import pack_bits
from keras_ae.types import FloatArray, Tensor

_EXAMPLES = 256
# Logits are cut off at an eighth of their median size. Less helps no further.
_SHARPNESS = 8.0


@dataclass(frozen=True)
class Signature:
    """A function of a model.

    Attributes:
        function: From a batch of inputs to a batch of outputs, as at inference.
        output: Name of its output.
        is_code: Whether the output is packed bits, uint8.
        written: What is written in place of `function`: the same, computed in another way.
    """

    function: Callable[[Tensor], Tensor]
    output: str
    is_code: bool
    written: Callable[[Tensor], Tensor] | None = None


@dataclass(frozen=True)
class Exportable:
    """A model made ready for export.

    Attributes:
        model: The model, built.
        spec: Its one input, with any number of examples or a fixed one.
        signatures: The functions to export; the first is the one for queries.
        inputs: Inputs to compare on, `(n, ...)`.
        expected: Keras's output of each signature on the inputs.
    """

    model: keras.Model
    spec: tf.TensorSpec
    signatures: dict[str, Signature]
    inputs: FloatArray
    expected: dict[str, np.ndarray[Any, Any]]

    def logits(self) -> FloatArray | None:
        """Return what the codes are the signs of, where the model can tell."""
        if isinstance(self.model, SemanticHasher):
            return self.model.logits(self.inputs, len(self.inputs))
        return None

    @property
    def bits(self) -> int | None:
        """Bits of a code, if the first signature returns codes."""
        signature = next(iter(self.signatures.values()))
        if not signature.is_code:
            return None
        code = signature.function(ops.convert_to_tensor(self.inputs[:1]))
        return 8 * int(np.prod(code.shape[1:]))

    def sizes(self) -> list[int]:
        """Return the number of values of each weight that the signatures use."""
        variables = {
            id(variable): variable
            for name in self.signatures
            for variable in self.traced(name).get_concrete_function().graph.variables
        }
        return [int(np.prod(variable.shape)) for variable in variables.values()]

    def layer_names(self) -> list[str]:
        """Return the names of the model's layers, a layer before those inside it."""
        return [layer.name for layer in self.model._flatten_layers()]

    def traced(self, name: str) -> Any:
        """Return a signature as a `tf.function` from the one input to its named output."""
        signature = self.signatures[name]
        function = signature.written or signature.function
        return tf.function(lambda x: {signature.output: function(x)}, input_signature=[self.spec])

    def for_integers(self, calibration: FloatArray, is_output_rounded: bool) -> "Exportable":
        """Return the same for a runtime that computes in integers, nearer to Keras.

        Args:
            calibration: Inputs `(n, ...)`.
            is_output_rounded: Whether the runtime rounds what a layer returns, too.
        """
        part = getattr(self.model, "encoder", self.model)
        rounded = rounded_copy(part, calibration) or part
        written = {
            name: signature.function for name, signature in _signatures(self.model, rounded).items()
        }
        if is_output_rounded and isinstance(self.model, SemanticHasher):
            written["encode"] = _sharpened(rounded, self.model.logits(calibration))
        signatures = {
            name: replace(signature, written=written[name])
            for name, signature in self.signatures.items()
        }
        return replace(self, signatures=signatures)


def prepare(
    model: keras.Model,
    inputs: FloatArray | None,
    signatures: Sequence[str] | None,
    default: int | None = None,
    batch: int | None = None,
) -> Exportable:
    """Check a model and its inputs, and name what there is to export.

    Args:
        model: A Keras model with one input. One that is not built yet is built on the inputs.
        inputs: Real inputs `(n, ...)`, n >= 1, or `None` for 256 uniform random ones in [0, 1).
        signatures: Names to export, or `None` for the default ones.
        default: How many of the model's functions are the default ones, or `None` for all.
        batch: Examples at a time, or `None` for any number.

    Raises:
        ValueError: An argument is not as above.
        ExportError: The model draws random numbers at inference.
    """
    if not isinstance(model, keras.Model):
        raise ValueError(f"model must be a keras.Model. Received: model={model!r}")
    if not model.built and inputs is not None:
        inputs = check_finite("inputs", inputs).astype("float32")
        model(ops.convert_to_tensor(inputs[:1]))
    _check_precision(model)
    spec = tf.TensorSpec(input_shape(model), "float32", name="x")
    inputs = _inputs(inputs, spec)
    if batch is not None:
        spec = tf.TensorSpec((batch, *spec.shape[1:]), "float32", name="x")
    available = _signatures(model)
    names = tuple(available)[:default] if signatures is None else tuple(signatures)
    unknown = [name for name in names if name not in available]
    if unknown or not names:
        raise ValueError(
            f"signatures must name some of {tuple(available)}. Received: signatures={names}"
        )
    found = {name: available[name] for name in names}
    return Exportable(model, spec, found, inputs, _expected(model, found, inputs))


def _expected(
    model: keras.Model, signatures: dict[str, Signature], inputs: FloatArray
) -> dict[str, np.ndarray[Any, Any]]:
    x = ops.convert_to_tensor(inputs)
    first, second = (
        {name: ops.convert_to_numpy(s.function(x)) for name, s in signatures.items()}
        for _ in range(2)
    )
    for name in first:
        if not np.allclose(first[name], second[name], rtol=1e-3, equal_nan=True):
            raise ExportError(
                f"{model.name!r} returns something else each time: a layer of {name!r} "
                "draws random numbers at inference, which it should in training alone"
            )
    return first


def _signatures(model: keras.Model, part: keras.layers.Layer | None = None) -> dict[str, Signature]:
    """Return what a model offers, with another in place of its encoder or, without one, of it."""

    def call(part: Any) -> Callable[[Tensor], Tensor]:
        return lambda x: keras.tree.flatten(part(x, training=False))[0]

    if isinstance(model, Autoencoder):
        encode = call(part or model.encoder)
        decode = call(model.decoder)
        reconstruct = Signature(
            call(model) if part is None else lambda x: decode(model.decoder_input(encode(x))),
            "reconstruction",
            is_code=False,
        )
        if isinstance(model, SemanticHasher):
            return {
                "encode": Signature(lambda x: pack_bits(encode(x)), "codes", is_code=True),
                "logits": Signature(encode, "logits", is_code=False),
                "reconstruct": reconstruct,
            }
        return {"encode": Signature(encode, "code", is_code=False), "reconstruct": reconstruct}
    outputs = keras.tree.flatten(model(keras.KerasTensor(input_shape(model))))
    if len(outputs) != 1:
        raise ValueError(f"model must have one output. Received: a model with {outputs}")
    return {"serve": Signature(call(part or model), "output", is_code=outputs[0].dtype == "uint8")}


def _sharpened(encoder: keras.layers.Layer, logits: FloatArray) -> Callable[[Tensor], Tensor]:
    """Return the function to codes of an encoder whose logits are rounded, with fewer bits lost.

    An integer has one step for its whole range. A code is the sign alone: its logits can be cut
    off near 0, and the step be small where it matters.
    """
    size = float(np.median(np.abs(logits)))
    scale = _SHARPNESS / size if size else 1.0

    def function(x: Tensor) -> Tensor:
        # Between these bounds, cutting off is a part of the layer before it.
        near = scale * keras.tree.flatten(encoder(x, training=False))[0]
        return pack_bits(tf.maximum(tf.minimum(near, 1.0), -1.0))

    return function


def _check_precision(model: keras.Model) -> None:
    for layer in model._flatten_layers():
        if layer.compute_dtype not in {"float32", None}:
            raise ValueError(
                "model must compute in float32 to be exported; make it anew under that policy and "
                f"give it the weights: set_weights(model.get_weights()). Received: {layer.name!r} "
                f"with dtype policy {layer.dtype_policy.name!r}"
            )


def input_shape(model: keras.Model) -> tuple[int | None, ...]:
    """Return the shape of a model's one input, with any number of examples, or raise."""
    if not model.built:
        raise ValueError(
            "model must be built, so that its input shape is known: call it once, give it an "
            f"Input, or give inputs. Received: model={model.name!r}, not built"
        )
    shape = (model.get_build_config() or {}).get("input_shape") or getattr(
        model, "input_shape", None
    )
    if not isinstance(shape, tuple | list) or not all(
        n is None or isinstance(n, int) for n in shape
    ):
        raise ValueError(f"model must have one input. Received: input shape {shape}")
    return (None, *shape[1:])


def _inputs(inputs: FloatArray | None, spec: tf.TensorSpec) -> FloatArray:
    if inputs is None:
        if None in spec.shape[1:]:
            raise ValueError(
                "inputs must be given for a model whose input size varies. "
                f"Received: inputs=None for input shape {tuple(spec.shape)}"
            )
        return np.random.default_rng(0).random((_EXAMPLES, *spec.shape[1:]), dtype="float32")
    with np.errstate(over="ignore"):
        inputs = check_finite("inputs", check_finite("inputs", inputs).astype("float32"))
    if len(inputs) == 0 or not spec.shape.is_compatible_with(inputs.shape):
        raise ValueError(
            f"inputs must have the shape {tuple(spec.shape)}, with at least one example. "
            f"Received: inputs with shape={inputs.shape}"
        )
    return inputs
