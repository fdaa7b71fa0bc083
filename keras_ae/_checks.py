"""Argument checks shared by layers, regularizers and models."""

import math
import numbers
from typing import Any

import numpy as np


def check_number(
    name: str,
    value: Any,
    *,
    minimum: float = -math.inf,
    maximum: float = math.inf,
    exclusive: bool = False,
) -> float:
    """Return `value` as a float, or raise; `exclusive` says that it must not be the minimum."""
    if (
        isinstance(value, bool)
        or not isinstance(value, numbers.Real)
        or not math.isfinite(value)
        or value < minimum
        or not value <= maximum
        or (exclusive and value == minimum)
    ):
        bounds = [f" {'>' if exclusive else '>='} {minimum:g}"] if minimum > -math.inf else []
        bounds += [f" <= {maximum:g}"] if maximum < math.inf else []
        raise ValueError(
            f"{name} must be a finite number{' and'.join(bounds)}. Received: {name}={value!r}"
        )
    return float(value)


def check_integer(name: str, value: Any, *, minimum: int) -> int:
    """Return `value` as an int, or raise a ValueError that names the argument."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < minimum:
        raise ValueError(f"{name} must be an integer >= {minimum}. Received: {name}={value!r}")
    return int(value)


def check_bits(bits: Any, name: str = "bits") -> int:
    """Return `bits` as an int, or raise: a code is a whole number of bytes."""
    if isinstance(bits, bool) or not isinstance(bits, numbers.Integral) or bits < 1 or bits % 8:
        raise ValueError(f"{name} must be a positive multiple of 8. Received: {name}={bits!r}")
    return int(bits)


def check_choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    """Return `value`, or raise a ValueError that lists the choices."""
    if value not in choices:
        raise ValueError(f"{name} must be one of {choices}. Received: {name}={value!r}")
    return str(value)


def check_seed(seed: Any) -> int | None:
    """Return `seed` as an int or None, or raise a ValueError."""
    return None if seed is None else check_integer("seed", seed, minimum=0)


def check_finite(name: str, x: Any) -> np.ndarray[Any, Any]:
    """Return `x` as a NumPy array of finite numbers, of the type they have."""
    x = np.asarray(x)
    if x.dtype.kind not in "fiub" or x.ndim < 1:
        raise ValueError(
            f"{name} must be an array of numbers with one example a row. "
            f"Received: {name} with dtype={x.dtype}, shape={x.shape}"
        )
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise ValueError(
            f"{name} must be finite. Received: {name} with "
            f"{np.count_nonzero(~np.isfinite(x))} NaN or infinite values of {x.size}"
        )
    return x
