"""A .tflite file as what it is: operators, kernels and metadata, read from its bytes."""

import math
import re
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from tensorflow.lite.python import schema_py_generated as schema
from tensorflow.lite.tools import flatbuffer_utils

from keras_ae.export._tflite_2_16 import VERSIONS
from keras_ae.export.export_error import ExportError

TARGETS = ("2.16", "litert")
# The converter leaves smaller kernels as they are where it quantizes the weights alone.
SMALL = 1024
_METADATA = b"keras_ae"
# Variables in a .tflite file start uninitialised: the model runs and returns a constant.
_REFUSED = {"CUSTOM", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE"}
_DRAWS = {"MULTINOMIAL", "RANDOM_STANDARD_NORMAL", "RANDOM_UNIFORM"}
_WITH_KERNEL = {"FULLY_CONNECTED": 1, "CONV_2D": 1, "DEPTHWISE_CONV_2D": 1, "TRANSPOSE_CONV": 1}
_BYTES = {"float32": 4, "float16": 2, "dynamic": 1, "int8": 1}
_OPERATORS = {number: name for name, number in vars(schema.BuiltinOperator).items()}
_TYPES = {number: name for name, number in vars(schema.TensorType).items()}


def parse(content: bytes) -> Any:
    """Return the file as an object that can be changed."""
    return schema.ModelT.InitFromPackedBuf(content, 0)


def operators(file: Any) -> tuple[str, ...]:
    """Return the names of the operators, sorted, each once."""
    return tuple(sorted({name for name, *_ in _operations(file)}))


def check(
    file: Any, quantize: str, target: str, layers: Iterable[str], sizes: Iterable[int]
) -> None:
    """Raise an ExportError unless the target can run the file, and it is quantized as it should be.

    Args:
        file: What `parse` returns.
        quantize: One of the precisions of `to_tflite`.
        target: One of `TARGETS`.
        layers: Names of the model's layers, to say where a fault comes from.
        sizes: Number of values of each weight that the signatures use.
    """
    for name, version, subgraph, operation in _operations(file):
        origin = f"{name} version {version}{_layer_of(subgraph, operation, layers)}"
        if name in _REFUSED:
            raise ExportError(f"The converted model has an operator that a phone lacks: {origin}")
        if name in _DRAWS:
            raise ExportError(f"The converted model draws random numbers at inference: {origin}")
        if target == "2.16" and version > VERSIONS.get(name, 0):
            newest = f"has it up to {VERSIONS[name]}" if name in VERSIONS else "does not have it"
            raise ExportError(
                f"The converted model has an operator that TensorFlow Lite 2.16 cannot run: "
                f"{origin}; 2.16 {newest}"
            )
        if name in _WITH_KERNEL:
            given, wanted = _kernel_type(file, name, subgraph, operation, quantize)
            if given != wanted:
                raise ExportError(
                    f"The signature {_signature_of(file, subgraph)!r} is not quantized to "
                    f"{quantize}: {origin} has a kernel of type {given}"
                )
    _check_size(file, quantize, list(sizes))


def metadata(file: Any) -> bytes | None:
    """Return the bytes that `with_metadata` put into a file, or `None`."""
    for entry in file.metadata or []:
        if entry.name == _METADATA:
            return bytes(file.buffers[entry.buffer].data)
    return None


def with_metadata(file: Any, text: bytes) -> bytes:
    """Return the content of the file with some bytes in it that a runtime does not look at."""
    entry, buffer = schema.MetadataT(), schema.BufferT()
    buffer.data = np.frombuffer(text, "uint8")
    entry.name, entry.buffer = _METADATA, len(file.buffers)
    file.buffers.append(buffer)
    file.metadata = [*(file.metadata or []), entry]
    content: bytes = flatbuffer_utils.convert_object_to_bytearray(file)
    return content


def _operations(file: Any) -> Iterator[tuple[str, int, Any, Any]]:
    for subgraph in file.subgraphs:
        for operation in subgraph.operators:
            code = file.operatorCodes[operation.opcodeIndex]
            name = _OPERATORS[max(code.builtinCode, code.deprecatedBuiltinCode)]
            yield name, code.version, subgraph, operation


def _kernel_type(
    file: Any, name: str, subgraph: Any, operation: Any, quantize: str
) -> tuple[str, str]:
    """Return the type of an operator's kernel, and what it should be."""
    index = operation.inputs[_WITH_KERNEL[name]]
    kernel = subgraph.tensors[index]
    for other in subgraph.operators:
        # Half precision is stored, and made single precision where it is used.
        code = file.operatorCodes[other.opcodeIndex]
        if index in other.outputs and code.builtinCode == schema.BuiltinOperator.DEQUANTIZE:
            kernel = subgraph.tensors[other.inputs[0]]
    given = _TYPES[kernel.type]
    is_constant = file.buffers[kernel.buffer].data is not None
    is_small = quantize == "dynamic" and math.prod(kernel.shape) < SMALL
    if not is_constant or is_small:
        return given, given
    wanted = {"float32": "FLOAT32", "float16": "FLOAT16", "dynamic": "INT8", "int8": "INT8"}
    return given, wanted[quantize]


def _layer_of(subgraph: Any, operation: Any, layers: Iterable[str]) -> str:
    names = b";".join(subgraph.tensors[index].name for index in operation.outputs).decode()
    return of_layer(names, layers)


def of_layer(text: str, layers: Iterable[str]) -> str:
    """Return the words that name the layer whose name is a part of a path in a text, if any."""
    # At a layer's second call, and every later one, Keras appends a number.
    parts = {re.sub(r"_\d+$", "", part) for part in re.split(r"[^\w.-]", text)}
    found = [name for name in layers if name in parts]
    return f" of layer {found[-1]!r}" if found else ""


def _signature_of(file: Any, subgraph: Any) -> str:
    for signature in file.signatureDefs or []:
        if file.subgraphs[signature.subgraphIndex] is subgraph:
            return str(signature.signatureKey.decode())
    return "main"


def _check_size(file: Any, quantize: str, sizes: list[int]) -> None:
    """Raise unless the constants are about as large as the weights that they should hold.

    Less than the kernels: weights are missing. More than twice as much: they are there several
    times. A kernel that is used both ways, by tied weights, is there twice.
    """
    stored = sum(len(b.data) for b in file.buffers if b.data is not None)
    width = _BYTES[quantize]
    least = 0.9 * sum(width * n for n in sizes if n >= SMALL)
    most = sum((width if n >= SMALL else 4) * n for n in sizes)
    if not least <= stored <= 2.1 * most + 2**16:
        raise ExportError(
            f"The converted model holds {stored} bytes of constants, which does not fit weights of "
            f"{most} bytes"
        )
