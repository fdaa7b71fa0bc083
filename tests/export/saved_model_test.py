"""Versions, warm-up requests and metadata of a SavedModel for TF Serving."""

import os
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from keras_ae import export
from keras_ae.export import _saved_model_process, saved_model_export


def requests(path: Path) -> list:
    file = path / "assets.extra" / "tf_serving_warmup_requests"
    return [
        prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        for record in tf.data.TFRecordDataset(str(file))
    ]


def test_versions_count_up_and_are_never_written_over(hasher, images, tmp_path):
    path = tmp_path / "models"
    assert export.to_saved_model(hasher, path, images[:4]).path == path / "1"
    assert export.to_saved_model(hasher, path, images[:4], version=10).path == path / "10"
    (path / "letter.txt").write_text("dear")
    assert export.to_saved_model(hasher, path, images[:4]).path == path / "11"
    before = (path / "10" / "saved_model.pb").stat().st_mtime_ns
    with pytest.raises(ValueError, match=r"version must not be there yet. Received: version=10,"):
        export.to_saved_model(hasher, path, images, version=10)
    assert (path / "10" / "saved_model.pb").stat().st_mtime_ns == before
    assert sorted(os.listdir(path)) == ["1", "10", "11", "letter.txt"]


def test_a_server_never_sees_half_a_version(hasher, images, tmp_path, monkeypatch):
    """What is there when the model is written, but not yet compared."""
    path, seen, run = tmp_path / "models", [], saved_model_export._run

    def look(temporary, exportable):
        seen.extend(os.listdir(path))
        return run(temporary, exportable)

    monkeypatch.setattr(saved_model_export, "_run", look)
    export.to_saved_model(hasher, path, images[:4])
    assert len(seen) == 1
    assert seen[0].startswith(".")
    assert os.listdir(path) == ["1"]


def test_a_failure_leaves_no_folder(hasher, images, tmp_path, monkeypatch):
    def fail(*args):
        raise export.ExportError("no")

    monkeypatch.setattr(saved_model_export, "_run", fail)
    with pytest.raises(export.ExportError):
        export.to_saved_model(hasher, tmp_path / "models", images[:4])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("version", [0, -1, 1.5, "2", True])
def test_refuses_other_versions(version, hasher, images, tmp_path):
    with pytest.raises(ValueError, match="version must be an integer >= 1"):
        export.to_saved_model(hasher, tmp_path / "models", images, version=version)
    assert list(tmp_path.iterdir()) == []


def test_refuses_what_is_no_folder_of_versions(hasher, images, tmp_path):
    (tmp_path / "file").write_text("dear")
    model = export.to_saved_model(hasher, tmp_path / "models", images[:4]).path
    for path in (tmp_path / "file", model):
        with pytest.raises(ValueError, match="path must be a folder of versions, or not exist"):
            export.to_saved_model(hasher, path, images)
    assert (tmp_path / "file").read_text() == "dear"


def test_the_warm_up_is_real_inputs_for_every_signature(hasher, images, tmp_path):
    path = export.to_saved_model(hasher, tmp_path / "models", images).path
    found = requests(path)
    expected = {
        (name, n)
        for name in ("serving_default", "encode", "logits", "reconstruct")
        for n in (1, 32)
    }
    shapes = set()
    model = tf.saved_model.load(path)
    for request in found:
        x = tf.make_ndarray(request.inputs["x"])
        np.testing.assert_array_equal(x, images[: len(x)])
        name = request.model_spec.signature_name
        shapes.add((name, len(x)))
        (output,) = model.signatures[name](x=tf.constant(x)).values()
        if name in {"serving_default", "encode"}:
            np.testing.assert_array_equal(output, hasher.encode(x))
    assert shapes == expected
    assert len(found) == len(expected)
    file = path / "assets.extra" / "tf_serving_warmup_requests"
    assert _saved_model_process.replay(model, file) == len(expected)


def test_a_warm_up_that_does_not_run_is_an_error(hasher, images, tmp_path, monkeypatch):
    write = saved_model_export._write_warmup

    def wrong(exportable, path):
        write(exportable, path)
        log = prediction_log_pb2.PredictionLog()
        request = log.predict_log.request
        request.model_spec.signature_name = "encode"
        request.inputs["x"].CopyFrom(tf.make_tensor_proto(images[:2, :19]))
        with tf.io.TFRecordWriter(str(path)) as writer:
            writer.write(log.SerializeToString())

    monkeypatch.setattr(saved_model_export, "_write_warmup", wrong)
    with pytest.raises(export.ExportError, match="The SavedModel does not run"):
        export.to_saved_model(hasher, tmp_path / "models", images)
    assert list(tmp_path.iterdir()) == []


def test_a_model_says_what_it_is(hasher, images, tmp_path):
    path = export.to_saved_model(hasher, tmp_path / "m", images, preprocessing="none").path
    said = export.read_metadata(path)
    export.to_tflite(hasher, tmp_path / "m.tflite", images)
    assert said["variant"] == export.read_metadata(tmp_path / "m.tflite")["variant"]
    assert (said["bits"], said["version"], said["preprocessing"]) == (16, 1, "none")
    assert said["signatures"]["reconstruct"] == "reconstruction"


def test_a_model_that_was_never_called_is_built_on_the_inputs(images, tmp_path):
    model = keras.Sequential([keras.layers.Dense(3)])
    path = export.to_saved_model(model, tmp_path / "model", images).path
    (y,) = tf.saved_model.load(path).signatures["serve"](x=tf.constant(images)).values()
    np.testing.assert_allclose(y, model.predict(images, verbose=0), atol=1e-5)
