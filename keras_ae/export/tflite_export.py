"""Export to TensorFlow Lite (LiteRT), for phones."""

import tempfile
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from tensorflow.lite.python import schema_py_generated as schema

from keras_ae._files import replacing
from keras_ae._optional import optional_import
from keras_ae.export._timing import seconds_of
from keras_ae.export.export_error import ExportError
from keras_ae.export.export_result import ExportResult
from keras_ae.export.parity import measure
from keras_ae.export.saved_model_export import write_saved_model
from keras_ae.export.signatures import Exportable, prepare
from keras_ae.types import FloatArray


def to_tflite(
    model: keras.Model,
    path: str | PathLike[str],
    inputs: FloatArray | None = None,
    signatures: Sequence[str] | None = None,
) -> ExportResult:
    """Write a float32 .tflite file of builtin operators, and compare it with Keras in LiteRT.

    Each function takes `x`, float32 `(n, ...)` with any n. Noise and penalties are absent.

    Args:
        model: A built Keras model with one input and one output.
        path: File to write; one that is there already is replaced.
        inputs: Real inputs `(n, ...)` to compare on; 256 uniform random ones in [0, 1) if `None`.
        signatures: Names of the functions to write, which share their weights; see
            `to_saved_model` for what there is. `None` for the one that queries need: `encode`, or
            `serve` for a model without it.

    Returns:
        What was written and how well it agrees.

    Raises:
        ValueError: An argument is not as above.
        ExportError: The model needs more than builtin operators, or the result differs from Keras.
            No file is written then, and one that was there is left as it was.
        ImportError: The packages of `keras-ae[export]` are not installed.

    Example:

    >>> import keras, keras_ae, tempfile
    >>> hasher = keras_ae.SemanticHasher.dense(16, hidden=(8,), bits=8)
    >>> result = keras_ae.export.to_tflite(hasher, tempfile.mkdtemp() + "/hasher.tflite")
    >>> result.signatures, result.parity.equal_bits
    (('encode',), 1.0)
    """
    interpreters = optional_import("ai_edge_litert.interpreter", "export")
    exportable = prepare(model, inputs, signatures, default=1)
    path = Path(path)
    with replacing(path) as temporary:
        content = _convert(exportable)
        operators = _operators(content)
        actual, seconds = _run(interpreters.Interpreter(model_content=content), exportable)
        parity = measure(exportable, actual, seconds)
        temporary.write_bytes(content)
    return ExportResult(path, len(content), tuple(exportable.signatures), operators, parity)


def _convert(exportable: Exportable) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write_saved_model(exportable, Path(folder))
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=list(exportable.signatures)
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        try:
            content: bytes = converter.convert()
        except Exception as error:  # The converter raises many types, ConverterError among them.
            raise ExportError(
                f"{exportable.model.name!r} cannot be converted to TFLite's builtins: {error}"
            ) from error
    return content


def _operators(content: bytes) -> tuple[str, ...]:
    names = {number: name for name, number in vars(schema.BuiltinOperator).items()}
    codes = schema.ModelT.InitFromPackedBuf(content, 0).operatorCodes
    operators = {names[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in codes}
    # Variables in a .tflite file start uninitialised: the model runs and returns a constant.
    refused = operators & {"CUSTOM", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE"}
    if refused:
        raise ExportError(
            f"The converted model has operators that a phone lacks: {sorted(refused)}"
        )
    return tuple(sorted(operators))


def _run(interpreter: Any, exportable: Exportable) -> tuple[dict[str, np.ndarray], float]:
    runners = {name: interpreter.get_signature_runner(name) for name in exportable.signatures}
    outputs = {
        name: runner(x=exportable.inputs)[exportable.signatures[name].output]
        for name, runner in runners.items()
    }
    first = next(iter(runners.values()))
    return outputs, seconds_of(lambda: first(x=exportable.inputs))
