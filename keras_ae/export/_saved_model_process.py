"""Run a SavedModel where neither Keras nor this package is loaded: `PATH REQUEST RESPONSE`."""

import sys
import time
from typing import Any

import numpy as np


def main(path: str, request: str, response: str) -> None:
    """Run the signatures named in the request on its inputs, and write what they return."""
    import tensorflow as tf

    with np.load(request) as arrays:
        x, names = arrays["x"], [str(name) for name in arrays["signatures"]]
    model = tf.saved_model.load(path)
    results: dict[str, Any] = {}
    operators: set[str] = set()
    for name in names:
        function = model.signatures[name]
        (results[f"output_{name}"],) = (v.numpy() for v in function(x=tf.constant(x)).values())
        operators |= {operator.type for operator in function.graph.get_operations()}
        for nested in function.graph.as_graph_def().library.function:
            operators |= {node.op for node in nested.node_def}
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        model.signatures[names[0]](x=tf.constant(x))
        seconds.append(time.perf_counter() - start)
    results["seconds"] = min(seconds)
    results["operators"] = np.array(sorted(operators))
    np.savez(response, **results)


if __name__ == "__main__":
    main(*sys.argv[1:])
