"""What the scripts of the deployment kit have in common."""

import argparse
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from keras_ae.export.export_error import ExportError
from keras_ae.export.export_result import ExportResult
from keras_ae.export.verification import compare
from keras_ae.types import FloatArray

Write = Callable[[keras.Model, FloatArray, argparse.Namespace], ExportResult]


def parser(description: str, out: str) -> argparse.ArgumentParser:
    """Return a parser of the arguments that every script takes."""
    result = argparse.ArgumentParser(description=description)
    result.add_argument("model", type=Path, help="a model saved by Keras, .keras")
    result.add_argument("out", type=Path, help=out)
    result.add_argument(
        "--inputs",
        type=Path,
        required=True,
        help="real inputs as the model takes them: .npy, or .npz with one array or 'x'",
    )
    result.add_argument(
        "--min-equal-bits",
        type=float,
        default=0.99,
        help="share of bits equal to Keras's below which the exit code is 1, 0 to 1",
    )
    result.add_argument("--preprocessing", default="", help="how raw data become inputs, in words")
    return result


def run(arguments: argparse.Namespace, write: Write) -> int:
    """Write an artefact, print its agreement with Keras, and return an exit code."""
    try:
        model = keras.saving.load_model(arguments.model, compile=False)
        x = _array(arguments.inputs)
        result = write(model, x, arguments)
    except (ExportError, ValueError, OSError) as error:
        print(f"No artefact was written: {error}")
        return 1
    print(compare([result.path], model, x))
    share = result.parity.equal_bits
    if share is not None and share < arguments.min_equal_bits:
        print(f"{share:.4%} of the bits are equal, fewer than {arguments.min_equal_bits:.4%}")
        return 1
    return 0


def _array(path: Path) -> FloatArray:
    content = np.load(path)
    if isinstance(content, np.ndarray):
        return content
    with content:
        names = content.files
        if len(names) != 1 and "x" not in names:
            raise ValueError(
                f"--inputs must hold one array, or one with the name x. Received: {names}"
            )
        result: FloatArray = content["x" if "x" in names else names[0]]
        return result
