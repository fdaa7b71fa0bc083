"""Ask a model server for codes by gRPC.

python export/serving/grpc_client.py x.npy --model hasher
"""

import argparse

import grpc
import numpy as np
import numpy.typing as npt
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc


def encode(
    x: npt.NDArray[np.float32], address: str = "127.0.0.1:8500", model: str = "hasher"
) -> npt.NDArray[np.uint8]:
    """Return the codes `(n, bits / 8)` of inputs `(n, ...)`."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = "encode"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(x))
    with grpc.insecure_channel(address) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        response = stub.Predict(request, timeout=10)
    codes: npt.NDArray[np.uint8] = tf.make_ndarray(response.outputs["codes"])
    return codes


if __name__ == "__main__":
    command = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    command.add_argument("inputs", help="real inputs, .npy")
    command.add_argument("--address", default="127.0.0.1:8500")
    command.add_argument("--model", default="hasher")
    arguments = command.parse_args()
    x = np.load(arguments.inputs).astype("float32")
    for code in encode(x, arguments.address, arguments.model):
        print(code.tobytes().hex())
