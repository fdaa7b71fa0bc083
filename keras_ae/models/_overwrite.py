"""Replacing a part of a weight in the middle of a training."""

from typing import Any

import keras
import numpy as np
from keras import ops


def overwrite(
    weight: keras.Variable, where: Any, values: Any, optimizer: keras.optimizers.Optimizer | None
) -> None:
    """Assign `values` at the index `where`, and make the optimizer's memory of that part 0."""
    # Keras gives no other way from a weight to its moments than their names.
    prefix = weight.path.replace("/", "_") + "_"
    for variable in optimizer.variables if optimizer is not None else ():
        if variable.name.startswith(prefix) and variable.shape == weight.shape:
            # The average of a weight is not a moment: it starts from the weight.
            _assign(variable, where, values if variable.name.endswith("_average") else 0)
    _assign(weight, where, values)


def _assign(variable: keras.Variable, where: Any, values: Any) -> None:
    array = np.array(ops.convert_to_numpy(variable))
    array[where] = values
    variable.assign(array)
