"""Export to a TensorFlow SavedModel, for TF Serving."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from keras_ae._checks import check_integer
from keras_ae._files import replacing
from keras_ae._optional import optional_import
from keras_ae.export import _saved_model_process
from keras_ae.export._saved_model_process import WARMUP
from keras_ae.export.artefact_metadata import SAVED_MODEL_FILE, describe
from keras_ae.export.export_error import ExportError
from keras_ae.export.export_result import ExportResult
from keras_ae.export.parity import measure
from keras_ae.export.signatures import Exportable, prepare
from keras_ae.types import FloatArray

# Examples in the larger of two requests: a batch as a server makes them.
_WARMUP = 32


def to_saved_model(
    model: keras.Model,
    path: str | PathLike[str],
    inputs: FloatArray | None = None,
    signatures: Sequence[str] | None = None,
    *,
    version: int | None = None,
    preprocessing: str = "",
) -> ExportResult:
    """Write a version of a model for TF Serving, and compare it with Keras in a process of its own.

    The SavedModel stands in `path/<version>/`, and appears there whole: a server that watches
    `path` never sees half a model. The functions are `encode`, `logits` and `reconstruct` for a
    `SemanticHasher`, `encode` and `reconstruct` for another `Autoencoder`, `serve` for any other
    model; the first is also `serving_default`. Each takes `x`, float32 `(n, ...)` with any n.
    Noise and penalties are absent.

    `assets.extra/` has requests from the inputs by which a server warms up before it answers,
    and `keras_ae.json`, what the model says of itself (see `read_metadata`).

    Args:
        model: A Keras model with one input and one output; if it is not built, give `inputs`.
        path: Folder of the versions, which is made if need be.
        inputs: Real inputs `(n, ...)` to compare on; 256 uniform random ones in [0, 1) if `None`.
        signatures: Names of the functions to write, or `None` for all.
        version: An integer >= 1 that is not there yet; the one after the highest if `None`.
        preprocessing: How raw data become inputs, in words, for whoever has the model alone.

    Returns:
        What was written and how well it agrees; its `path` is that of the version.

    Raises:
        ValueError: An argument is not as above.
        ExportError: The result differs from Keras. What was at `path` is left as it was.
        ImportError: The packages of `keras-ae[export]` are not installed.

    Example:

    >>> import keras, keras_ae, tempfile
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> folder = tempfile.mkdtemp() + "/model"
    >>> keras_ae.export.to_saved_model(model, folder).path.name
    '1'
    """
    optional_import("tensorflow_serving.apis", "export")
    exportable = prepare(model, inputs, signatures)
    path = Path(path)
    number = _next_version(path, version)
    is_new = not path.exists()
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"path must lie in an existing, writable folder. Received: path={str(path)!r}"
        ) from error
    try:
        with replacing(path / str(number)) as temporary:
            write_saved_model(exportable, temporary)
            _write_warmup(exportable, temporary / WARMUP)
            actual, seconds, operators = _run(temporary, exportable)
            parity = measure(exportable, actual, seconds)
            described = describe(exportable, parity, "float32", b"", preprocessing, version=number)
            (temporary / SAVED_MODEL_FILE).write_text(json.dumps(described, indent=1))
            size = sum(file.stat().st_size for file in temporary.rglob("*") if file.is_file())
    finally:
        if is_new and not any(path.iterdir()):
            path.rmdir()
    signature_names = tuple(exportable.signatures)
    return ExportResult(path / str(number), size, signature_names, operators, parity)


def _next_version(path: Path, version: int | None) -> int:
    if version is not None:
        check_integer("version", version, minimum=1)
    if path.exists() and (not path.is_dir() or (path / "saved_model.pb").exists()):
        raise ValueError(
            "path must be a folder of versions, or not exist. "
            f"Received: path={str(path)!r}, which is something else"
        )
    there = [int(p.name) for p in path.iterdir() if p.name.isdecimal()] if path.exists() else []
    if version in there:
        raise ValueError(
            f"version must not be there yet. Received: version={version}, with {sorted(there)} "
            f"in path={str(path)!r}"
        )
    return max(there, default=0) + 1 if version is None else version


def _write_warmup(exportable: Exportable, path: Path) -> None:
    """Write one example and all of a batch for each function, in TF Serving's format."""
    apis = "tensorflow_serving.apis"
    prediction_log_pb2 = optional_import(f"{apis}.prediction_log_pb2", "export")
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for name in ("serving_default", *exportable.signatures):
            for count in (1, min(_WARMUP, len(exportable.inputs))):
                log = prediction_log_pb2.PredictionLog()
                request = log.predict_log.request
                request.model_spec.name = exportable.model.name
                request.model_spec.signature_name = name
                examples = tf.make_tensor_proto(exportable.inputs[:count])
                request.inputs["x"].CopyFrom(examples)
                writer.write(log.SerializeToString())


def write_saved_model(exportable: Exportable, path: Path) -> None:
    """Write a SavedModel without comparing it: the step that TFLite export begins with too."""
    archive = keras.export.ExportArchive()
    for name in exportable.signatures:
        archive.add_endpoint(name, exportable.traced(name))
    try:
        archive.write_out(str(path), verbose=False)
    except tf.errors.OpError as error:  # As on a full disk.
        raise OSError(
            f"A SavedModel cannot be written to {str(path)!r}: {error.message}"
        ) from error


def _run(
    path: Path, exportable: Exportable
) -> tuple[dict[str, np.ndarray], float, tuple[str, ...]]:
    with tempfile.TemporaryDirectory() as folder:
        request, response = Path(folder, "request.npz"), Path(folder, "response.npz")
        np.savez(request, x=exportable.inputs, signatures=np.array(list(exportable.signatures)))
        # -P: the script's own folder must not shadow anything that TensorFlow imports.
        command = [sys.executable, "-P", _saved_model_process.__file__]
        process = subprocess.run(
            [*command, str(path), str(request), str(response)],
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
            capture_output=True,
            text=True,
            check=False,
        )
        if process.returncode:
            raise ExportError(f"The SavedModel does not run:\n{process.stderr[-2000:]}")
        with np.load(response) as arrays:
            outputs = {name: arrays[f"output_{name}"] for name in exportable.signatures}
            return outputs, float(arrays["seconds"]), tuple(map(str, arrays["operators"]))
