"""What hashes by the sides of hyperplanes have in common."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from keras_ae.retrieval._vectors import check_and_centre
from keras_ae.types import Codes

if TYPE_CHECKING:
    import keras


class Hyperplanes:
    """Base of the hashes `bit_j(x) = [d_j . (x - mean) > 0]`, which differ in the directions."""

    mean_: npt.NDArray[np.float64] | None = None
    components_: npt.NDArray[np.float64]

    def directions(self) -> npt.NDArray[np.float64]:
        """Return the vectors `d_j`, `(features, bits)`."""
        return self.components_

    def transform(self, x: Any) -> Codes:
        """Return the codes of `x`, `(n, features)`: uint8 `(n, bits / 8)`.

        Raises:
            ValueError: If `x` is not like the array given to `fit`, or `fit` was not called.
        """
        bits = check_and_centre(x, self.mean_) @ self.directions() > 0
        return np.packbits(bits, axis=1, bitorder="little")

    def to_layer(
        self, name: str | None = None, dtype: Any = None, trainable: bool = True
    ) -> "keras.layers.Dense":
        """Return the same hash as a Keras layer, whose output are logits: bits where above 0.

        It goes behind a trained encoder, to export codes of its features, or at the end of the
        encoder of a `SemanticHasher`, to start its training from there. In float32, a vector that
        lies all but on a hyperplane can get the other bit.

        Args:
            name: As in `keras.layers.Layer`.
            dtype: Likewise.
            trainable: Likewise.

        Returns:
            A built `keras.layers.Dense` of `bits` units.

        Raises:
            ValueError: If `fit` was not called.
        """
        import keras

        if self.mean_ is None:
            raise ValueError("to_layer must come after fit. Received: a call before fit")
        directions = self.directions()
        layer = keras.layers.Dense(directions.shape[1], name=name, dtype=dtype, trainable=trainable)
        layer.build((None, len(directions)))
        layer.set_weights([directions, -self.mean_ @ directions])
        return layer
