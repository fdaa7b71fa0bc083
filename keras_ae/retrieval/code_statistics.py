"""How much of what they could say codes do say."""

import numpy as np
import numpy.typing as npt

from keras_ae.types import Codes


def bit_balance(codes: Codes) -> npt.NDArray[np.float64]:
    """Share of codes in which each bit is 1. A bit says most at one half.

    Args:
        codes: uint8 `(n, bits / 8)`, n >= 1.

    Returns:
        `(bits,)`, from 0 to 1.

    Raises:
        ValueError: If `codes` is not of this form.

    Example:
        >>> import numpy as np
        >>> from keras_ae.retrieval import bit_balance
        >>> bit_balance(np.array([[1], [3]], "uint8"))[:3]
        array([1. , 0.5, 0. ])
    """
    return np.asarray(_bits(codes).mean(axis=0, dtype=np.float64))


def bit_correlation(codes: Codes) -> npt.NDArray[np.float64]:
    """Pearson correlation of each pair of bits. Bits say most together where it is 0.

        c_ij = cov(b_i, b_j) / sqrt(var(b_i) var(b_j))

    Args:
        codes: uint8 `(n, bits / 8)`, n >= 1.

    Returns:
        `(bits, bits)`, from -1 to 1, 1 on the diagonal; 0 beside it for a bit that never changes.

    Raises:
        ValueError: If `codes` is not of this form.

    Example:
        >>> import numpy as np
        >>> from keras_ae.retrieval import bit_correlation
        >>> bit_correlation(np.array([[1], [2], [1], [2]], "uint8"))[0, :3]
        array([ 1., -1.,  0.])
    """
    bits = _bits(codes).astype(np.float64)
    bits -= bits.mean(axis=0)
    lengths = np.linalg.norm(bits, axis=0)
    unit = bits / np.where(lengths > 0, lengths, 1.0)
    result = np.clip(unit.T @ unit, -1.0, 1.0)
    np.fill_diagonal(result, 1.0)
    return np.asarray(result)


def code_entropy(codes: Codes) -> float:
    """Entropy of the codes as they are found, in bits.

        H = - sum_c p_c log2 p_c,  p_c the share of codes that equal c

    At most `min(bits, log2 n)`: with fewer examples than there can be codes it says how many are
    apart, and little more.

    Args:
        codes: uint8 `(n, bits / 8)`, n >= 1.

    Returns:
        The entropy, 0 if all codes are equal.

    Raises:
        ValueError: If `codes` is not of this form.

    Example:
        >>> import numpy as np
        >>> from keras_ae.retrieval import code_entropy
        >>> code_entropy(np.array([[1], [1], [2], [3]], "uint8"))
        1.5

    Reference:
        Shannon, "A mathematical theory of communication", 1948.
    """
    _, counts = np.unique(_checked(codes), axis=0, return_counts=True)
    shares = counts / counts.sum()
    return float(abs(np.sum(shares * np.log2(shares))))


def _bits(codes: Codes) -> npt.NDArray[np.uint8]:
    return np.unpackbits(_checked(codes), axis=1, bitorder="little")


def _checked(codes: Codes) -> Codes:
    codes = np.asarray(codes)
    if codes.dtype != np.uint8 or codes.ndim != 2 or not codes.size:
        raise ValueError(
            "codes must be a uint8 array of shape (n, bits / 8), neither of them 0. "
            f"Received: codes with dtype={codes.dtype}, shape={codes.shape}"
        )
    return codes
