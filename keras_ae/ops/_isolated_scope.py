"""Calls that change nothing around them, and what they know."""

from collections.abc import Iterable, Sequence

import keras
from keras.src.backend.common.stateless_scope import get_stateless_scope
from keras.src.backend.common.symbolic_scope import in_symbolic_scope

from keras_ae.types import Tensor


class IsolatedScope(keras.StatelessScope):
    """A `keras.StatelessScope` that starts from the values of the one around it.

    What is called inside changes no variable and adds no loss outside.

    Args:
        state: Pairs of variables and other values for them.
        collect_losses: Whether to keep the losses that layers add, in `losses`.
    """

    def __init__(
        self,
        state: Sequence[tuple[keras.Variable, Tensor]] = (),
        collect_losses: bool = False,
    ) -> None:
        super().__init__(state, collect_losses)
        outer = get_stateless_scope()
        if outer is not None:
            for key, value in outer.state_mapping.items():
                self.state_mapping.setdefault(key, value)
        self.changed: dict[int, keras.Variable] = {}

    def add_update(self, update: tuple[keras.Variable, Tensor]) -> None:
        super().add_update(update)
        self.changed[id(update[0])] = update[0]


def are_known(variables: Iterable[keras.Variable]) -> bool:
    """Tell whether variables have values here: not all have in a `keras.StatelessScope`."""
    scope = get_stateless_scope()
    return (
        scope is None
        or in_symbolic_scope()
        or all(scope.get_current_value(variable) is not None for variable in variables)
    )
