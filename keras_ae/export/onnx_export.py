"""Export to ONNX, for onnxruntime and browsers."""

from os import PathLike
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_ae._files import replacing
from keras_ae._optional import optional_import
from keras_ae.export._timing import seconds_of
from keras_ae.export.export_error import ExportError
from keras_ae.export.export_result import ExportResult
from keras_ae.export.parity import measure
from keras_ae.export.signatures import Exportable, prepare
from keras_ae.types import FloatArray

_OPSET = 17


def to_onnx(
    model: keras.Model,
    path: str | PathLike[str],
    inputs: FloatArray | None = None,
    signature: str | None = None,
) -> ExportResult:
    """Write a float32 .onnx file, opset 17, and compare it with Keras in onnxruntime.

    The graph takes `x`, float32 `(n, ...)` with any n. Noise and penalties are absent.

    Args:
        model: A built Keras model with one input and one output.
        path: File to write; one that is there already is replaced.
        inputs: Real inputs `(n, ...)` to compare on; 256 uniform random ones in [0, 1) if `None`.
        signature: Name of the function to write; see `to_saved_model` for what there is. `None`
            for the one that queries need: `encode`, or `serve` for a model without it.

    Returns:
        What was written and how well it agrees.

    Raises:
        ValueError: An argument is not as above.
        ExportError: The model needs an operator that ONNX lacks, or the result differs from Keras.
            No file is written then, and one that was there is left as it was.
        ImportError: The packages of `keras-ae[export]` are not installed.

    Example:

    >>> import keras, keras_ae, tempfile
    >>> hasher = keras_ae.SemanticHasher.dense(16, hidden=(8,), bits=8)
    >>> result = keras_ae.export.to_onnx(hasher, tempfile.mkdtemp() + "/hasher.onnx")
    >>> result.signatures, result.parity.equal_bits
    (('encode',), 1.0)
    """
    onnxruntime = optional_import("onnxruntime", "export")
    if signature is not None and not isinstance(signature, str):
        raise ValueError(f"signature must be one name or None. Received: signature={signature!r}")
    names = None if signature is None else (signature,)
    exportable = prepare(model, inputs, names, default=1)
    path = Path(path)
    with replacing(path) as temporary:
        graph = _convert(exportable)
        content = graph.SerializeToString()
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        actual, seconds = _run(session, exportable)
        parity = measure(exportable, actual, seconds)
        temporary.write_bytes(content)
    operators = tuple(sorted({node.op_type for node in graph.graph.node}))
    return ExportResult(path, len(content), tuple(exportable.signatures), operators, parity)


def _convert(exportable: Exportable) -> Any:
    tf2onnx = optional_import("tf2onnx", "export")
    onnx = optional_import("onnx", "export")
    (name,) = exportable.signatures
    try:
        graph, _ = tf2onnx.convert.from_function(
            exportable.traced(name), input_signature=[exportable.spec], opset=_OPSET
        )
        # The converter only logs an operator that it does not know, and writes an invalid file.
        onnx.checker.check_model(graph, full_check=True)
    except Exception as error:  # Both raise many types.
        raise ExportError(
            f"{exportable.model.name!r} cannot be converted to ONNX opset {_OPSET}: {error}"
        ) from error
    return graph


def _run(session: Any, exportable: Exportable) -> tuple[dict[str, np.ndarray], float]:
    ((name, signature),) = exportable.signatures.items()
    feed = {"x": exportable.inputs}
    (output,) = session.run([signature.output], feed)
    return {name: output}, seconds_of(lambda: session.run([signature.output], feed))
