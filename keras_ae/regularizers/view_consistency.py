"""The loss between the codes of two views of each example."""

from typing import Any

import keras
from keras import ops

from keras_ae._checks import check_number
from keras_ae.regularizers._arguments import regularizer_of
from keras_ae.types import Config, Tensor

# Less than the exponential of any similarity.
_NEVER = -1e9


@keras.saving.register_keras_serializable("keras_ae")
class ViewConsistency(keras.regularizers.Regularizer):
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

    def __init__(self, strength: float = 1.0, temperature: float = 0.5) -> None:
        self.strength = check_number("strength", strength, minimum=0)
        self.temperature = check_number("temperature", temperature, minimum=0, exclusive=True)

    @classmethod
    def of(cls, consistency: Any) -> "ViewConsistency":
        """Return what `consistency` stands for: one of these, its serialized form, or a weight."""
        return regularizer_of(cls, "consistency", consistency)

    @property
    def penalty_names(self) -> tuple[str, ...]:
        """The name of the loss, if its weight is above 0."""
        return ("consistency",) if self.strength > 0 else ()

    def __call__(self, x: Tensor) -> Tensor:
        """Refuse to act on one output alone."""
        raise ValueError(
            "ViewConsistency must be given to SemanticHasher(consistency=...): it compares two "
            f"views, which an activity_regularizer never sees. Received: a call on {x!r}"
        )

    def between(self, first: Tensor, second: Tensor) -> Tensor:
        """Return the loss between two views of the same examples.

        Args:
            first: Bits `(n, bits)`, or numbers from 0 to 1 in their place, with noise or without.
            second: Those of the other views, in the same order.

        Returns:
            A float32 scalar.
        """
        bits = ops.concatenate([ops.cast(first, "float32"), ops.cast(second, "float32")])
        codes = ops.normalize(2.0 * bits - 1.0, axis=-1)
        count = ops.shape(codes)[0]
        own = ops.eye(count)
        similarity = ops.matmul(codes, ops.transpose(codes)) / self.temperature + _NEVER * own
        # The other view of the same example stands half the batch further on.
        wanted = ops.roll(own, count // 2, axis=1)
        losses = -ops.sum(wanted * ops.log_softmax(similarity, axis=-1), axis=-1)
        # Of an empty batch, which a replica can get, nothing.
        return self.strength * ops.sum(losses) / ops.cast(ops.maximum(count, 1), "float32")

    def get_config(self) -> Config:
        return {"strength": self.strength, "temperature": self.temperature}
