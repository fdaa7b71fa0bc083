"""Agreement between an exported model and Keras."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_ae.export.export_error import ExportError
from keras_ae.export.signatures import Exportable

# Two correct float32 runtimes differ by rounding alone. A wrong conversion differs by far more.
_TOLERANCE = 1e-4


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
        max_abs_error: Largest absolute difference of a real-valued output, or `None`.
        microseconds: Time an example of the first signature, all inputs in one batch.
    """

    examples: int
    equal_bits: float | None
    equal_codes: float | None
    flipped_margin: float | None
    distinct_codes: int | None
    max_abs_error: float | None
    microseconds: float


def measure(exportable: Exportable, actual: dict[str, npt.NDArray[Any]], seconds: float) -> Parity:
    """Compare a runtime's outputs with Keras's, or raise where they differ by more than rounding.

    Args:
        exportable: The model, its signatures, and the inputs that the runtime was given.
        actual: The runtime's output of each signature, by name.
        seconds: Time of the first signature on all inputs.

    Raises:
        ExportError: An output has another shape, is not finite, or differs by more than rounding
            explains; a flipped bit's logit is not near 0.
    """
    expected, logits = exportable.expected(), exportable.logits()
    equal_bits = equal_codes = margin = distinct = error = None
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
            if flipped.any() and logits is not None:
                margins = np.abs(logits[flipped])
                margin = float(margins.min())
                if margins.max() > _TOLERANCE * max(1.0, float(np.abs(logits).max())):
                    raise ExportError(
                        f"The exported signature {name!r} flips a bit whose logit in Keras is "
                        f"{float(margins.max()):.3g} away from 0: more than rounding explains"
                    )
            if equal_bits < 1 - 10 * _TOLERANCE:
                raise ExportError(
                    f"The exported signature {name!r} has {equal_bits:.2%} of its bits equal to "
                    "Keras's: fewer than rounding explains"
                )
        else:
            difference = float(np.abs(ours.astype("float64") - theirs).max(initial=0.0))
            error = max(error or 0.0, difference)
            # Written so that NaN fails.
            if not difference <= _TOLERANCE * max(1.0, float(np.abs(ours).max(initial=0.0))):
                raise ExportError(
                    f"The exported signature {name!r} differs from Keras by up to "
                    f"{difference:.3g}: more than rounding explains"
                )
    examples = len(exportable.inputs)
    return Parity(
        examples, equal_bits, equal_codes, margin, distinct, error, 1e6 * seconds / examples
    )
