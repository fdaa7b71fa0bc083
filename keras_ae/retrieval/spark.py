"""Codes of a corpus, on a Spark cluster."""

import hashlib
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_ae._checks import check_number
from keras_ae._optional import optional_import
from keras_ae.types import Codes, FloatArray

# A Python worker outlives its tasks, and the model with it.
_loaded: dict[str, "_Encoder"] = {}


def encode(
    dataframe: Any,
    artefact: str | PathLike[str],
    input_col: str,
    *,
    code_col: str = "code",
    shape: tuple[int, ...] | None = None,
    divisor: float = 1.0,
    offset: float = 0.0,
) -> Any:
    """Add a column of codes to a Spark DataFrame, computed by an exported model.

    `code = encode(value / divisor + offset)`, in float32

    The model travels with the tasks and is loaded once by each Python worker, which needs
    `keras-ae` and the runtime of the artefact, `onnxruntime` or `ai-edge-litert`. Rows are read and
    written in Arrow batches (`spark.sql.execution.arrow.maxRecordsPerBatch` of them); a task that
    is lost runs again.

    Args:
        dataframe: Spark DataFrame.
        artefact: A .onnx file that returns codes, or a .tflite file with the signature `encode` or
            one signature alone.
        input_col: Column of inputs, none of them missing: arrays of finite numbers, or binary, a
            byte a value.
        code_col: Name of the new column, binary of `bits / 8` bytes, which must not be there yet.
        shape: Shape of one input; `None` for that of the model, if all of it is known.
        divisor: Number from 1e-30 to 1e30, 255 for pixels of a model that takes them from 0 to 1.
        offset: Number from -1e30 to 1e30.

    Returns:
        The DataFrame with the new column. Like all of Spark's, it is computed where it is used.

    Raises:
        ValueError: An argument is not as above; an input that is not as above fails its task.
        ImportError: The packages of `keras-ae[spark]` are not installed.

    Example:
        >>> from keras_ae.retrieval import spark
        >>> def write(session):
        ...     images = session.read.parquet("images.parquet")
        ...     codes = spark.encode(images, "hasher.onnx", "pixels", divisor=255)
        ...     codes.select("id", "code").write.parquet("codes.parquet")

    Reference:
        Zaharia, Chowdhury, Das, Dave, Ma, McCauley, Franklin, Shenker, Stoica: Resilient
        Distributed Datasets, 2012.
    """
    sql = optional_import("pyspark.sql", "spark")
    types = optional_import("pyspark.sql.types", "spark")
    if not isinstance(dataframe, sql.DataFrame):
        raise ValueError(f"dataframe must be a Spark DataFrame. Received: dataframe={dataframe!r}")
    columns = {field.name: field.dataType for field in dataframe.schema.fields}
    kind = columns.get(input_col)
    if not isinstance(kind, types.BinaryType) and not (
        isinstance(kind, types.ArrayType) and isinstance(kind.elementType, types.NumericType)
    ):
        raise ValueError(
            "input_col must name a column of arrays of numbers, or a binary one. "
            f"Received: input_col={input_col!r} of type {kind}, in {dataframe.columns}"
        )
    if not isinstance(code_col, str) or not code_col or code_col in columns:
        raise ValueError(
            f"code_col must be a name that is free in {dataframe.columns}. "
            f"Received: code_col={code_col!r}"
        )
    # In single precision neither may be lost.
    check_number("divisor", divisor, minimum=1e-30, maximum=1e30)
    check_number("offset", offset, minimum=-1e30, maximum=1e30)
    try:
        content = Path(artefact).read_bytes()
    except OSError as error:
        raise ValueError(
            f"artefact must be a .onnx or .tflite file. Received: artefact={str(artefact)!r}: "
            f"{error}"
        ) from error
    # Here too, so that a file that is none fails before it is sent anywhere.
    shape = _check_shape(shape, _encoder(content).sizes)
    broadcast = dataframe.sparkSession.sparkContext.broadcast(content)
    code = types.StructField(code_col, types.BinaryType(), nullable=False)
    schema = types.StructType([*dataframe.schema.fields, code])
    function = partial(_encode_batches, broadcast, (input_col, code_col), shape, divisor, offset)
    return dataframe.mapInArrow(function, schema)


def _encode_batches(
    broadcast: Any,
    columns: tuple[str, str],
    shape: tuple[int, ...] | None,
    divisor: float,
    offset: float,
    batches: Iterator[Any],
) -> Iterator[Any]:
    import pyarrow

    encoder, (input_col, code_col) = _encoder(broadcast.value).encode, columns
    for batch in batches:
        if batch.num_rows == 0:
            continue
        values = _values(batch.column(input_col), input_col)
        if shape is not None and values.shape[1] != math.prod(shape):
            raise ValueError(
                f"{input_col} must have {math.prod(shape)} values a row, for inputs of shape "
                f"{shape}. Received: {values.shape[1]}"
            )
        with np.errstate(over="ignore"):
            x = values.astype("float32") / np.float32(divisor) + np.float32(offset)
        if not np.isfinite(x).all():
            raise ValueError(f"{input_col} must have finite values. Received: others")
        codes = encoder(x if shape is None else x.reshape(len(x), *shape))
        column = pyarrow.array([code.tobytes() for code in codes], pyarrow.binary())
        yield pyarrow.RecordBatch.from_arrays(
            [*batch.columns, column], names=[*batch.schema.names, code_col]
        )


def _values(column: Any, name: str) -> npt.NDArray[Any]:
    """Return the values of an Arrow column of arrays or bytes, `(n, values)`."""
    import pyarrow

    if column.null_count:
        raise ValueError(f"{name} must not have missing values. Received: {column.null_count}")
    if pyarrow.types.is_binary(column.type) or pyarrow.types.is_large_binary(column.type):
        rows = [np.frombuffer(value, np.uint8) for value in column.to_pylist()]
    else:
        flat = column.flatten()
        if flat.null_count:
            raise ValueError(f"{name} must not have missing values. Received: {flat.null_count}")
        ends = np.cumsum(column.value_lengths().to_numpy(zero_copy_only=False))
        rows = np.split(flat.to_numpy(zero_copy_only=False), ends[:-1])
    sizes = {len(row) for row in rows}
    if len(sizes) > 1:
        raise ValueError(
            f"{name} must have values of one length. Received: lengths {sorted(sizes)}"
        )
    return np.stack(rows)


def _check_shape(
    shape: tuple[int, ...] | None, sizes: tuple[int | None, ...]
) -> tuple[int, ...] | None:
    """Return the shape of one input, or `None` if neither the caller nor the model says it."""
    if shape is None:
        known = [size for size in sizes if size is not None]
        return tuple(known) if len(known) == len(sizes) else None
    is_shape = isinstance(shape, tuple) and all(
        isinstance(size, int) and not isinstance(size, bool) and size > 0 for size in shape
    )
    if (
        not is_shape
        or len(shape) != len(sizes)
        or any(size not in (None, given) for given, size in zip(shape, sizes, strict=True))
    ):
        raise ValueError(
            f"shape must be None or that of one input of the model, {sizes}. "
            f"Received: shape={shape!r}"
        )
    return shape


@dataclass(frozen=True)
class _Encoder:
    """A loaded artefact.

    Attributes:
        encode: From inputs `(n, ...)` to codes.
        sizes: Of one input, `None` where any will do.
    """

    encode: Callable[[FloatArray], Codes]
    sizes: tuple[int | None, ...]


def _encoder(content: bytes) -> _Encoder:
    """Return an artefact, loaded once a process."""
    key = hashlib.sha256(content).hexdigest()
    if key not in _loaded:
        load = _tflite if content[4:8] == b"TFL3" else _onnx
        try:
            _loaded[key] = load(content)
        except ImportError:
            raise
        except Exception as error:  # Runtimes raise many types for bytes that are not their own.
            raise ValueError(
                "artefact must be a .onnx or .tflite file of one input, with one output of codes, "
                f"uint8: {error}"
            ) from error
    return _loaded[key]


def _onnx(content: bytes) -> _Encoder:
    onnxruntime = optional_import("onnxruntime", "export")
    options = onnxruntime.SessionOptions()
    # A worker has one core.
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    (given,), (output,) = session.get_inputs(), session.get_outputs()
    if output.type != "tensor(uint8)":
        raise ValueError(f"it returns {output.type}")

    def encode(x: FloatArray) -> Codes:
        codes: Codes = session.run([output.name], {given.name: x})[0]
        return codes

    return _Encoder(encode, _sizes(given.shape))


def _tflite(content: bytes) -> _Encoder:
    interpreters = optional_import("ai_edge_litert.interpreter", "export")
    interpreter = interpreters.Interpreter(model_content=content, num_threads=1)
    signatures = interpreter.get_signature_list()
    name = "encode" if "encode" in signatures else next(iter(signatures))
    runner = interpreter.get_signature_runner(name)
    ((given, details),) = runner.get_input_details().items()
    ((output, result),) = runner.get_output_details().items()
    if result["dtype"] is not np.uint8:
        raise ValueError(f"its {name!r} returns {result['dtype']}")
    batch = int(details["shape_signature"][0])

    def encode(x: FloatArray) -> Codes:
        step = len(x) if batch == -1 else batch
        parts = [runner(**{given: x[i : i + step]})[output] for i in range(0, len(x), step)]
        return np.concatenate(parts)

    return _Encoder(encode, _sizes(details["shape_signature"]))


def _sizes(shape: Any) -> tuple[int | None, ...]:
    """Return the sizes of one input of a batch."""
    return tuple(int(n) if isinstance(n, int | np.integer) and n > 0 else None for n in shape[1:])
