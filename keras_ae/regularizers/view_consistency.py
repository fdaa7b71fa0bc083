"""The loss between the codes of two views of each example."""

from typing import Any

import keras

from keras_ae.regularizers._arguments import regularizer_of
from keras_ae.regularizers._contrast import Contrast
from keras_ae.types import Tensor


@keras.saving.register_keras_serializable("keras_ae")
class ViewConsistency(Contrast):
    """Cross-entropy of telling, by its code, which other view is of the same example.

    `consistency = -strength * mean_i log(e^(c(i, i') / T) / sum_(j != i) e^(c(i, j) / T))`

    The mean is over all `2 n` views of a batch of `n` examples; `i'` is the other view of the same
    example, `c` the cosine of two codes with their bits as -1 and 1, and `T` the temperature.

    Two views of an example, such as an image moved a little, or two parts of the words of a text,
    then get codes that are near, and views of others codes that are far. What a view changes leaves
    the code; what all views of an example share stays. It is a function of the batch: give it
    batches of some hundred examples.

    A Keras activity regularizer sees one batch of outputs, so this one is not called on one: give
    it to `SemanticHasher(consistency=...)`, or call `between`.

    Args:
        strength: Weight of the loss, a finite number >= 0.
        temperature: Number > 0. A low one sets on those that are nearest, a high one on all.

    Raises:
        ValueError: An argument is out of its range.

    Example:

    >>> import keras_ae
    >>> consistency = keras_ae.ViewConsistency()
    >>> bits = [[0.0, 0.0, 1.0, 1.0], [1.0, 0.0, 1.0, 0.0]]
    >>> same = consistency.between(bits, bits)
    >>> other = consistency.between(bits, bits[::-1])
    >>> bool(same < other)
    True

    Reference:
        Chen, Kornblith, Norouzi, Hinton: A Simple Framework for Contrastive Learning of Visual
        Representations, 2020. Qiu, Su, Ou, Yu, Chen: Unsupervised Hashing with Contrastive
        Information Bottleneck, 2021.
    """

    @classmethod
    def of(cls, consistency: Any) -> "ViewConsistency":
        """Return what `consistency` stands for: one of these, its serialized form, or a weight."""
        return regularizer_of(cls, "consistency", consistency)

    def between(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the loss between two views of the same examples.

        Args:
            first: Bits `(n, bits)`, or numbers from 0 to 1 in their place, with noise or without.
            second: Those of the other views, in the same order.

        Returns:
            A float32 scalar.
        """
        return self._cross_entropy(first, second)
