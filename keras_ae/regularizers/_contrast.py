"""What losses between views have in common: the cross-entropy of telling which codes belong."""

import keras
from keras import ops

from keras_ae._checks import check_number
from keras_ae.types import Config, Tensor

# Less than the exponential of any similarity.
_NEVER = -1e9


class Contrast(keras.regularizers.Regularizer):
    """Base of `ViewConsistency` and `LabelConsistency`, which say which codes belong together."""

    def __init__(self, strength: float = 1.0, temperature: float = 0.5) -> None:
        self.strength = check_number("strength", strength, minimum=0)
        self.temperature = check_number("temperature", temperature, minimum=0, exclusive=True)

    @property
    def penalty_names(self) -> tuple[str, ...]:
        """The name of the loss, if its weight is above 0."""
        return ("consistency",) if self.strength > 0 else ()

    def __call__(self, x: Tensor) -> Tensor:
        """Refuse to act on one output alone."""
        raise ValueError(
            f"{type(self).__name__} must be given to SemanticHasher(consistency=...): it compares "
            f"two views, which an activity_regularizer never sees. Received: a call on {x!r}"
        )

    def _cross_entropy(self, first: Tensor, second: Tensor, labels: Tensor = None) -> Tensor:
        bits = ops.concatenate([ops.cast(first, "float32"), ops.cast(second, "float32")])
        codes = ops.normalize(2.0 * bits - 1.0, axis=-1)
        count = ops.shape(codes)[0]
        own = ops.eye(count)
        similarity = ops.matmul(codes, ops.transpose(codes)) / self.temperature + _NEVER * own
        # The other view of the same example stands half the batch further on.
        wanted = ops.roll(own, count // 2, axis=1)
        if labels is not None:
            labels = ops.concatenate([labels, labels])
            same = labels[:, None] == labels[None]
            if not keras.backend.standardize_dtype(labels.dtype).startswith("uint"):
                same = ops.logical_and(same, labels[:, None] >= 0)
            wanted = ops.maximum(wanted, ops.cast(same, "float32") - own)
            wanted = wanted / ops.sum(wanted, axis=1, keepdims=True)
        losses = -ops.sum(wanted * ops.log_softmax(similarity, axis=-1), axis=-1)
        # Of an empty batch, which a replica can get, nothing.
        return self.strength * ops.sum(losses) / ops.cast(ops.maximum(count, 1), "float32")

    def get_config(self) -> Config:
        return {"strength": self.strength, "temperature": self.temperature}
