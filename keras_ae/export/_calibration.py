"""Inputs that show how large activations get, for models whose activations become integers."""

import keras
import tensorflow as tf

from keras_ae._checks import check_finite
from keras_ae.export.signatures import Exportable, prepare
from keras_ae.types import FloatArray

# More change the ranges little, and every function runs on each of them.
_EXAMPLES = 500


def prepare_calibrated(
    model: keras.Model,
    inputs: FloatArray | None,
    signatures: tuple[str, ...] | None,
    calibration: FloatArray | None,
    quantize: str | None,
    calibrated: str,
    batch: int | None = None,
) -> tuple[Exportable, FloatArray | None]:
    """Do as `signatures.prepare`, and check a calibration set, of which at most 500 are returned.

    Args:
        model: As in `prepare`.
        inputs: As in `prepare`; if `None`, the first of `calibration`.
        signatures: As in `prepare`; `None` for the first.
        calibration: Inputs, or `None`.
        quantize: The precision asked for.
        calibrated: The one precision that needs a calibration set.
        batch: As in `prepare`.

    Raises:
        ValueError: There is no calibration set where one is needed, or one where none is; its
            shape is not that of the inputs, or its range; its values are all equal.
    """
    if (calibration is None) != (quantize != calibrated):
        raise ValueError(
            f"calibration must be given for quantize={calibrated!r}, and for nothing else. "
            f"Received: quantize={quantize!r} with calibration="
            f"{'None' if calibration is None else 'given'}"
        )
    if calibration is None:
        return prepare(model, inputs, signatures, default=1, batch=batch), None
    calibration = check_finite("calibration", calibration).astype("float32")
    shown = calibration[:256] if len(calibration) else None
    compared = shown if inputs is None else inputs
    exportable = prepare(model, compared, signatures, default=1, batch=batch)
    shape = (None, *exportable.spec.shape[1:])
    if shown is None or not tf.TensorShape(shape).is_compatible_with(calibration.shape):
        raise ValueError(
            f"calibration must have the shape {shape}, with at least one example. "
            f"Received: calibration with shape={calibration.shape}"
        )
    low, high = float(calibration.min()), float(calibration.max())
    if low == high:
        raise ValueError(
            f"calibration must vary. Received: calibration with every value equal to {low:g}"
        )
    slack = 0.1 * (high - low)
    least, most = float(exportable.inputs.min()), float(exportable.inputs.max())
    if least < low - slack or most > high + slack:
        raise ValueError(
            f"calibration must have the range of inputs, from {least:g} to {most:g}. "
            f"Received: calibration from {low:g} to {high:g}"
        )
    calibration = calibration[:_EXAMPLES]
    is_output_rounded = quantize == "int8"
    return exportable.for_integers(calibration, is_output_rounded), calibration
