"""A signature of a .tflite file that searches an index: codes are the kernel of a dense layer."""

import copy
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from tensorflow.lite.python import schema_py_generated as schema

from keras_ae.export.signatures import Exportable
from keras_ae.types import Codes

# `127 - distance` has to fit into 8 bits.
_MOST_BITS = 248
# At 64 bits: 18 MB and 0.2 ms a query, five times an index beside it; at a million fifteen times.
_MOST_CODES = 250_000
_BLOCK = 256
# No code is as far away as this: the distance of the rows that fill the last block.
_FARTHEST = 255


class Searchable(Protocol):
    """What an index offers: `keras_ae.HammingIndex` does."""

    @property
    def bits(self) -> int: ...

    @property
    def variant(self) -> str | None: ...

    @property
    def ids(self) -> npt.NDArray[np.int64]: ...

    def reconstruct(self, ids: npt.NDArray[np.int64]) -> Codes: ...

    def search(self, queries: Codes, k: int) -> Any: ...


def check_searchable(index: Searchable, exportable: Exportable) -> None:
    """Raise a ValueError unless a file of these signatures can hold the index."""
    if not all(
        hasattr(index, name) for name in ("bits", "variant", "ids", "reconstruct", "search")
    ):
        raise ValueError(f"index must be a HammingIndex or None. Received: index={index!r}")
    if "encode" not in exportable.signatures or not exportable.signatures["encode"].is_code:
        raise ValueError(
            "index must be None for a model or signatures without 'encode' to bits. "
            f"Received: an index with signatures={tuple(exportable.signatures)}"
        )
    if index.bits != exportable.bits or index.bits > _MOST_BITS:
        raise ValueError(
            f"index must have the bits of the model, {exportable.bits}, and at most {_MOST_BITS}. "
            f"Received: index with bits={index.bits}"
        )
    count = len(index.ids)
    if not 0 < count <= _MOST_CODES:
        raise ValueError(
            f"index must have 1 to {_MOST_CODES} codes to be a part of the file; save a larger one "
            f"beside it, which is also searched faster. Received: index with {count} codes"
        )
    if index.ids[-1] >= 2**31:
        raise ValueError(
            f"index must have ids below 2**31. Received: index with the id {index.ids[-1]}"
        )


def add_search(file: Any, index: Searchable, k: int) -> dict[str, Any]:
    """Add a signature `search` to a file with `encode`: from `x` to `ids` and `distances`.

    With the query's bits `b` and a code's `c`, all 0 or 1, `127 - Hamming(b, c)` is
    `sum_j b_j (2 c_j - 1) + 127 - sum_j c_j`: a dense layer in int8, whose output is exact. The
    k best are among the k blocks with the best maxima. Of equal values TOPK_V2 takes the first, so
    blocks and rows stay in the order of ids.

    Args:
        file: What `_flatbuffer.parse` returns. It is changed.
        index: An index that `check_searchable` accepts.
        k: Neighbours to return, >= 1.

    Returns:
        What the file's metadata say of it.
    """
    encode = next(s for s in file.signatureDefs if s.signatureKey == b"encode")
    subgraph = copy.deepcopy(file.subgraphs[encode.subgraphIndex])
    operators = [file.operatorCodes[operation.opcodeIndex] for operation in subgraph.operators]
    threshold = max(
        i
        for i, code in enumerate(operators)
        if max(code.builtinCode, code.deprecatedBuiltinCode) == schema.BuiltinOperator.GREATER
    )
    del subgraph.operators[threshold + 1 :]
    (bits,) = subgraph.operators[threshold].outputs
    subgraph.name = b"search"
    graph = _Graph(file, subgraph)
    ids = index.ids
    k = min(k, len(ids))
    found, distances = _search(graph, bits, index.reconstruct(ids), ids, k)
    subgraph.outputs = [found, distances]
    file.subgraphs.append(subgraph)
    signature = schema.SignatureDefT()
    signature.signatureKey = b"search"
    signature.subgraphIndex = len(file.subgraphs) - 1
    signature.inputs = copy.deepcopy(encode.inputs)
    signature.outputs = []
    for name, tensor in ((b"ids", found), (b"distances", distances)):
        end = schema.TensorMapT()
        end.name, end.tensorIndex = name, tensor
        signature.outputs.append(end)
    file.signatureDefs.append(signature)
    return {"k": k, "codes": len(ids), "outputs": ["ids", "distances"]}


def _search(
    graph: "_Graph", bits: int, codes: Codes, ids: npt.NDArray[np.int64], k: int
) -> tuple[int, int]:
    rows = -(-len(codes) // _BLOCK) * _BLOCK
    blocks = rows // _BLOCK
    best = min(k, blocks)
    c = np.unpackbits(codes, axis=1, bitorder="little").astype("int8")
    kernel = np.zeros((rows, c.shape[1]), "int8")
    kernel[: len(codes)] = 2 * c - 1
    bias = np.full(rows, 127 - _FARTHEST, "int32")
    bias[: len(codes)] = 127 - c.sum(axis=1, dtype="int32")
    where = np.zeros(rows, "int32")
    where[: len(ids)] = ids

    b = graph.add("CAST", 1, [bits], [c.shape[1]], "INT8", scale=1.0)
    inputs = [b, graph.constant(kernel, scale=1.0), graph.constant(bias, scale=1.0)]
    near = graph.add("FULLY_CONNECTED", 4, inputs, [rows], "INT8", scale=1.0)
    near = graph.reshape(near, [blocks, _BLOCK])
    axis = graph.constant(np.array([2], "int32"))
    maxima = graph.add("REDUCE_MAX", 2, [near, axis], [blocks], "INT8", scale=1.0)
    chosen = graph.negative(graph.top_k(maxima, best)[1])
    chosen = graph.negative(graph.top_k(chosen, best, "INT32")[0])
    near = graph.gather(near, chosen, [best, _BLOCK], "INT8", axis=1, batch_dims=1, scale=1.0)
    values, places = graph.top_k(graph.reshape(near, [best * _BLOCK]), k)
    size = graph.constant(np.array(_BLOCK, "int32"))
    block = graph.add("FLOOR_DIV", 1, [places, size], [k], "INT32")
    within = graph.add("FLOOR_MOD", 1, [places, size], [k], "INT32")
    block = graph.gather(chosen, block, [k], "INT32", axis=1, batch_dims=1)
    first = graph.add("MUL", 1, [block, size], [k], "INT32")
    row = graph.add("ADD", 1, [first, within], [k], "INT32")
    found = graph.gather(graph.constant(where), row, [k], "INT32")
    values = graph.add("CAST", 1, [values], [k], "INT32")
    most = graph.constant(np.array(127, "int32"))
    return found, graph.add("SUB", 1, [most, values], [k], "INT32")


class _Graph:
    """A subgraph that grows by an operator at a time."""

    def __init__(self, file: Any, subgraph: Any) -> None:
        self._file = file
        self._subgraph = subgraph
        signature = subgraph.tensors[subgraph.inputs[0]].shapeSignature
        self._is_dynamic = signature is not None and signature[0] == -1

    def constant(self, values: npt.NDArray[Any], scale: float | None = None) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), "uint8")
        self._file.buffers.append(buffer)
        kind = values.dtype.name.upper()
        return self._tensor(list(values.shape), kind, scale, len(self._file.buffers) - 1)

    def add(
        self,
        name: str,
        version: int,
        inputs: list[int],
        shape: list[int],
        kind: str,
        options: Any = None,
        scale: float | None = None,
    ) -> int:
        """Append an operator with one output of a shape, the batch apart."""
        output = self._batch_tensor(shape, kind, scale)
        self._append(name, version, inputs, [output], options)
        return output

    def top_k(self, x: int, k: int, kind: str = "INT8") -> tuple[int, int]:
        scale = 1.0 if kind == "INT8" else None
        outputs = [self._batch_tensor([k], kind, scale), self._batch_tensor([k], "INT32")]
        self._append("TOPK_V2", 2, [x, self.constant(np.array(k, "int32"))], outputs)
        return outputs[0], outputs[1]

    def negative(self, x: int) -> int:
        return self.add("NEG", 1, [x], [self._subgraph.tensors[x].shape[1]], "INT32")

    def reshape(self, x: int, shape: list[int]) -> int:
        target = np.array([-1 if self._is_dynamic else 1, *shape], "int32")
        return self.add("RESHAPE", 1, [x, self.constant(target)], shape, "INT8", scale=1.0)

    def gather(
        self,
        x: int,
        indices: int,
        shape: list[int],
        kind: str,
        axis: int = 0,
        batch_dims: int = 0,
        scale: float | None = None,
    ) -> int:
        options = schema.GatherOptionsT()
        options.axis, options.batchDims = axis, batch_dims
        return self.add("GATHER", 5, [x, indices], shape, kind, options, scale)

    def _batch_tensor(self, shape: list[int], kind: str, scale: float | None = None) -> int:
        index = self._tensor([1, *shape], kind, scale, 0)
        if self._is_dynamic:
            self._subgraph.tensors[index].shapeSignature = [-1, *shape]
        return index

    def _tensor(self, shape: list[int], kind: str, scale: float | None, buffer: int) -> int:
        tensor = schema.TensorT()
        tensor.name = f"search_{len(self._subgraph.tensors)}".encode()
        tensor.shape = shape
        tensor.type = getattr(schema.TensorType, kind)
        tensor.buffer = buffer
        if scale is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = [scale]
            tensor.quantization.zeroPoint = [0]
        self._subgraph.tensors.append(tensor)
        return len(self._subgraph.tensors) - 1

    def _append(
        self, name: str, version: int, inputs: list[int], outputs: list[int], options: Any = None
    ) -> None:
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        # Readers of old files look here, which has room for the first 127.
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = version
        self._file.operatorCodes.append(code)
        operation = schema.OperatorT()
        operation.opcodeIndex = len(self._file.operatorCodes) - 1
        operation.inputs, operation.outputs = inputs, outputs
        if options is None:
            options = getattr(schema, _OPTIONS.get(name, ""), lambda: None)()
        if options is not None:
            operation.builtinOptionsType = getattr(
                schema.BuiltinOptions, type(options).__name__.removesuffix("T")
            )
            operation.builtinOptions = options
        self._subgraph.operators.append(operation)


_OPTIONS = {
    "ADD": "AddOptionsT",
    "FULLY_CONNECTED": "FullyConnectedOptionsT",
    "MUL": "MulOptionsT",
    "REDUCE_MAX": "ReducerOptionsT",
    "RESHAPE": "ReshapeOptionsT",
    "SUB": "SubOptionsT",
    "TOPK_V2": "TopKV2OptionsT",
}
