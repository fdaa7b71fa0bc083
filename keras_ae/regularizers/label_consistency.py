"""The loss between the codes of examples with the same label."""

import keras
from keras import ops

from keras_ae.regularizers._contrast import Contrast
from keras_ae.types import Tensor


@keras.saving.register_keras_serializable("keras_ae")
class LabelConsistency(Contrast):
    """Cross-entropy of telling, by its code, which other views are of the same class.

    `consistency = -strength * mean_i mean_(p in P(i)) log(e^(c(i, p) / T) / s_i)`,
    `s_i = sum_(j != i) e^(c(i, j) / T)`

    The first mean is over all `2 n` views of a batch of `n` examples; `P(i)` are the other view of
    the same example and all views of others with its label, `c` is the cosine of two codes with
    their bits as -1 and 1, and `T` the temperature. An example whose label is negative counts as
    unlabelled: it belongs with its other view alone. With none labelled it is `ViewConsistency`.

    Give it to `SemanticHasher(consistency=LabelConsistency())`, and labels to `fit(x, labels)`.
    A batch should have several examples of a class.

    Args:
        strength: Weight of the loss, a finite number >= 0.
        temperature: Number > 0. A low one sets on those that are nearest, a high one on all.

    Raises:
        ValueError: An argument is out of its range; or labels are not integers, one an example.

    Example:

    >>> import keras, keras_ae
    >>> hasher = keras_ae.SemanticHasher.dense(
    ...     16, hidden=(12,), bits=8, consistency=keras_ae.LabelConsistency())
    >>> hasher.compile("adam", "binary_crossentropy")
    >>> x = keras.random.uniform((32, 16))
    >>> labels = keras.random.randint((32,), 0, 4)
    >>> sorted(hasher.fit(x, labels, verbose=0).history)
    ['consistency', 'contraction', 'loss', 'reconstruction']

    Reference:
        Khosla, Teterwak, Wang, Sarna, Tian, Isola, Maschinot, Liu, Krishnan: Supervised Contrastive
        Learning, 2020.
    """

    def between(self, first: Tensor, second: Tensor, labels: Tensor) -> Tensor:
        """Return the loss between two views of the same examples.

        Args:
            first: Bits `(n, bits)`, or numbers from 0 to 1 in their place, with noise or without.
            second: Those of the other views, in the same order.
            labels: Integers `(n,)` or `(n, 1)`; those below 0 stand for no label.

        Returns:
            A float32 scalar.
        """
        labels = ops.convert_to_tensor(labels)
        shape, kind = tuple(labels.shape), keras.backend.standardize_dtype(labels.dtype)
        if not (len(shape) == 1 or shape[1:] == (1,)) or "int" not in kind:
            raise ValueError(
                "labels must be integers, one an example, of shape (n,). "
                f"Received: labels with dtype={kind}, shape={shape}"
            )
        count = ops.convert_to_tensor(first).shape[0]
        if None not in (shape[0], count) and shape[0] != count:
            raise ValueError(
                f"labels must be one an example, of which there are {count}. "
                f"Received: labels with shape={shape}"
            )
        return self._cross_entropy(first, second, ops.reshape(labels, (-1,)))
