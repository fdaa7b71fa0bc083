"""Artefacts made by others, compared with Keras."""

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
import tf2onnx

import keras_ae
from keras_ae import export


@pytest.fixture(scope="module")
def model() -> keras_ae.SemanticHasher:
    keras.utils.set_random_seed(0)
    return keras_ae.SemanticHasher.dense(64, hidden=(48,), bits=32)


@pytest.fixture(scope="module")
def folder(model, x, tmp_path_factory):
    path = tmp_path_factory.mktemp("artefacts")
    export.to_tflite(model, path / "all.tflite", x, ("reconstruct", "encode", "logits"))
    export.to_tflite(model, path / "int8.tflite", x, quantize="int8", calibration=x, batch=1)
    export.to_onnx(model, path / "model.onnx", x)
    export.to_saved_model(model, path / "saved", x)
    return path


def test_our_own_agree(folder, model, x):
    for name in ("all.tflite", "model.onnx", "saved/1"):
        parity = export.verify(folder / name, model, x)
        assert (parity.examples, parity.equal_codes) == (96, 1.0)
    said = export.read_metadata(folder / "int8.tflite")["parity"]
    found = export.verify(folder / "int8.tflite", model, x)
    for name in ("equal_bits", "equal_codes", "neighbour_overlap", "flipped_margin"):
        assert getattr(found, name) == said[name]


def test_a_stranger_s_file_is_matched_by_what_it_returns(model, x, tmp_path):
    """With names of their own, made without this package."""
    encoder = tf.function(
        lambda pixels: {"z": model.encoder(pixels)},
        input_signature=[tf.TensorSpec((None, 64), name="pixels")],
    )
    graph, _ = tf2onnx.convert.from_function(encoder, encoder.input_signature, opset=15)
    onnx.save(graph, tmp_path / "model.onnx")
    archive = keras.export.ExportArchive()
    archive.add_endpoint("anything", encoder)
    archive.write_out(str(tmp_path / "saved"), verbose=False)
    converter = tf.lite.TFLiteConverter.from_saved_model(str(tmp_path / "saved"))
    (tmp_path / "model.tflite").write_bytes(converter.convert())
    for name in ("model.onnx", "saved", "model.tflite"):
        parity = export.verify(tmp_path / name, model, x)
        assert parity.max_abs_error < 1e-5
        assert parity.equal_bits is None


def test_a_wrong_file_is_measured_and_not_refused(folder, x):
    keras.utils.set_random_seed(7)
    other = keras_ae.SemanticHasher.dense(64, hidden=(48,), bits=32)
    parity = export.verify(folder / "all.tflite", other, x)
    assert 0.2 < parity.equal_bits < 0.8
    assert parity.equal_codes == 0
    assert parity.max_abs_error > 0.1


def test_what_is_not_a_number_is_no_agreement(x, tmp_path):
    plain = keras.Sequential([keras.Input((64,)), keras.layers.Dense(3)])
    broken = keras.Sequential([keras.Input((64,)), keras.layers.Dense(3)])
    archive = keras.export.ExportArchive()
    nan = [np.full_like(weight, np.nan) for weight in broken.get_weights()]
    broken.set_weights(nan)
    spec = tf.TensorSpec((None, 64), name="x")
    archive.add_endpoint("serve", tf.function(lambda x: {"y": broken(x)}, input_signature=[spec]))
    archive.write_out(str(tmp_path / "model"), verbose=False)
    assert np.isnan(export.verify(tmp_path / "model", plain, x).max_abs_error)


def test_the_table_has_a_row_each(folder, model, x):
    paths = [folder / name for name in ("all.tflite", "int8.tflite", "model.onnx", "saved/1")]
    lines = export.compare(paths, model, x).splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert len(rows) == 6
    assert {len(row) for row in rows} == {9}
    assert [row[0] for row in rows[2:]] == ["all.tflite", "int8.tflite", "model.onnx", "saved/1"]
    assert [row[3] == "100.00%" for row in rows[2:]] == [True, False, True, True]
    assert [row[-1].split()[0] for row in rows[2:]] == [
        "LiteRT", "LiteRT", "onnxruntime", "TensorFlow"
    ]  # fmt: skip
    assert all(float(row[6]) > 0 and float(row[7]) > 0 for row in rows[2:])


def test_refuses_what_it_cannot_compare(folder, model, x, tmp_path):
    (tmp_path / "text").write_text("dear")
    for name in ("text", "missing"):
        with pytest.raises(ValueError, match=r"path must be a \.tflite or \.onnx file or the fold"):
            export.verify(tmp_path / name, model, x)
    other = keras.Sequential([keras.Input((64,)), keras.layers.Dense(7)])
    with pytest.raises(ValueError, match=r"path must have a function that returns what one of"):
        export.verify(folder / "model.onnx", other, x)
