"""Export to a TensorFlow SavedModel, for TF Serving."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from os import PathLike
from pathlib import Path

import keras
import numpy as np

from keras_ae._files import replacing
from keras_ae.export import _saved_model_process
from keras_ae.export.export_error import ExportError
from keras_ae.export.export_result import ExportResult
from keras_ae.export.parity import measure
from keras_ae.export.signatures import Exportable, prepare
from keras_ae.types import FloatArray


def to_saved_model(
    model: keras.Model,
    path: str | PathLike[str],
    inputs: FloatArray | None = None,
    signatures: Sequence[str] | None = None,
) -> ExportResult:
    """Write a SavedModel folder, and compare it with Keras in a process of its own.

    The functions are `encode`, `logits` and `reconstruct` for a `SemanticHasher`, `encode` and
    `reconstruct` for another `Autoencoder`, `serve` for any other model; the first is also
    `serving_default`. Each takes `x`, float32 `(n, ...)` with any n. Noise and penalties are
    absent.

    Args:
        model: A built Keras model with one input and one output.
        path: Folder to write. A SavedModel that is there already is replaced as a whole.
        inputs: Real inputs `(n, ...)` to compare on; 256 uniform random ones in [0, 1) if `None`.
        signatures: Names of the functions to write, or `None` for all.

    Returns:
        What was written and how well it agrees.

    Raises:
        ValueError: An argument is not as above, or `path` is something else than a SavedModel.
        ExportError: The result differs from Keras. What was at `path` is left as it was.

    Example:

    >>> import keras, keras_ae, tempfile
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> folder = tempfile.mkdtemp()
    >>> keras_ae.export.to_saved_model(model, folder + "/model").signatures
    ('serve',)
    """
    exportable = prepare(model, inputs, signatures)
    path = Path(path)
    if path.exists() and not (path / "saved_model.pb").is_file():
        raise ValueError(
            "path must be a SavedModel to replace, or not exist. "
            f"Received: path={str(path)!r}, which is something else"
        )
    with replacing(path) as temporary:
        write_saved_model(exportable, temporary)
        actual, seconds, operators = _run(temporary, exportable)
        parity = measure(exportable, actual, seconds)
        size = sum(file.stat().st_size for file in temporary.rglob("*") if file.is_file())
    return ExportResult(path, size, tuple(exportable.signatures), operators, parity)


def write_saved_model(exportable: Exportable, path: Path) -> None:
    """Write a SavedModel without comparing it: the step that TFLite export begins with too."""
    archive = keras.export.ExportArchive()
    for name in exportable.signatures:
        archive.add_endpoint(name, exportable.traced(name))
    archive.write_out(str(path), verbose=False)


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
