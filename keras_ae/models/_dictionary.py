"""Linear decoders that add up atoms."""

from typing import Any

import keras


def dictionary(units: int, input_dim: int, dtype: Any, **kwargs: Any) -> keras.Sequential:
    """Return a decoder of one dense layer whose atoms, the rows of its kernel, have length 1.

    They have it now, and keep it at every update.

    Args:
        units: Number of atoms.
        input_dim: Length of an atom.
        dtype: Precision or policy, as in `keras.layers.Layer`.
        **kwargs: Other arguments of `keras.layers.Dense`.
    """
    unit_norm = keras.constraints.UnitNorm(axis=1)
    dense = keras.layers.Dense(
        input_dim, kernel_constraint=unit_norm, name="reconstruction", dtype=dtype, **kwargs
    )
    decoder = keras.Sequential([keras.Input((units,)), dense], name="decoder")
    dense.kernel.assign(unit_norm(dense.kernel))
    return decoder
