"""Artefacts that are there already, beside the Keras model that they come from."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path

import keras

from keras_ae.export._artefact import Artefact, Function, open_artefact
from keras_ae.export._timing import seconds_of
from keras_ae.export.parity import Parity, measure
from keras_ae.export.signatures import Exportable, prepare
from keras_ae.types import FloatArray

_BATCHES = (1, 256)


def verify(path: str | PathLike[str], model: keras.Model, inputs: FloatArray) -> Parity:
    """Measure how well an artefact agrees with Keras, whoever made it.

    A function in it is compared with the model's of the same name (`encode`, `logits`,
    `reconstruct`, `serve`), or else with the one that has outputs of the same shape and type.
    Nothing is raised because of a difference: it is for you to judge.

    Args:
        path: A .tflite or .onnx file, or the folder of a SavedModel.
        model: The Keras model that it should compute.
        inputs: Real inputs `(n, ...)` to compare on.

    Returns:
        The agreement, measured in the artefact's own runtime.

    Raises:
        ValueError: An argument is not as above, or no function is one of the model's.
        ImportError: The packages of `keras-ae[export]` are not installed.

    Example:

    >>> import keras, keras_ae, tempfile
    >>> x = keras.random.uniform((64, 16))
    >>> hasher = keras_ae.SemanticHasher.dense(16, hidden=(8,), bits=8)
    >>> path = tempfile.mkdtemp() + "/hasher.tflite"
    >>> _ = keras_ae.export.to_tflite(hasher, path, x)
    >>> keras_ae.export.verify(path, hasher, x).equal_codes
    1.0
    """
    artefact = open_artefact(Path(path))
    exportable, functions = _matched(artefact, path, model, inputs)
    return _parity(exportable, functions)


def compare(paths: Sequence[str | PathLike[str]], model: keras.Model, inputs: FloatArray) -> str:
    """Make a table of artefacts of a model: size, agreement with Keras, and speed.

    Args:
        paths: Artefacts, as in `verify`.
        model: The Keras model that they should compute.
        inputs: Real inputs `(n, ...)` to compare on. Times are of batches of 1 and 256 of them.

    Returns:
        A table in Markdown.

    Raises:
        ValueError: As in `verify`.
        ImportError: The packages of `keras-ae[export]` are not installed.

    Example:

    >>> import keras, keras_ae, tempfile
    >>> x = keras.random.uniform((64, 16))
    >>> hasher = keras_ae.SemanticHasher.dense(16, hidden=(8,), bits=8)
    >>> path = tempfile.mkdtemp() + "/hasher.tflite"
    >>> _ = keras_ae.export.to_tflite(hasher, path, x)
    >>> len(keras_ae.export.compare([path], hasher, x).splitlines())
    3
    """
    lines = [
        "| artefact | KiB | equal bits | equal codes | neighbours in common | largest difference "
        "| us at batch 1 | us at batch 256 | runtime |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for path in map(Path, paths):
        artefact = open_artefact(path)
        exportable, functions = _matched(artefact, path, model, inputs)
        parity = _parity(exportable, functions)
        function = next(iter(functions.values()))
        x = exportable.inputs
        times = [1e6 * seconds_of(partial(function, x[:n])) / len(x[:n]) for n in _BATCHES]
        shares = (parity.equal_bits, parity.equal_codes, parity.neighbour_overlap)
        cells = [
            f"{path.parent.name}/{path.name}" if path.name.isdecimal() else path.name,
            f"{artefact.size / 1024:.0f}",
            *("" if share is None else f"{share:.2%}" for share in shares),
            "" if parity.max_abs_error is None else f"{parity.max_abs_error:.1e}",
            *(f"{time:.1f}" for time in times),
            artefact.runtime,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _matched(
    artefact: Artefact, path: str | PathLike[str], model: keras.Model, inputs: FloatArray
) -> tuple[Exportable, dict[str, Function]]:
    """Return the model's functions that the artefact has, and the artefact's by the same names."""
    whole = prepare(model, inputs, None)
    found = {}
    for name, function in artefact.functions.items():
        if name in whole.expected:
            found[name] = function
            continue
        output = function(whole.inputs[:1])
        for candidate, value in whole.expected.items():
            if (output.shape[1:], output.dtype) == (value.shape[1:], value.dtype):
                found.setdefault(candidate, function)
                break
    if not found:
        raise ValueError(
            f"path must have a function that returns what one of {tuple(whole.expected)} does. "
            f"Received: path={str(path)!r} with {tuple(artefact.functions)}"
        )
    signatures = {name: s for name, s in whole.signatures.items() if name in found}
    return replace(whole, signatures=signatures), {name: found[name] for name in signatures}


def _parity(exportable: Exportable, functions: dict[str, Function]) -> Parity:
    x = exportable.inputs
    actual = {name: function(x) for name, function in functions.items()}
    first = next(iter(functions.values()))
    return measure(exportable, actual, seconds_of(partial(first, x)), allowed=None)
