"""Export to ONNX, for onnxruntime and browsers."""

import json
import tempfile
from os import PathLike
from pathlib import Path
from typing import Any

import keras
import numpy as np

from keras_ae._checks import check_choice
from keras_ae._files import replacing
from keras_ae._optional import optional_import
from keras_ae.export._calibration import prepare_calibrated
from keras_ae.export._flatbuffer import SMALL, of_layer
from keras_ae.export._timing import seconds_of
from keras_ae.export.artefact_metadata import KEY, describe
from keras_ae.export.export_error import ExportError
from keras_ae.export.export_result import ExportResult
from keras_ae.export.parity import measure
from keras_ae.export.signatures import Exportable
from keras_ae.types import FloatArray

OPSETS = range(13, 19)
PRECISIONS = ("dynamic", "static")


def to_onnx(
    model: keras.Model,
    path: str | PathLike[str],
    inputs: FloatArray | None = None,
    signature: str | None = None,
    *,
    opset: int = 17,
    quantize: str | None = None,
    calibration: FloatArray | None = None,
    preprocessing: str = "",
) -> ExportResult:
    """Write a .onnx file, and compare it with Keras in onnxruntime.

    The graph takes `x`, float32 `(n, ...)` with any n. Noise and penalties are absent. The graph
    is checked as a whole by `onnx.checker`, with the shapes it infers. What the file says of
    itself (see `read_metadata`) stands in its `metadata_props`.

    Args:
        model: A Keras model with one input and one output; if it is not built, give `inputs`.
        path: File to write; one that is there already is replaced.
        inputs: Real inputs `(n, ...)` to compare on. If `None`, the first 256 of `calibration`, or
            256 uniform random ones in [0, 1).
        signature: Name of the function to write; see `to_saved_model` for what there is. `None`
            for the one that queries need: `encode`, or `serve` for a model without it.
        opset: Version of the operators, an integer from 13 to 18.
        quantize: `None` for float32; `"dynamic"` for kernels in int8, with activations quantized
            as they come, of a model without convolutions; `"static"` for kernels and activations
            in int8. Judge it as in `to_tflite`.
        calibration: For `"static"` alone, inputs `(n, ...)` that show the range of the activations:
            some hundred real ones, of which 500 are used.
        preprocessing: How raw data become inputs, in words, for whoever has the file alone.

    Returns:
        What was written and how well it agrees.

    Raises:
        ValueError: An argument is not as above.
        ExportError: The model needs an operator that ONNX lacks, or the result differs from Keras
            by more than its precision explains. No file is written then, and one that was there is
            left as it was.
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
    if isinstance(opset, bool) or opset not in OPSETS:
        raise ValueError(
            f"opset must be an integer from {OPSETS[0]} to {OPSETS[-1]}. Received: opset={opset!r}"
        )
    if quantize is not None:
        check_choice("quantize", quantize, PRECISIONS)
    names = None if signature is None else (signature,)
    exportable, calibration = prepare_calibrated(
        model, inputs, names, calibration, quantize, calibrated="static"
    )
    allowed = "rounding" if quantize is None else "quantization"
    path = Path(path)
    with replacing(path) as temporary:
        graph = _convert(exportable, opset)
        if quantize is not None:
            graph = _quantized(graph, calibration)
            _check_quantized(graph, exportable)
        content = graph.SerializeToString()
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        actual, seconds = _run(session, exportable)
        parity = measure(exportable, actual, seconds, allowed=allowed)
        precision = quantize or "float32"
        entry = graph.metadata_props.add()
        entry.key = KEY
        described = describe(exportable, parity, precision, content, preprocessing, opset=opset)
        entry.value = json.dumps(described, indent=1)
        content = graph.SerializeToString()
        temporary.write_bytes(content)
    operators = tuple(sorted({node.op_type for node in graph.graph.node}))
    return ExportResult(path, len(content), tuple(exportable.signatures), operators, parity)


def _convert(exportable: Exportable, opset: int) -> Any:
    tf2onnx = optional_import("tf2onnx", "export")
    onnx = optional_import("onnx", "export")
    (name,) = exportable.signatures
    function = exportable.traced(name)
    try:
        graph, _ = tf2onnx.convert.from_function(
            function,
            input_signature=[exportable.spec],
            opset=opset,
            custom_op_handlers={"Erfc": (_erfc, [])},
        )
        _keep_constants(graph, function.get_concrete_function())
        # The converter only logs an operator that it does not know, and writes an invalid file.
        onnx.checker.check_model(graph, full_check=True)
        _check_draws(graph)
    except ExportError:
        raise
    except Exception as error:  # Both raise many types.
        raise ExportError(
            f"{exportable.model.name!r} cannot be converted to ONNX opset {opset}: {error}"
        ) from error
    return graph


def _check_draws(graph: Any) -> None:
    for node in graph.graph.node:
        if node.op_type.startswith("Random") or node.op_type in {"Bernoulli", "Multinomial"}:
            raise ExportError(
                f"The converted model draws random numbers at inference: {node.op_type} at "
                f"{node.name!r}"
            )


def _keep_constants(graph: Any, function: Any) -> None:
    """Make constants of inputs that are tensors of a layer's own, as Normalization has."""
    numpy_helper = optional_import("onnx.numpy_helper", "export")
    held = {inner.name: outer for outer, inner in function.graph.captures}
    used = {name for node in graph.graph.node for name in node.input}
    for given in [given for given in graph.graph.input if given.name in held]:
        if given.name in used:
            value = np.asarray(held[given.name])
            graph.graph.initializer.append(numpy_helper.from_array(value, given.name))
        graph.graph.input.remove(given)


def _erfc(context: Any, node: Any, name: str, _: Any) -> None:
    """Write the operator of Keras's exact `gelu`, which ONNX lacks, as `1 - erf(x)`."""
    dtype, shape = context.get_dtype(node.output[0]), context.get_shape(node.output[0])
    inputs, outputs = list(node.input), list(node.output)
    context.remove_node(node.name)
    erf = context.make_node("Erf", inputs, dtypes=[dtype], shapes=[shape])
    one = context.make_const(f"{name}_one", np.array(1.0, "float32"))
    context.make_node(
        "Sub",
        [one.output[0], erf.output[0]],
        name=name,
        outputs=outputs,
        dtypes=[dtype],
        shapes=[shape],
    )


def _quantized(graph: Any, calibration: FloatArray | None) -> Any:
    quantization = optional_import("onnxruntime.quantization", "export")
    onnx = optional_import("onnx", "export")

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        if calibration is None:
            quantization.quantize_dynamic(graph, path, op_types_to_quantize=["MatMul", "Gemm"])
        else:
            # As few roundings as there can be: products and sums fused, and their results in float.
            kernels = ["Conv", "Gemm", "MatMul"]
            preprocess = optional_import("onnxruntime.quantization.shape_inference", "export")
            onnx.save(graph, path)
            preprocess.quant_pre_process(path, path, skip_symbolic_shape=True)
            quantization.quantize_static(
                path,
                path,
                _Reader(calibration),
                op_types_to_quantize=kernels,
                per_channel=True,
                extra_options={"OpTypesToExcludeOutputQuantization": kernels},
            )
        return onnx.load(path)


class _Reader:
    """Examples one by one, as onnxruntime asks for them."""

    def __init__(self, examples: FloatArray) -> None:
        self.examples = iter(np.split(examples, len(examples)))

    def get_next(self) -> dict[str, FloatArray] | None:
        example = next(self.examples, None)
        return None if example is None else {"x": example}


def _check_quantized(graph: Any, exportable: Exportable) -> None:
    numpy_helper = optional_import("onnx.numpy_helper", "export")
    kernels = {
        initializer.name: numpy_helper.to_array(initializer)
        for initializer in graph.graph.initializer
    }
    for node in graph.graph.node:
        for name in node.input:
            kernel = kernels.get(name)
            # Of one axis are biases, and the scales of units.
            if kernel is None or kernel.ndim < 2 or kernel.size < SMALL:
                continue
            if kernel.dtype == "float32":
                origin = of_layer(node.name, exportable.layer_names())
                raise ExportError(
                    f"The model is not quantized: {node.op_type}{origin} has a float32 kernel of "
                    f"shape {kernel.shape}"
                )


def _run(session: Any, exportable: Exportable) -> tuple[dict[str, np.ndarray], float]:
    ((name, signature),) = exportable.signatures.items()
    feed = {"x": exportable.inputs}
    (output,) = session.run([signature.output], feed)
    return {name: output}, seconds_of(lambda: session.run([signature.output], feed))
