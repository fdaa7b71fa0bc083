"""Agreement between an exported model and Keras."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_ae.export.export_error import ExportError
from keras_ae.export.signatures import Exportable

# Two correct float32 runtimes differ by rounding alone. A wrong conversion differs by far more.
_TOLERANCE = 1e-4
# Of a model in less than float32: what it returns is still what the model says.
_LOSSY_BITS = 0.9
_LOSSY_ERROR = 0.25
_NEIGHBOURS = 10
_COMPARED = 1000


@dataclass(frozen=True)
class Parity:
    """Agreement of a target's runtime with Keras on the same inputs.

    Attributes:
        examples: How many inputs were compared.
        equal_bits: Share of equal bits, 0 to 1; `None` when no signature returns codes.
        equal_codes: Share of examples all of whose bits are equal, 0 to 1, or `None`.
        flipped_margin: Smallest `|logit|` in Keras over the bits that differ; `None` when no bit
            differs or the model has no logits.
        distinct_codes: Distinct codes among Keras's. Agreement on one or two proves nothing.
        neighbour_overlap: Share, 0 to 1, that the ten nearest of the other examples by the
            runtime's codes have in common with those by Keras's, over the first 1000 examples;
            `None` without codes or with fewer than 12 examples.
        max_abs_error: Largest absolute difference of a real-valued output, or `None`.
        microseconds: Time an example of the first signature, all inputs in one batch.
    """

    examples: int
    equal_bits: float | None
    equal_codes: float | None
    flipped_margin: float | None
    distinct_codes: int | None
    neighbour_overlap: float | None
    max_abs_error: float | None
    microseconds: float


def measure(
    exportable: Exportable,
    actual: dict[str, npt.NDArray[Any]],
    seconds: float,
    allowed: str | None = "rounding",
) -> Parity:
    """Compare a runtime's outputs with Keras's, or raise where they differ by more than rounding.

    Args:
        exportable: The model, its signatures, and the inputs that the runtime was given.
        actual: The runtime's output of each signature, by name.
        seconds: Time of the first signature on all inputs.
        allowed: What may explain a difference: `"rounding"`; `"quantization"` of a model in less
            than float32; `None` for anything, if its shapes are right.

    Raises:
        ExportError: An output has another shape, is not finite, or differs by more than rounding
            explains; a flipped bit's logit is not near 0.
    """
    expected, logits = exportable.expected, exportable.logits()
    equal_bits = equal_codes = margin = distinct = overlap = error = None
    for name, signature in exportable.signatures.items():
        ours, theirs = expected[name], actual[name]
        if ours.shape != theirs.shape or ours.dtype != theirs.dtype:
            raise ExportError(
                f"The exported signature {name!r} returns {theirs.dtype} {theirs.shape}; "
                f"Keras returns {ours.dtype} {ours.shape}"
            )
        if signature.is_code:
            flipped = np.unpackbits(ours ^ theirs, axis=-1, bitorder="little").astype(bool)
            equal_bits = 1.0 - float(flipped.mean())
            equal_codes = 1.0 - float(flipped.any(axis=-1).mean())
            distinct = len(np.unique(ours, axis=0))
            overlap = _overlap(ours[:_COMPARED], theirs[:_COMPARED])
            if flipped.any() and logits is not None:
                margins = np.abs(logits[flipped])
                margin = float(margins.min())
                near = _TOLERANCE * max(1.0, float(np.abs(logits).max()))
                if margins.max() > near and allowed == "rounding":
                    raise ExportError(
                        f"The exported signature {name!r} flips a bit whose logit in Keras is "
                        f"{float(margins.max()):.3g} away from 0: more than rounding explains"
                    )
            least = {"rounding": 1 - 10 * _TOLERANCE, "quantization": _LOSSY_BITS}
            if allowed is not None and equal_bits < least[allowed]:
                raise ExportError(
                    f"The exported signature {name!r} has {equal_bits:.2%} of its bits equal to "
                    f"Keras's: fewer than {allowed} explains"
                )
        else:
            difference = np.abs(ours.astype("float64") - theirs)
            # Unlike max, it keeps NaN.
            error = float(np.maximum(error or 0.0, difference.max(initial=0.0)))
            if allowed == "quantization":
                size = np.sqrt(np.mean(np.square(ours, dtype="float64")))
                is_near = np.sqrt(np.mean(difference**2)) <= _LOSSY_ERROR * size
            else:
                most = _TOLERANCE * max(1.0, float(np.abs(ours).max(initial=0.0)))
                is_near = difference.max(initial=0.0) <= most
            if allowed is not None and not is_near:  # So that NaN raises.
                raise ExportError(
                    f"The exported signature {name!r} differs from Keras by up to "
                    f"{error:.3g}: more than {allowed} explains"
                )
    examples = len(exportable.inputs)
    return Parity(
        examples,
        equal_bits,
        equal_codes,
        margin,
        distinct,
        overlap,
        error,
        1e6 * seconds / examples,
    )


def _overlap(ours: npt.NDArray[np.uint8], theirs: npt.NDArray[np.uint8]) -> float | None:
    if ours.ndim != 2 or len(ours) < _NEIGHBOURS + 2:
        return None
    near, same = (_nearest(codes) for codes in (ours, theirs))
    return float(np.mean([np.isin(a, b).mean() for a, b in zip(near, same, strict=True)]))


def _nearest(codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """Return the others that are nearest to each example, ties by the lower index."""
    distances = np.zeros((len(codes), len(codes)), "int32")
    for octet in codes.T:
        distances += np.bitwise_count(octet[:, None] ^ octet)
    np.fill_diagonal(distances, np.iinfo("int32").max)
    return np.argsort(distances, axis=1, kind="stable")[:, :_NEIGHBOURS]
