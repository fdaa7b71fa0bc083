"""The clients of export/serving, against servers of the same protocols on the loopback."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc
from tensorflow_serving.apis.predict_pb2 import PredictResponse
from tensorflow_serving.config import model_server_config_pb2

from keras_ae import export

LIBRARY = "libtensorflow_framework"
FOLDER = Path(__file__).parents[2] / "export" / "serving"


def load(name: str):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def path(hasher, images, tmp_path_factory):
    return export.to_saved_model(hasher, tmp_path_factory.mktemp("models") / "hasher", images).path


@pytest.fixture(scope="module")
def model(path):
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


def test_tensorflow_s_own_tool_shows_the_functions(path):
    tool = Path(sys.executable).with_name("saved_model_cli")
    shown = subprocess.run(
        [tool, "show", "--dir", path, "--tag_set", "serve"],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in ("serving_default", "encode", "logits", "reconstruct"):
        assert f'SignatureDef key: "{name}"' in shown


@pytest.mark.skipif(
    sys.platform != "linux" or shutil.which("cc") is None, reason="needs Linux and a C compiler"
)
def test_a_program_without_python_gets_keras_s_codes(path, hasher, images, tmp_path):
    """Linked to the library that a server is built from."""
    model = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    signature = model.meta_graphs[0].signature_def["serving_default"]
    (given, _), (operation, index) = (
        end.name.split(":") for end in (signature.inputs["x"], signature.outputs["codes"])
    )
    folder = Path(tf.sysconfig.get_lib())
    libraries = [next(folder.glob(f"{name}.so.*")) for name in ("libtensorflow_cc", LIBRARY)]
    subprocess.run(
        [
            "cc",
            Path(__file__).with_name("serve.c"),
            *("-o", tmp_path / "serve"),
            f"-I{tf.sysconfig.get_include()}",
            *libraries,
            f"-Wl,-rpath,{folder}",
        ],
        check=True,
    )
    process = subprocess.run(
        [tmp_path / "serve", path, given, operation, index, *map(str, images.shape)],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        input=images.tobytes(),
        capture_output=True,
        check=True,
    )
    codes = np.frombuffer(process.stdout, "uint8").reshape(len(images), -1)
    np.testing.assert_array_equal(codes, hasher.encode(images))
