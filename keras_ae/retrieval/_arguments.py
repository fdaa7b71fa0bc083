"""Checks of codes and ids, for every index."""

import numpy as np
import numpy.typing as npt

from keras_ae.types import Codes

_MOST_ID = np.iinfo(np.int64).max


def check_codes(name: str, codes: Codes, bits: int) -> Codes:
    """Return packed codes `(n, bits / 8)`, or raise a ValueError."""
    codes = np.asarray(codes)
    width = bits // 8
    if codes.dtype != np.uint8 or codes.ndim != 2 or codes.shape[1] != width:
        single = codes.dtype == np.uint8 and codes.shape == (width,)
        raise ValueError(
            f"{name} must be a uint8 array of shape (n, {width}). "
            f"Received: {name} with dtype={codes.dtype}, shape={codes.shape}"
            + ("; pass a single code as code[None]" if single else "")
        )
    return codes


def check_ids(ids: npt.ArrayLike, count: int | None = None) -> npt.NDArray[np.int64]:
    """Return ids `(n,)`, of a given number if there is one, or raise a ValueError."""
    ids = np.asarray(ids)
    is_flat = ids.ndim == 1 and (count is None or len(ids) == count)
    if (ids.size and ids.dtype.kind not in "iu") or not is_flat:
        raise ValueError(
            f"ids must be integers of shape ({'n' if count is None else count},), one for each "
            f"code. Received: ids with dtype={ids.dtype}, shape={ids.shape}"
        )
    if len(ids) and (ids.min() < 0 or ids.max() > _MOST_ID):
        raise ValueError(
            f"ids must lie in [0, 2**63). Received: ids from {ids.min()} to {ids.max()}"
        )
    return ids.astype(np.int64)
