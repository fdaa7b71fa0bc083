"""In TensorFlow's graph of a step, no weight can be read after the update where before is meant.

A control edge keeps the read before the update, but the graph optimizer drops the edge where data
flows from the one to the other. All gradients meet in an `IdentityN` of Keras's optimizers, and
that counts as flow until it is optimized away too. Then nothing orders a read on which the weight's
own gradient does not depend, and whether it comes first differs from model to model of a process.
"""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import pytest
from every_model import MODELS, RANDOM_MODELS, data_of, loss_of, make

pytestmark = pytest.mark.tensorflow
X = np.random.default_rng(0).random((20, 12)).astype("float32")


def dependents(read: Any, mixed: bool) -> Iterator[Any]:
    """Yield the operations that data from `read` reaches and that have no output."""
    seen, left = set(), list(read.outputs)
    while left:
        tensor = left.pop()
        for consumer in tensor.consumers():
            outputs = consumer.outputs
            if not outputs:
                yield consumer
            if consumer.type == "IdentityN" and not mixed:
                inputs = enumerate(consumer.inputs)
                outputs = [outputs[i] for i, value in inputs if value is tensor]
            left += [output for output in outputs if id(output) not in seen]
            seen |= set(map(id, outputs))


def unordered(step: Any, *data: Any) -> list[str]:
    """Return the reads of a variable that its update may overtake."""
    import tensorflow as tf

    operations = tf.function(step).get_concrete_function(*data).graph.get_operations()
    updates = [update for update in operations if update.type.startswith("Assign")]
    assert updates
    return [
        read.name
        for update in updates
        for read in update.control_inputs
        if read.type == "ReadVariableOp"
        and read.inputs[0] is update.inputs[0]
        and update in dependents(read, mixed=True)
        and update not in dependents(read, mixed=False)
    ]


@pytest.mark.parametrize("name", [*MODELS, *RANDOM_MODELS])
def test_no_update_can_overtake_a_read(name: str) -> None:
    model = make(name)
    model.compile(keras.optimizers.SGD(0.1), jit_compile=False, **loss_of(name))
    data = data_of(name, X)
    # As `fit` does: an autoencoder's targets are its inputs.
    assert unordered(model.train_step, data if len(data) == 2 else (X, X)) == []


def test_one_that_can_is_found() -> None:
    class Frozen(keras.Model):
        def __init__(self) -> None:
            super().__init__()
            self.dense = keras.layers.Dense(12)
            self.dense.build((None, 12))
            self.built = True

        def call(self, inputs: Any) -> Any:
            outputs = self.dense(inputs)
            frozen = inputs @ keras.ops.stop_gradient(self.dense.kernel) + self.dense.bias
            self.add_loss(keras.ops.mean(keras.ops.square(frozen)))
            return outputs

    model = Frozen()
    model.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
    assert unordered(model.train_step, (X, X)) == ["frozen_1/StopGradient/ReadVariableOp"]
