"""What an artefact says about itself."""

import hashlib
import json
from dataclasses import asdict
from importlib.metadata import version
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from keras import ops

from keras_ae._optional import optional_import
from keras_ae.export import _flatbuffer
from keras_ae.export.parity import Parity
from keras_ae.export.signatures import Exportable

KEY = "keras_ae"
SAVED_MODEL_FILE = Path("assets.extra", "keras_ae.json")


def read_metadata(path: str | PathLike[str]) -> dict[str, Any]:
    """Read what `to_tflite`, `to_onnx` and `to_saved_model` write into their artefacts.

    It tells what a program needs that has the file alone:

    - `variant`: names the function from inputs to codes. An index is searched with queries of the
      variant that it was made with. It is the same for all float32 artefacts of a model.
    - `bits`, `bit_order` (`"little"`), `threshold`: bit j of a code is `logit_j > threshold`; the
      three are `null` for a model without codes.
    - `input`: its `name`, `shape`, `dtype`, and the `range` of the inputs compared on.
    - `preprocessing`: what was said of the way from raw data to inputs.
    - `signatures`: the output of each function, by name.
    - `search`, in a .tflite file with an index: how many `codes` it has, how many neighbours `k`
      the signature of that name returns, and its `outputs`.
    - `quantize`, `batch`, `versions`, and the `parity` with Keras.

    Beside a TFLite file, the same stands in `<name>.json`.

    Args:
        path: A .tflite or .onnx file, or a SavedModel's folder.

    Raises:
        ValueError: There is no artefact of this package at `path`.

    Example:

    >>> import keras_ae, tempfile
    >>> hasher = keras_ae.SemanticHasher.dense(16, hidden=(8,), bits=8)
    >>> path = tempfile.mkdtemp() + "/hasher.tflite"
    >>> _ = keras_ae.export.to_tflite(hasher, path, preprocessing="pixels / 255")
    >>> described = keras_ae.export.read_metadata(path)
    >>> described["bits"], described["input"]["shape"], described["preprocessing"]
    (8, [None, 16], 'pixels / 255')
    """
    path = Path(path)
    try:
        text = _text(path)
        result = json.loads(text) if text else None
    except Exception as error:  # Parsers of foreign bytes raise many types.
        raise ValueError(
            f"path must be an artefact of keras_ae.export. Received: path={str(path)!r}: {error}"
        ) from error
    if not isinstance(result, dict):
        raise ValueError(
            "path must be an artefact of keras_ae.export. "
            f"Received: path={str(path)!r}, which says nothing about itself"
        )
    return result


def describe(
    exportable: Exportable,
    parity: Parity,
    quantize: str,
    content: bytes,
    preprocessing: str,
    **more: Any,
) -> dict[str, Any]:
    """Return the metadata of an artefact, which has this content without them."""
    bits = exportable.bits
    return {
        "variant": _variant(exportable, quantize, content),
        "bits": bits,
        "bit_order": None if bits is None else "little",
        "threshold": None if bits is None else 0.0,
        "input": {
            "name": exportable.spec.name,
            "shape": exportable.spec.shape.as_list(),
            "dtype": exportable.spec.dtype.name,
            "range": [float(exportable.inputs.min()), float(exportable.inputs.max())],
        },
        "preprocessing": preprocessing,
        "signatures": {name: s.output for name, s in exportable.signatures.items()},
        "quantize": quantize,
        "batch": exportable.spec.shape[0],
        "versions": {name: version(name) for name in ("keras-ae", "keras", "tensorflow")},
        "parity": asdict(parity),
        **more,
    }


def _variant(exportable: Exportable, quantize: str, content: bytes) -> str:
    """Return a name of the function from inputs to codes: of its weights and layers.

    In less than float32 the function is what the file says it is, and of its content.
    """
    part = getattr(exportable.model, "encoder", exportable.model)
    try:
        config = part.get_config()
    except NotImplementedError:  # A subclass that cannot be saved can be exported.
        config = {"class_name": type(part).__qualname__}
    digest = hashlib.sha256(json.dumps(_nameless(config), default=str).encode())
    for weight in part.weights:
        values = np.ascontiguousarray(ops.convert_to_numpy(weight))
        digest.update(f"{values.dtype}{values.shape}".encode())
        digest.update(values.tobytes())
    if quantize != "float32":
        digest.update(content)
    return digest.hexdigest()[:16]


def _nameless(config: Any) -> Any:
    """Leave names out: Keras numbers them anew in each process."""
    if isinstance(config, dict):
        return {
            key: _nameless(value)
            for key, value in sorted(config.items())
            if key not in {"name", "registered_name", "input_layers", "output_layers"}
            and key not in {"inbound_nodes", "build_config", "dtype"}
        }
    if isinstance(config, list | tuple):
        return [_nameless(value) for value in config]
    return config


def _text(path: Path) -> bytes | str | None:
    if path.is_dir():
        return (path / SAVED_MODEL_FILE).read_bytes()
    content = path.read_bytes()
    if content[4:8] == b"TFL3":
        return _flatbuffer.metadata(_flatbuffer.parse(content))
    onnx = optional_import("onnx", "export")
    properties = onnx.load_model_from_string(content).metadata_props
    return {entry.key: entry.value for entry in properties}.get(KEY)
