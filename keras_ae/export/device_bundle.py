"""A folder with all that a phone or a browser needs to find similar images."""

import hashlib
import json
import math
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from keras_ae._checks import check_integer, check_number
from keras_ae._files import replacing, write_tensors
from keras_ae.export._artefact import open_artefact
from keras_ae.export.artefact_metadata import read_metadata
from keras_ae.export.export_result import ExportResult
from keras_ae.export.signatures import input_shape
from keras_ae.export.tflite_export import to_tflite
from keras_ae.types import Codes, FloatArray

FORMAT, VERSION = "keras_ae.bundle", 1
_MODEL, _INDEX = "model.tflite", "index.safetensors"
_ITEMS, _SAMPLES = "items.safetensors", "samples.safetensors"
_COMPARED = 256
_MOST_CLASSES = 65_535
_MOST_VALUES = 2**24


class Fillable(Protocol):
    """An index made of codes, saved to a file: `keras_ae.HammingIndex` is one."""

    def add(self, codes: Codes) -> None: ...

    def search(self, queries: Codes, k: int) -> Any: ...

    def save(self, path: str | PathLike[str]) -> None: ...


class MakeIndex(Protocol):
    """What makes one: the class `keras_ae.HammingIndex` does."""

    def __call__(self, bits: int, variant: str) -> Fillable: ...


def to_device_bundle(
    model: keras.Model,
    path: str | PathLike[str],
    images: npt.NDArray[np.uint8],
    labels: npt.ArrayLike | None = None,
    *,
    make_index: MakeIndex,
    samples: npt.NDArray[np.uint8] | None = None,
    label_names: Sequence[str] | None = None,
    divisor: float = 255.0,
    offset: float = 0.0,
    quantize: str = "float32",
    k: int = 10,
    thumbnail: int = 32,
) -> ExportResult:
    """Write a model, the index of its codes of some images, their thumbnails and labels.

    Input `x = pixel / divisor + offset` in float32, in the shape that the model takes. The codes in
    the index are those of the .tflite file that is written, at one image at a time, and the id of a
    code is the row of its image. `export/FORMAT.md` describes the files for whoever reads them.

    Args:
        model: A `SemanticHasher`, or a model that ends in `PackBits`, with one input of as many
            values as an image has.
        path: Folder to write. An empty one, or a bundle with nothing else in it, is replaced.
        images: Images to find, uint8 `(n, height, width)` or `(n, height, width, channels)` with 1
            or 3 channels, n >= 1.
        labels: A class of each, integers `(n,)` from 0 to 65,535, or `None`.
        make_index: The class `keras_ae.HammingIndex`, or what makes one in the same way.
        samples: Images to try it with, of the same size, kept with the codes and neighbours that a
            reader must find; `None` for the first 16 of `images`.
        label_names: Names of the classes 0, 1, ..., or `None` for their numbers.
        divisor: Number from 1e-30 to 1e30; see above.
        offset: Number from -1e30 to 1e30; see above.
        quantize: As in `to_tflite`; for `"int8"` the images calibrate it.
        k: How many neighbours of each sample are kept, >= 1.
        thumbnail: Longest side of a thumbnail in pixels, >= 1; larger images are made smaller.

    Returns:
        That of the model's file, with the folder as `path` and the size of all that is in it.

    Raises:
        ValueError: An argument is not as above, or there is something else at `path`.
        ExportError: As in `to_tflite`.
        ImportError: The packages of `keras-ae[export]` are not installed.

    Example:

    >>> import keras_ae, numpy, tempfile
    >>> images = numpy.random.default_rng(0).integers(0, 256, (40, 4, 4), dtype="uint8")
    >>> hasher = keras_ae.SemanticHasher.dense(16, hidden=(8,), bits=8)
    >>> result = keras_ae.export.to_device_bundle(
    ...     hasher, tempfile.mkdtemp() + "/bundle", images, make_index=keras_ae.HammingIndex)
    >>> sorted(file.name for file in result.path.iterdir())[:2]
    ['bundle.json', 'index.safetensors']
    """
    images = _check_images("images", images)
    samples = images[:16] if samples is None else _check_images("samples", samples)
    if samples.shape[1:] != images.shape[1:]:
        raise ValueError(
            f"samples must be of the size of images, {images.shape[1:]}. "
            f"Received: samples of {samples.shape[1:]}"
        )
    names, numbers = _check_labels(labels, label_names, len(images))
    # In single precision neither may be lost.
    check_number("divisor", divisor, minimum=1e-30, maximum=1e30)
    check_number("offset", offset, minimum=-1e30, maximum=1e30)
    if not callable(make_index):
        raise ValueError(
            f"make_index must be keras_ae.HammingIndex. Received: make_index={make_index!r}"
        )
    k = check_integer("k", k, minimum=1)
    check_integer("thumbnail", thumbnail, minimum=1)
    shape = input_shape(model)
    if math.prod(n or 0 for n in shape[1:]) != images[0].size:
        raise ValueError(
            f"model must have one input of {images[0].size} values, as an image has. "
            f"Received: a model with input shape {shape}"
        )

    def inputs(x: npt.NDArray[np.uint8]) -> FloatArray:
        scaled = x.astype("float32") / np.float32(divisor) + np.float32(offset)
        return scaled.reshape(len(x), *shape[1:])

    path = Path(path)
    if path.exists() and not _is_bundle(path):
        raise ValueError(
            "path must be free, an empty folder or a bundle with nothing else in it, which is "
            f"replaced. Received: path={str(path)!r}"
        )
    with replacing(path) as folder:
        folder.mkdir()
        model_file = folder / _MODEL
        preprocessing = f"pixel / {divisor:g} + {offset:g}"
        result = to_tflite(
            model,
            model_file,
            inputs(images[:_COMPARED]),
            quantize=quantize,
            calibration=inputs(images[:500]) if quantize == "int8" else None,
            batch=1,
            preprocessing=preprocessing,
        )
        described = read_metadata(model_file)
        bits, signature = described["bits"], result.signatures[0]
        if bits is None:
            raise ValueError(f"model must return codes. Received: {model.name!r}, which does not")
        encode = open_artefact(model_file).functions[signature]
        index = make_index(bits, described["variant"])
        index.add(
            np.concatenate(
                [encode(inputs(images[i : i + 1000])) for i in range(0, len(images), 1000)]
            )
        )
        index.save(folder / _INDEX)
        items: dict[str, npt.NDArray[Any]] = {"thumbnails": _thumbnails(images, thumbnail)}
        if numbers is not None:
            items["labels"] = numbers
        write_tensors(folder / _ITEMS, items)
        codes = encode(inputs(samples))
        found = index.search(codes, k)
        write_tensors(
            folder / _SAMPLES,
            {"images": samples, "codes": codes, "ids": found.ids, "distances": found.distances},
        )
        content = {
            "format": FORMAT,
            "version": VERSION,
            "variant": described["variant"],
            "bits": bits,
            "count": len(images),
            "image": dict(zip(("height", "width", "channels"), images.shape[1:], strict=True)),
            "input": {
                "signature": signature,
                "name": described["input"]["name"],
                "output": described["signatures"][signature],
                "shape": [1, *shape[1:]],
                "divisor": float(divisor),
                "offset": float(offset),
            },
            "labels": names,
            "files": {file.name: _described(file) for file in sorted(folder.iterdir())},
        }
        (folder / "bundle.json").write_text(json.dumps(content, indent=1) + "\n")
        size = sum(file.stat().st_size for file in folder.iterdir())
    return ExportResult(path, size, result.signatures, result.operators, result.parity)


def _check_images(name: str, images: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    images = np.asarray(images)
    if images.ndim > 1 and math.prod(images.shape[1:]) > _MOST_VALUES:
        raise ValueError(
            f"{name} must have at most {_MOST_VALUES} values each. "
            f"Received: {name} of shape {images.shape}"
        )
    whole = images[..., None] if images.ndim == 3 else images
    if (
        images.dtype != np.uint8
        or whole.ndim != 4
        or not whole.size
        or whole.shape[3] not in (1, 3)
    ):
        raise ValueError(
            f"{name} must be a uint8 array (n, height, width) or (n, height, width, channels), "
            f"with n >= 1 and 1 or 3 channels. Received: {name} with dtype={images.dtype}, "
            f"shape={images.shape}"
        )
    return np.ascontiguousarray(whole)


def _check_labels(
    labels: npt.ArrayLike | None, names: Sequence[str] | None, count: int
) -> tuple[list[str] | None, npt.NDArray[np.int32] | None]:
    if labels is None:
        if names is not None:
            raise ValueError("label_names must be None without labels. Received: labels=None")
        return None, None
    numbers = np.asarray(labels)
    if (
        numbers.dtype.kind not in "iu"
        or numbers.shape != (count,)
        or not 0 <= numbers.min() <= numbers.max() <= _MOST_CLASSES
    ):
        raise ValueError(
            f"labels must be integers >= 0 of shape ({count},), at most {_MOST_CLASSES}. "
            f"Received: labels with dtype={numbers.dtype}, shape={numbers.shape}"
        )
    classes = int(numbers.max()) + 1
    is_text = isinstance(names, str)
    names = [str(i) for i in range(classes)] if names is None else list(names)
    if len(names) < classes or is_text or not all(isinstance(name, str) for name in names):
        raise ValueError(
            f"label_names must be texts, one for each of {classes} classes. "
            f"Received: label_names={names!r}"
        )
    return names, numbers.astype("int32")


def _thumbnails(images: npt.NDArray[np.uint8], side: int) -> npt.NDArray[np.uint8]:
    height, width = images.shape[1:3]
    scale = side / max(height, width)
    if scale >= 1:
        return images
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    parts = [
        tf.image.resize(images[i : i + 1000], size, "area") for i in range(0, len(images), 1000)
    ]
    return np.concatenate([np.rint(part.numpy()).astype("uint8") for part in parts])


def _is_bundle(path: Path) -> bool:
    if not path.is_dir():
        return False
    names = {file.name for file in path.iterdir()}
    known = {_MODEL, f"{_MODEL}.json", _INDEX, _ITEMS, _SAMPLES, "bundle.json"}
    return not names or ("bundle.json" in names and names <= known)


def _described(file: Path) -> dict[str, Any]:
    content = file.read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
