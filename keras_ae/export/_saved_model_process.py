"""Run a SavedModel where neither Keras nor this package is loaded: `PATH REQUEST RESPONSE`."""

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

WARMUP = Path("assets.extra", "tf_serving_warmup_requests")


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
    results["warmed"] = replay(model, Path(path, WARMUP))
    np.savez(response, **results)


def replay(model: Any, path: Path) -> int:
    """Run the requests of a warm-up file as a server does when it loads it; return how many."""
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    count = 0
    for record in tf.data.TFRecordDataset(str(path)):
        log = prediction_log_pb2.PredictionLog.FromString(record.numpy())
        request = log.predict_log.request
        inputs = {key: tf.make_ndarray(value) for key, value in request.inputs.items()}
        tensors = {key: tf.constant(value) for key, value in inputs.items()}
        model.signatures[request.model_spec.signature_name](**tensors)
        count += 1
    return count


if __name__ == "__main__":
    main(*sys.argv[1:])
