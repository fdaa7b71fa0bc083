"""Precisions of a .tflite file, the checks of its bytes, and what it says of itself."""

import json
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

import keras_ae
from keras_ae import export
from keras_ae.export import _flatbuffer, signatures
from keras_ae.ops.bits import pack_bits

NAMES = ("encode", "logits", "reconstruct")


def arguments(quantize: str, x: np.ndarray) -> dict:
    return {"quantize": quantize, "calibration": x if quantize == "int8" else None}


@pytest.fixture(scope="module")
def files(model, x, tmp_path_factory) -> dict[str, tuple[Path, export.ExportResult]]:
    folder = tmp_path_factory.mktemp("files")
    return {
        quantize: (
            folder / f"{quantize}.tflite",
            export.to_tflite(
                model, folder / f"{quantize}.tflite", x, NAMES, **arguments(quantize, x)
            ),
        )
        for quantize in ("float32", "float16", "dynamic", "int8")
    }


def run(path: Path, name: str, x: np.ndarray) -> np.ndarray:
    (output,) = Interpreter(str(path)).get_signature_runner(name)(x=x).values()
    return output


@pytest.mark.parametrize("quantize", ["float16", "dynamic", "int8"])
def test_a_smaller_file_says_how_it_differs(quantize, files, model, x):
    path, result = files[quantize]
    assert result.size == path.stat().st_size < 0.7 * files["float32"][1].size
    theirs, ours = run(path, "encode", x), model.encode(x)
    flips = np.unpackbits(theirs ^ ours, axis=1, bitorder="little").astype(bool)
    parity = result.parity
    assert parity.equal_bits == pytest.approx(1 - flips.mean())
    assert parity.equal_codes == pytest.approx(1 - flips.any(axis=1).mean())
    assert parity.distinct_codes == len({code.tobytes() for code in ours}) > 20
    if flips.any():
        assert parity.flipped_margin == pytest.approx(np.abs(model.logits(x))[flips].min())
    assert parity.neighbour_overlap == pytest.approx(overlap(ours, theirs))
    assert parity.neighbour_overlap > 0.5
    errors = [
        np.abs(run(path, name, x) - function(x)).max()
        for name, function in (("logits", model.logits), ("reconstruct", model.reconstruct))
    ]
    assert parity.max_abs_error == pytest.approx(max(errors), rel=1e-3)
    assert parity.max_abs_error > 10 * files["float32"][1].parity.max_abs_error


def overlap(ours: np.ndarray, theirs: np.ndarray) -> float:
    """By hand: the ten nearest of the others, ties by the lower index, one by one."""

    def nearest(codes: np.ndarray, i: int) -> set[int]:
        distances = [
            int.from_bytes(a.tobytes()) ^ int.from_bytes(codes[i].tobytes()) for a in codes
        ]
        order = sorted((d.bit_count(), j) for j, d in enumerate(distances) if j != i)
        return {j for _, j in order[:10]}

    shared = [len(nearest(ours, i) & nearest(theirs, i)) for i in range(len(ours))]
    return sum(shared) / (10 * len(ours))


def test_int8_computes_in_int8(files):
    path, result = files["int8"]
    assert {"QUANTIZE", "DEQUANTIZE"} < set(result.operators)
    file = _flatbuffer.parse(path.read_bytes())
    for subgraph in file.subgraphs:
        types = {
            subgraph.tensors[operation.inputs[0]].type
            for operation in subgraph.operators
            if file.operatorCodes[operation.opcodeIndex].builtinCode == 9  # FULLY_CONNECTED
        }
        assert types == {9}  # INT8


def test_logits_cut_off_near_0_keep_more_codes(files, model, x, tmp_path, monkeypatch):
    path, result = files["int8"]
    monkeypatch.setattr(
        signatures, "_sharpened", lambda encoder, _: lambda x: pack_bits(encoder(x))
    )
    plain = export.to_tflite(model, tmp_path / "p.tflite", x, quantize="int8", calibration=x)
    assert result.parity.equal_codes > plain.parity.equal_codes
    # They cost nothing: the cut is a part of the dense layer.
    assert not {"MINIMUM", "MAXIMUM", "RELU_N1_TO_1"} & set(result.operators)
    # And what is asked for as logits is not cut.
    assert np.abs(run(path, "logits", x)).max() > 0.8 * np.abs(model.logits(x)).max()


def test_logits_of_any_size_are_cut_off_at_their_own(x, tmp_path):
    """From a thousandth to a thousand times: one bound for all would cut nothing, or everything."""
    shares = []
    for scale in (1e-3, 1.0, 1e3):
        keras.utils.set_random_seed(1)
        encoder = keras.Sequential([keras.Input((64,)), keras.layers.Dense(32, use_bias=False)])
        encoder.layers[0].kernel.assign(encoder.layers[0].kernel * scale)
        hasher = keras_ae.SemanticHasher(encoder, keras.layers.Dense(64), bits=32)
        hasher.build((None, 64))
        result = export.to_tflite(
            hasher, tmp_path / "a.tflite", x - 0.5, quantize="int8", calibration=x - 0.5
        )
        shares.append(result.parity.equal_bits)
    assert min(shares) > 0.99
    assert max(shares) - min(shares) < 0.002


@pytest.mark.parametrize("quantize", ["float32", "int8"])
def test_one_example_at_a_time(quantize, model, x, tmp_path):
    path = tmp_path / "one.tflite"
    result = export.to_tflite(model, path, x[:20], batch=1, **arguments(quantize, x))
    assert result.parity.examples == 20
    details = Interpreter(str(path)).get_input_details()
    assert [tuple(detail["shape_signature"]) for detail in details] == [(1, 64)]
    assert export.read_metadata(path)["input"]["shape"] == [1, 64]
    codes = np.concatenate([run(path, "encode", x[i : i + 1]) for i in range(20)])
    flips = np.unpackbits(codes ^ model.encode(x[:20]))
    assert result.parity.equal_bits == pytest.approx(1 - flips.mean())


def test_what_an_old_runtime_lacks_is_named_with_its_layer(model, x, tmp_path):
    new, old = tmp_path / "new.tflite", tmp_path / "old.tflite"
    export.to_tflite(model, new, x, quantize="dynamic", target_runtime="litert")
    export.to_tflite(model, old, x, quantize="dynamic", target_runtime="2.16")
    layers, sizes = ["dense_of_another", "code", "dense"], [64 * 48, 48 * 32]
    _flatbuffer.check(_flatbuffer.parse(old.read_bytes()), "dynamic", "2.16", layers, sizes)
    file = _flatbuffer.parse(new.read_bytes())
    layers = [layer.name for layer in model._flatten_layers()]
    _flatbuffer.check(file, "dynamic", "litert", layers, sizes)
    with pytest.raises(
        export.ExportError,
        match=r"2\.16 cannot run: FULLY_CONNECTED version 12 of layer '\w+'; 2\.16 has it up to 11",
    ):
        _flatbuffer.check(file, "dynamic", "2.16", layers, sizes)


@pytest.mark.parametrize(
    ("written", "wanted"),
    [("float32", "int8"), ("float32", "float16"), ("float16", "int8"), ("int8", "float32")],
)
def test_a_signature_that_is_not_quantized_is_refused(written, wanted, files):
    file = _flatbuffer.parse(files[written][0].read_bytes())
    with pytest.raises(export.ExportError, match=f"'encode' is not quantized to {wanted}: FULLY_"):
        _flatbuffer.check(file, wanted, "2.16", [], [])


def test_one_signature_that_stays_float_is_refused(files):
    """As when a calibration feeds one signature and not the next."""
    mixed, plain = (
        _flatbuffer.parse(files[quantize][0].read_bytes()) for quantize in ("int8", "float32")
    )
    index = {s.signatureKey: s.subgraphIndex for s in mixed.signatureDefs}[b"reconstruct"]
    codes, buffers = len(mixed.operatorCodes), len(mixed.buffers)
    mixed.operatorCodes += plain.operatorCodes
    mixed.buffers += plain.buffers
    subgraph = plain.subgraphs[index]
    for operation in subgraph.operators:
        operation.opcodeIndex += codes
    for tensor in subgraph.tensors:
        tensor.buffer += buffers
    mixed.subgraphs[index] = subgraph
    with pytest.raises(export.ExportError, match="'reconstruct' is not quantized to int8"):
        _flatbuffer.check(mixed, "int8", "2.16", [], [])


@pytest.mark.parametrize("sizes", [[64 * 48, 48 * 32] * 3, [1100]])
def test_a_file_whose_size_does_not_fit_the_weights_is_refused(sizes, files):
    file = _flatbuffer.parse(files["float32"][0].read_bytes())
    # The file holds both kernels and their transposed ones: 36,864 bytes.
    grown = [np.zeros(2**16, "uint8")] if len(sizes) == 1 else []
    for buffer in grown:
        file.buffers[-1].data = buffer
    with pytest.raises(export.ExportError, match="bytes of constants, which does not fit weights"):
        _flatbuffer.check(file, "float32", "2.16", [], [n * 2 for n in sizes])


def test_uninitialised_variables_are_refused():
    """The way that TensorFlow's guide shows, for a model of Keras 3."""
    dense = keras.layers.Dense(3, name="some_layer")
    dense.build((None, 4))
    function = tf.function(dense.call, input_signature=[tf.TensorSpec((None, 4))])
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()], dense
    )
    file = _flatbuffer.parse(converter.convert())
    assert "VAR_HANDLE" in _flatbuffer.operators(file)
    with pytest.raises(export.ExportError, match="an operator that a phone lacks: VAR_HANDLE"):
        _flatbuffer.check(file, "float32", "litert", ["some_layer"], [12])


@keras.saving.register_keras_serializable("tests")
class Digamma(keras.layers.Layer):
    def call(self, inputs):
        return tf.math.digamma(inputs + 1.0)


def test_an_unsupported_operator_is_named_with_its_layer(tmp_path):
    layers = [keras.layers.Dense(3, name="first"), Digamma(name="the_culprit")]
    model = keras.Sequential([keras.Input((4,)), *layers])
    with pytest.raises(export.ExportError, match="an operator of layer 'the_culprit'"):
        export.to_tflite(model, tmp_path / "model.tflite")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"quantize": "int4"}, "quantize must be one of"),
        ({"quantize": "int8"}, "calibration must be given for quantize='int8', and for nothing"),
        ({"calibration": np.ones((3, 64))}, "calibration must be given for quantize='int8'"),
        ({"batch": 2}, "batch must be 1 or None. Received: batch=2"),
        ({"target_runtime": "2.14"}, "target_runtime must be one of"),
        ({"quantize": "int8", "calibration": np.ones((3, 63))}, r"calibration must have the shape"),
        ({"quantize": "int8", "calibration": np.ones((0, 64))}, "calibration must"),
        ({"quantize": "int8", "calibration": np.full((3, 64), np.nan)}, "calibration must be fin"),
        ({"quantize": "int8", "calibration": np.ones((3, 64))}, "calibration must vary"),
        (
            {"quantize": "int8", "calibration": np.eye(64) / 255},
            r"calibration must have the range of inputs, from .* calibration from 0 to 0\.0039",
        ),
    ],
)
def test_refuses_bad_arguments(given, message, model, x, tmp_path):
    with pytest.raises(ValueError, match=message):
        export.to_tflite(model, tmp_path / "model.tflite", x, **given)
    assert list(tmp_path.iterdir()) == []


def test_a_model_that_was_never_called_is_built_on_the_inputs(x, tmp_path):
    model = keras.Sequential([keras.layers.Dense(3)])
    export.to_tflite(model, tmp_path / "model.tflite", x)
    np.testing.assert_allclose(
        run(tmp_path / "model.tflite", "serve", x), model.predict(x, verbose=0), atol=1e-5
    )


def test_a_file_says_what_it_is_in_itself_and_beside_it(files, x):
    path, result = files["int8"]
    said = export.read_metadata(path)
    assert said == json.loads(path.with_name("int8.tflite.json").read_text())
    assert (said["bits"], said["bit_order"], said["threshold"]) == (32, "little", 0.0)
    assert said["input"] == {
        "name": "x",
        "shape": [None, 64],
        "dtype": "float32",
        "range": [pytest.approx(x.min()), pytest.approx(x.max())],
    }
    outputs = {"encode": "codes", "logits": "logits", "reconstruct": "reconstruction"}
    assert said["signatures"] == outputs
    assert said["parity"]["equal_bits"] == result.parity.equal_bits
    assert said["versions"]["tensorflow"] == tf.__version__


def test_a_variant_is_a_function_from_inputs_to_codes(files, model, tmp_path):
    names = {q: export.read_metadata(path)["variant"] for q, (path, _) in files.items()}
    assert len(set(names.values())) == 4
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    export.to_tflite(again, tmp_path / "again.tflite", batch=1)
    assert export.read_metadata(tmp_path / "again.tflite")["variant"] == names["float32"]
    bias = again.encoder.weights[1]
    bias.assign(bias + 1e-6)
    export.to_tflite(again, tmp_path / "other.tflite")
    assert export.read_metadata(tmp_path / "other.tflite")["variant"] != names["float32"]
    twin = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, "tanh")])
    other = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2, "sigmoid")])
    other.set_weights(twin.get_weights())
    for name, each in (("twin", twin), ("other", other)):
        export.to_tflite(each, tmp_path / name)
    twins = [export.read_metadata(tmp_path / name)["variant"] for name in ("twin", "other")]
    assert twins[0] != twins[1]


def test_what_is_no_artefact_is_refused(tmp_path):
    (tmp_path / "text").write_text("dear")
    (tmp_path / "truncated").write_bytes(b"\x1c\x00\x00\x00TFL3\x00\x00")
    (tmp_path / "folder").mkdir()
    for name in ("text", "truncated", "folder", "missing"):
        with pytest.raises(ValueError, match=r"path must be an artefact of keras_ae\.export"):
            export.read_metadata(tmp_path / name)


def test_a_full_disk_leaves_the_old_file(model, x, tmp_path, monkeypatch):
    path = tmp_path / "model.tflite"
    export.to_tflite(model, path, x[:12])
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    assert set(before) == {"model.tflite", "model.tflite.json"}

    def full(self, text):
        raise OSError(28, "No space left on device")

    for method in ("write_bytes", "write_text"):
        with monkeypatch.context() as patch:
            patch.setattr(Path, method, full)
            with pytest.raises(OSError, match="No space left"):
                export.to_tflite(model, path, x[:13])
        assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
