"""The clients of export/serving, against servers of the same protocols on the loopback."""

import importlib.util
import json
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow_serving.apis import prediction_service_pb2_grpc
from tensorflow_serving.apis.predict_pb2 import PredictResponse
from tensorflow_serving.config import model_server_config_pb2

from keras_ae import export

FOLDER = Path(__file__).parents[2] / "export" / "serving"


def load(name: str):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def model(hasher, images, tmp_path_factory):
    path = export.to_saved_model(hasher, tmp_path_factory.mktemp("models") / "hasher", images).path
    return tf.saved_model.load(path)


class Servicer(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, model) -> None:
        self.model = model

    def Predict(self, request, context):  # noqa: N802
        assert request.model_spec.name == "hasher"
        inputs = {key: tf.constant(tf.make_ndarray(v)) for key, v in request.inputs.items()}
        outputs = self.model.signatures[request.model_spec.signature_name](**inputs)
        response = PredictResponse()
        for name, value in outputs.items():
            response.outputs[name].CopyFrom(tf.make_tensor_proto(value))
        return response


def test_the_grpc_client_gets_keras_s_codes(model, hasher, images):
    server = grpc.server(ThreadPoolExecutor(max_workers=1))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Servicer(model), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        codes = load("grpc_client").encode(images, f"127.0.0.1:{port}")
    finally:
        server.stop(None)
    assert codes.dtype == np.uint8
    np.testing.assert_array_equal(codes, hasher.encode(images))


def test_the_rest_client_gets_keras_s_codes(model, hasher, images):
    """One output without a name, as TF Serving answers in its column format."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/models/hasher:predict"
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            x = tf.constant(body["inputs"]["x"], "float32")
            (codes,) = model.signatures[body["signature_name"]](x=x).values()
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"outputs": codes.numpy().tolist()}).encode())

        def log_message(self, *_) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        codes = load("rest_client").encode(images, f"http://127.0.0.1:{server.server_port}")
        thread.join()
    np.testing.assert_array_equal(codes, hasher.encode(images))


def test_the_list_of_models_is_in_the_server_s_format():
    config = model_server_config_pb2.ModelServerConfig()
    text_format.Parse((FOLDER / "models.config").read_text(), config)
    (entry,) = config.model_config_list.config
    assert (entry.name, entry.base_path) == ("hasher", "/models/hasher")
