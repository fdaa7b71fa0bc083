"""An artefact, whoever made it, as functions of arrays in its own runtime."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from keras_ae._optional import optional_import
from keras_ae.types import FloatArray

Function = Callable[[FloatArray], npt.NDArray[Any]]


@dataclass(frozen=True)
class Artefact:
    """A file or folder that a runtime has opened.

    Attributes:
        size: Bytes on disk, a folder's files added up.
        runtime: Name and version of the runtime.
        functions: By name, from a batch of inputs to a batch of outputs.
    """

    size: int
    runtime: str
    functions: dict[str, Function]


def open_artefact(path: Path) -> Artefact:
    """Open a .tflite or .onnx file, or a SavedModel's folder.

    Raises:
        ValueError: There is none at `path`, or a function has several inputs or outputs.
    """
    try:
        if path.is_dir():
            files = [file for file in path.rglob("*") if file.is_file()]
            size = sum(file.stat().st_size for file in files)
            return Artefact(size, f"TensorFlow {tf.__version__}", _saved_model(path))
        content = path.read_bytes()
        if content[4:8] == b"TFL3":
            runtime = f"LiteRT {version('ai-edge-litert')}"
            return Artefact(len(content), runtime, _tflite(content))
        onnxruntime = optional_import("onnxruntime", "export")
        runtime = f"onnxruntime {onnxruntime.__version__}"
        return Artefact(len(content), runtime, _onnx(onnxruntime, content))
    except ImportError:
        raise
    except Exception as error:  # Runtimes raise many types for bytes that are not theirs.
        raise ValueError(
            "path must be a .tflite or .onnx file or the folder of a SavedModel, with functions of "
            f"one input and one output. Received: path={str(path)!r}: {error}"
        ) from error


def _saved_model(path: Path) -> dict[str, Function]:
    model = tf.saved_model.load(str(path))

    def function_of(signature: Any) -> Function:
        (name,) = signature.structured_input_signature[1]
        (output,) = signature.structured_outputs

        def function(x: FloatArray, _: Any = model) -> npt.NDArray[Any]:
            result: npt.NDArray[Any] = signature(**{name: tf.constant(x)})[output].numpy()
            return result

        return function

    return {name: function_of(signature) for name, signature in model.signatures.items()}


def _tflite(content: bytes) -> dict[str, Function]:
    interpreters = optional_import("ai_edge_litert.interpreter", "export")
    interpreter = interpreters.Interpreter(model_content=content)

    def function_of(name: str, ends: dict[str, list[str]]) -> Function:
        runner = interpreter.get_signature_runner(name)
        (given,), (output,) = ends["inputs"], ends["outputs"]
        step = runner.get_input_details()[given]["shape_signature"][0]

        def function(x: FloatArray) -> npt.NDArray[Any]:
            size = len(x) if step == -1 else step
            parts = [x[i : i + size] for i in range(0, len(x), size)]
            return np.concatenate([runner(**{given: part})[output] for part in parts])

        return function

    signatures = interpreter.get_signature_list()
    # A search has two outputs, and is held against its index when it is written.
    simple = {name: ends for name, ends in signatures.items() if len(ends["outputs"]) == 1}
    return {name: function_of(name, ends) for name, ends in (simple or signatures).items()}


def _onnx(onnxruntime: Any, content: bytes) -> dict[str, Function]:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (given,), (output,) = session.get_inputs(), session.get_outputs()

    def function(x: FloatArray) -> npt.NDArray[Any]:
        result: npt.NDArray[Any] = session.run([output.name], {given.name: x})[0]
        return result

    return {output.name: function}
