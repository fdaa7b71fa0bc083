"""Operator sets, precisions and metadata of a .onnx file."""

import math

import keras
import numpy as np
import onnx
import onnxruntime
import pytest

from keras_ae import export
from keras_ae.export import onnx_export
from keras_ae.export.signatures import prepare


@pytest.fixture(scope="module")
def convolutional() -> keras.Model:
    keras.utils.set_random_seed(0)
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(16, 3, activation="gelu"),
            keras.layers.Conv2D(16, 3, activation="relu", name="wide"),
            keras.layers.Flatten(),
            keras.layers.Dense(16),
        ]
    )


def run(path, x) -> np.ndarray:
    return onnxruntime.InferenceSession(path).run(None, {"x": x})[0]


@pytest.mark.parametrize("opset", [13, 15, 18])
def test_the_operator_set_is_the_one_asked_for(opset, model, x, tmp_path):
    path = tmp_path / "model.onnx"
    result = export.to_onnx(model, path, x, opset=opset)
    sets = {entry.domain: entry.version for entry in onnx.load(path).opset_import}
    assert sets[""] == opset
    assert export.read_metadata(path)["opset"] == opset
    assert result.parity.equal_codes == 1.0
    np.testing.assert_array_equal(run(path, x), model.encode(x))


def test_exact_gelu_is_exact(tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Activation("gelu")])
    x = np.linspace(-6, 6, 121, dtype="float32")[:, None]
    export.to_onnx(model, tmp_path / "model.onnx", x)
    expected = [[v / 2 * math.erfc(-v / math.sqrt(2))] for v in x[:, 0].tolist()]
    np.testing.assert_allclose(run(tmp_path / "model.onnx", x), expected, atol=1e-6)


@pytest.mark.parametrize("quantize", ["dynamic", "static"])
def test_a_smaller_file_says_how_it_differs(quantize, model, x, tmp_path):
    path = tmp_path / "model.onnx"
    result = export.to_onnx(
        model, path, x, quantize=quantize, calibration=x if quantize == "static" else None
    )
    whole = export.to_onnx(model, tmp_path / "whole.onnx", x)
    assert result.size == path.stat().st_size < 0.7 * whole.size
    flips = np.unpackbits(run(path, x) ^ model.encode(x), axis=1).astype(bool)
    assert 0 < flips.mean() < 0.1
    assert result.parity.equal_bits == pytest.approx(1 - flips.mean())
    assert result.parity.equal_codes == pytest.approx(1 - flips.any(axis=1).mean())
    assert 0.3 < result.parity.neighbour_overlap < 1
    kernels = [onnx.numpy_helper.to_array(i) for i in onnx.load(path).graph.initializer]
    assert {k.dtype.name for k in kernels if k.ndim == 2} <= {"int8", "uint8"}


def test_static_rounds_nothing_but_the_inputs_of_layers(model, x, tmp_path):
    path = tmp_path / "model.onnx"
    export.to_onnx(model, path, x, quantize="static", calibration=x)
    nodes = onnx.load(path).graph.node
    taker = {name: node for node in nodes for name in node.input}
    rounded = [node.output[0] for node in nodes if node.op_type == "QuantizeLinear"]
    # The integers are read once, where a layer multiplies them.
    layers = [taker[taker[name].output[0]].op_type for name in rounded]
    assert layers == ["Gemm", "MatMul"]


@pytest.mark.parametrize("quantize", [None, "dynamic", "static"])
def test_tensors_that_a_layer_holds_are_constants(quantize, x, tmp_path):
    adapted = keras.layers.Normalization()
    adapted.adapt(5 * x + 3)
    # More units than a small kernel has values.
    wide = keras.layers.Dense(1100, "relu")
    model = keras.Sequential([keras.Input((64,)), adapted, wide, keras.layers.Dense(8)])
    path = tmp_path / "model.onnx"
    export.to_onnx(
        model, path, x, quantize=quantize, calibration=x if quantize == "static" else None
    )
    assert [given.name for given in onnx.load(path).graph.input] == ["x"]
    y = model.predict(x, verbose=0)
    assert np.sqrt(np.mean((run(path, x) - y) ** 2) / np.mean(y**2)) < (0.1 if quantize else 1e-5)


def test_static_reaches_convolutions_and_dynamic_is_refused_for_them(convolutional, tmp_path):
    x = np.random.default_rng(0).random((40, 8, 8, 1)).astype("float32")
    path = tmp_path / "model.onnx"
    export.to_onnx(convolutional, path, x, quantize="static", calibration=x)
    y = convolutional.predict(x, verbose=0)
    assert 0 < np.sqrt(np.mean((run(path, x) - y) ** 2) / np.mean(y**2)) < 0.1
    before = path.read_bytes()
    with pytest.raises(
        export.ExportError, match=r"not quantized: Conv of layer 'wide' has a float"
    ):
        export.to_onnx(convolutional, path, x, quantize="dynamic")
    assert path.read_bytes() == before


def test_a_graph_in_float_is_not_taken_for_quantized(model, x):
    exportable = prepare(model, x, ("encode",))
    with pytest.raises(export.ExportError, match=r"MatMul of layer '\w+' has a float32 kernel"):
        onnx_export._check_quantized(onnx_export._convert(exportable, 17), exportable)


def test_a_file_says_what_it_is(model, x, tmp_path):
    said = {}
    for name, function in (("a.onnx", export.to_onnx), ("a.tflite", export.to_tflite)):
        function(model, tmp_path / name, x, preprocessing="counts / largest")
        said[name] = export.read_metadata(tmp_path / name)
    for key in ("variant", "bits", "input", "preprocessing", "signatures", "quantize"):
        assert said["a.onnx"][key] == said["a.tflite"][key]
    assert said["a.onnx"]["preprocessing"] == "counts / largest"
    export.to_onnx(model, tmp_path / "b.onnx", x, quantize="dynamic")
    export.to_tflite(model, tmp_path / "b.tflite", x, quantize="dynamic")
    small = [export.read_metadata(tmp_path / name)["variant"] for name in ("b.onnx", "b.tflite")]
    assert len({*small, said["a.onnx"]["variant"]}) == 3


def test_a_model_that_was_never_called_is_built_on_the_inputs(x, tmp_path):
    model = keras.Sequential([keras.layers.Dense(3)])
    export.to_onnx(model, tmp_path / "model.onnx", x)
    y = run(tmp_path / "model.onnx", x)
    np.testing.assert_allclose(y, model.predict(x, verbose=0), atol=1e-5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"opset": 12}, "opset must be an integer from 13 to 18. Received: opset=12"),
        ({"opset": "17"}, "opset must be an integer from 13 to 18. Received: opset='17'"),
        ({"quantize": "int8"}, "quantize must be one of"),
        ({"quantize": "static"}, "calibration must be given for quantize='static'"),
        ({"quantize": "dynamic", "calibration": np.ones((3, 64))}, "and for nothing else"),
        ({"quantize": "static", "calibration": np.ones((3, 63))}, "calibration must have the sha"),
    ],
)
def test_refuses_bad_arguments(given, message, model, x, tmp_path):
    with pytest.raises(ValueError, match=message):
        export.to_onnx(model, tmp_path / "model.onnx", x, **given)
    assert list(tmp_path.iterdir()) == []
