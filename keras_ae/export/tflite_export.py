"""Export to TensorFlow Lite (LiteRT), for phones."""

import json
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from keras_ae._checks import check_choice, check_integer
from keras_ae._files import replacing
from keras_ae._optional import optional_import
from keras_ae.export import _flatbuffer
from keras_ae.export._calibration import prepare_calibrated
from keras_ae.export._tflite_search import Searchable, add_search, check_searchable
from keras_ae.export._timing import seconds_of
from keras_ae.export.artefact_metadata import describe
from keras_ae.export.export_error import ExportError
from keras_ae.export.export_result import ExportResult
from keras_ae.export.parity import measure
from keras_ae.export.saved_model_export import write_saved_model
from keras_ae.export.signatures import Exportable
from keras_ae.types import Codes, FloatArray

PRECISIONS = ("float32", "float16", "dynamic", "int8")


def to_tflite(
    model: keras.Model,
    path: str | PathLike[str],
    inputs: FloatArray | None = None,
    signatures: Sequence[str] | None = None,
    *,
    quantize: str = "float32",
    calibration: FloatArray | None = None,
    batch: int | None = None,
    target_runtime: str = "2.16",
    preprocessing: str = "",
    index: Searchable | None = None,
    k: int = 10,
) -> ExportResult:
    """Write a .tflite file of builtin operators, and compare it with Keras in LiteRT.

    Each function takes `x`, float32 `(n, ...)`. Noise and penalties are absent. Before there is a
    file, its bytes are read: it has only operators that `target_runtime` has, no variables, every
    kernel in the precision asked for, and as many constants as the model has weights. What the
    file says of itself (see `read_metadata`) stands in it and in `<name>.json` beside it.

    Args:
        model: A Keras model with one input and one output; if it is not built, give `inputs`.
        path: File to write; one that is there already is replaced.
        inputs: Real inputs `(n, ...)` to compare on. If `None`, the first 256 of `calibration`, or
            256 uniform random ones in [0, 1).
        signatures: Names of the functions to write, which share their weights; see
            `to_saved_model` for what there is. `None` for the one that queries need: `encode`, or
            `serve` for a model without it.
        quantize: `"float32"`; `"float16"` for kernels in half the size; `"dynamic"` for kernels of
            1024 values or more in int8, of dense layers with one scale each for
            `target_runtime="2.16"`; `"int8"` for kernels and activations in int8, the fastest on a
            phone. Judge it by `parity.neighbour_overlap` and `parity.equal_codes`, and make the
            index with the file that will encode its queries: `metadata["variant"]` names it.
        calibration: For `"int8"` alone, inputs `(n, ...)` that show the range of the activations:
            some hundred real ones, of which 500 are used.
        batch: 1 for a file that takes one example at a time, as some accelerators and browsers
            need; `None` for any number.
        target_runtime: The oldest runtime that must run it: `"2.16"` for TensorFlow Lite 2.16, or
            `"litert"` for the version that is installed here.
        preprocessing: How raw data become inputs, in words, for whoever has the file alone.
        index: A `HammingIndex` of 1 to 250,000 codes, of at most 248 bits and with ids below 2^31,
            to put into the file, at `bits + 8` bytes a code. The file then has the signature
            `search`, from `x` to `ids` and `distances`, int32 `(n, k)`: what the index finds for
            the codes of `encode`. Only a `SemanticHasher` can have it: the signature ends in -1
            and 1, not in the packed bits of `PackBits`. A larger index is faster, and smaller,
            beside the file.
        k: How many neighbours `search` returns, >= 1; all of an index that has fewer.

    Returns:
        What was written and how well it agrees.

    Raises:
        ValueError: An argument is not as above.
        ExportError: The target cannot run the model, or the result differs from Keras by more than
            its precision explains. It names the operator and the layer. No file is written then,
            and one that was there is left as it was.
        ImportError: The packages of `keras-ae[export]` are not installed.

    Example:

    >>> import keras, keras_ae, tempfile
    >>> hasher = keras_ae.SemanticHasher.dense(16, hidden=(8,), bits=8)
    >>> result = keras_ae.export.to_tflite(hasher, tempfile.mkdtemp() + "/hasher.tflite")
    >>> result.signatures, result.parity.equal_bits
    (('encode',), 1.0)

    Reference:
        Jacob, Kligys, Chen, Zhu, Tang, Howard, Adam, Kalenichenko: Quantization and Training of
        Neural Networks for Efficient Integer-Arithmetic-Only Inference, 2018.
    """
    interpreters = optional_import("ai_edge_litert.interpreter", "export")
    check_choice("quantize", quantize, PRECISIONS)
    check_choice("target_runtime", target_runtime, _flatbuffer.TARGETS)
    if batch is not None and (type(batch) is not int or batch != 1):
        raise ValueError(f"batch must be 1 or None. Received: batch={batch!r}")
    k = check_integer("k", k, minimum=1)
    names = None if signatures is None else tuple(signatures)
    exportable, calibration = prepare_calibrated(
        model, inputs, names, calibration, quantize, calibrated="int8", batch=batch
    )
    if index is not None:
        check_searchable(index, exportable)
    allowed = "rounding" if quantize == "float32" else "quantization"
    path = Path(path)
    with (
        replacing(path.with_name(path.name + ".json")) as sidecar,
        replacing(path) as temporary,
    ):
        content = _convert(exportable, quantize, calibration, target_runtime)
        file = _flatbuffer.parse(content)
        _flatbuffer.check(
            file, quantize, target_runtime, exportable.layer_names(), exportable.sizes()
        )
        try:
            actual, seconds = _run(interpreters.Interpreter(model_content=content), exportable)
        except RuntimeError as error:
            raise ExportError(f"LiteRT cannot run {exportable.model.name!r}: {error}") from error
        parity = measure(exportable, actual, seconds, allowed=allowed)
        more: dict[str, Any] = {"target_runtime": target_runtime}
        if index is not None:
            more["search"] = add_search(file, index, k)
        described = describe(exportable, parity, quantize, content, preprocessing, **more)
        variant = described["variant"]
        if index is not None and index.variant not in {None, variant}:
            raise ValueError(
                f"index must be made of the codes of this file, variant={variant!r}. "
                f"Received: index with variant={index.variant!r}"
            )
        text = json.dumps(described, indent=1)
        content = _flatbuffer.with_metadata(file, text.encode())
        # The bytes that are written are those that run.
        interpreter = interpreters.Interpreter(model_content=content)
        again, _ = _run(interpreter, exportable)
        measure(exportable, again, seconds, allowed=allowed)
        if index is not None:
            _check_search(interpreter, exportable, again["encode"], index, k)
        temporary.write_bytes(content)
        sidecar.write_text(text)
    operators = _flatbuffer.operators(file)
    names = (*exportable.signatures, *([] if index is None else ["search"]))
    return ExportResult(path, len(content), names, operators, parity)


def _convert(
    exportable: Exportable, quantize: str, calibration: FloatArray | None, target: str
) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        write_saved_model(exportable, Path(folder))
        converter = tf.lite.TFLiteConverter.from_saved_model(
            folder, signature_keys=list(exportable.signatures)
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
        if quantize != "float32":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if quantize == "dynamic" and target == "2.16":
            # With a scale for each output, the operator is of a version that 2.16 lacks.
            converter._experimental_disable_per_channel_quantization_for_dense_layers = True
        if calibration is not None:
            converter.representative_dataset = lambda: _representative(exportable, calibration)
        try:
            with warnings.catch_warnings():
                # The calibrator runs an interpreter that TensorFlow itself calls out of date.
                warnings.filterwarnings("ignore", r"\s*Warning: tf\.lite\.Interpreter", UserWarning)
                content: bytes = converter.convert()
        except Exception as error:  # The converter raises many types, ConverterError among them.
            origin = _flatbuffer.of_layer(str(error), exportable.layer_names())
            raise ExportError(
                f"{exportable.model.name!r} cannot be converted to TFLite's builtins"
                f"{origin and f', because of an operator{origin}'}: {error}"
            ) from error
    return content


def _representative(
    exportable: Exportable, calibration: FloatArray
) -> Iterator[tuple[str, dict[str, FloatArray]]]:
    # Each signature is calibrated on its own: one that is left out would silently stay float.
    for name in exportable.signatures:
        for i in range(len(calibration)):
            yield name, {"x": calibration[i : i + 1]}


def _run(interpreter: Any, exportable: Exportable) -> tuple[dict[str, np.ndarray], float]:
    parts = _parts(exportable)
    runners = {name: interpreter.get_signature_runner(name) for name in exportable.signatures}
    outputs = {
        name: np.concatenate([runner(x=part)[exportable.signatures[name].output] for part in parts])
        for name, runner in runners.items()
    }
    first = next(iter(runners.values()))
    return outputs, seconds_of(lambda: [first(x=part) for part in parts])


def _parts(exportable: Exportable) -> list[FloatArray]:
    step = exportable.spec.shape[0] or len(exportable.inputs)
    return [exportable.inputs[i : i + step] for i in range(0, len(exportable.inputs), step)]


def _check_search(
    interpreter: Any, exportable: Exportable, codes: Codes, index: Searchable, k: int
) -> None:
    runner = interpreter.get_signature_runner("search")
    found = [runner(x=part) for part in _parts(exportable)]
    wanted = index.search(codes, k)
    for name in ("ids", "distances"):
        actual = np.concatenate([outputs[name] for outputs in found])
        if not np.array_equal(actual, getattr(wanted, name)):
            raise ExportError(f"The exported signature 'search' has other {name} than the index")
