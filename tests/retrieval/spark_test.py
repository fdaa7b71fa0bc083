"""Codes of a corpus on Spark: two executors on this machine, one of which is killed."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import keras_ae
from keras_ae.retrieval import HammingIndex, spark

pytestmark = [
    pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java, which is not here"),
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
ROOT = Path(__file__).parents[2]
ROWS = 6000


@pytest.fixture(scope="module")
def session():
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    # The first address that Spark would take may be one that other machines reach.
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    settings = {
        "spark.ui.enabled": "false",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.executorEnv.PYTHONPATH": str(ROOT),
        "spark.sql.execution.arrow.maxRecordsPerBatch": "100",
        "spark.sql.shuffle.partitions": "30",
    }
    builder = SparkSession.builder.master("local-cluster[2,1,1024]").appName("keras_ae")
    for key, value in settings.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> dict:
    """A hasher in three forms, its images in Parquet, and their codes by Keras."""
    keras.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("corpus")
    hasher = keras_ae.SemanticHasher.dense(36, hidden=(16,), bits=32)
    pixels = np.random.default_rng(0).integers(0, 256, (ROWS, 36), dtype="uint8")
    x = pixels.astype("float32") / np.float32(255)
    for name, function, more in (
        ("hasher.onnx", keras_ae.export.to_onnx, {}),
        ("hasher.tflite", keras_ae.export.to_tflite, {}),
        ("one.tflite", keras_ae.export.to_tflite, {"batch": 1}),
        ("logits.onnx", keras_ae.export.to_onnx, {"signature": "logits"}),
    ):
        function(hasher, folder / name, x[:32], **more)
    table = {
        "id": pa.array(np.arange(ROWS)),
        "pixels": pa.array([row.tobytes() for row in pixels], pa.binary()),
        "floats": pa.array(list(x), pa.list_(pa.float32())),
        "text": pa.array(["a"] * ROWS),
    }
    pq.write_table(pa.table(table), folder / "images.parquet")
    return {"folder": folder, "codes": hasher.encode(x)}


def images(session, corpus, partitions: int = 8):
    path = str(corpus["folder"] / "images.parquet")
    return session.read.parquet(path).repartition(partitions)


def assert_codes(rows, corpus) -> None:
    assert sorted(row.id for row in rows) == list(range(ROWS))
    codes = np.stack([np.frombuffer(row.code, np.uint8) for row in sorted(rows)])
    np.testing.assert_array_equal(codes, corpus["codes"])


@pytest.mark.parametrize("artefact", ["hasher.onnx", "hasher.tflite", "one.tflite"])
@pytest.mark.parametrize("column", ["pixels", "floats"])
def test_codes_equal_keras_s(artefact, column, session, corpus):
    divisor = 255.0 if column == "pixels" else 1.0
    result = spark.encode(
        images(session, corpus), corpus["folder"] / artefact, column, divisor=divisor
    )
    assert result.columns == ["id", "pixels", "floats", "text", "code"]
    assert_codes(result.select("id", "code").collect(), corpus)


def executors() -> list[int]:
    lines = subprocess.run(
        ["ps", "-ww", "-eo", "pid,args"], capture_output=True, text=True, check=True
    )
    return [
        int(line.split()[0])
        for line in lines.stdout.splitlines()
        if "CoarseGrainedExecutorBackend" in line and " --app-id " in line
    ]


def test_an_executor_that_is_killed_loses_nothing(session, corpus, tmp_path):
    result = spark.encode(
        images(session, corpus, 60), corpus["folder"] / "hasher.onnx", "pixels", divisor=255
    )
    out = tmp_path / "codes"
    job = threading.Thread(target=lambda: result.select("id", "code").write.parquet(str(out)))
    tracker = session.sparkContext.statusTracker()
    before = executors()
    assert len(before) == 2
    job.start()
    # In the middle: some tasks of the last stage are done, and some are not.
    deadline = time.monotonic() + 60
    done = 0
    while not 3 <= done < 50 and time.monotonic() < deadline:
        time.sleep(0.02)
        stages = [tracker.getStageInfo(i) for i in tracker.getActiveStageIds()]
        done = max((s.numCompletedTasks for s in stages if s and s.numTasks == 60), default=0)
    os.kill(before[0], signal.SIGKILL)
    assert 3 <= done < 50
    job.join(120)
    assert not job.is_alive()
    assert set(executors()) != set(before)
    table = pq.read_table(out)
    ids = table["id"].to_numpy()
    assert sorted(ids.tolist()) == list(range(ROWS))
    content = b"".join(table["code"].to_pylist())
    codes = np.frombuffer(content, np.uint8).reshape(-1, 4)
    np.testing.assert_array_equal(codes[np.argsort(ids)], corpus["codes"])
    index = HammingIndex(32)
    index.add(codes, ids)
    np.testing.assert_array_equal(index.reconstruct(np.arange(ROWS)), corpus["codes"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input_col": "text"}, "arrays of numbers, or a binary one. Received: input_col='text'"),
        ({"input_col": "none"}, "Received: input_col='none' of type None"),
        ({"code_col": "id"}, "code_col must be a name that is free"),
        ({"divisor": 0}, "divisor must be a finite number >= 1e-30"),
        ({"offset": float("inf")}, "offset must be a finite number"),
        ({"artefact": "missing.onnx"}, "artefact must be a .onnx or .tflite file"),
        ({"artefact": "images.parquet"}, "artefact must be a .onnx or .tflite file"),
        ({"artefact": "logits.onnx"}, r"artefact must be .* it returns tensor\(float\)"),
        ({"shape": (6, 6)}, r"shape must be None or .*\(36,\). Received: shape=\(6, 6\)"),
        ({"shape": 36}, "shape must be None or"),
        ({"shape": (0,)}, "shape must be None or"),
        ({"dataframe": 3}, "dataframe must be a Spark DataFrame"),
    ],
)
def test_refuses_bad_arguments(changes, message, session, corpus):
    given = {
        "dataframe": images(session, corpus),
        "artefact": "hasher.onnx",
        "input_col": "pixels",
        **changes,
    }
    given["artefact"] = corpus["folder"] / given["artefact"]
    with pytest.raises(ValueError, match=message):
        spark.encode(**given)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[0.0] * 36, None], "x must not have missing values"),
        ([[0.0] * 36, [0.0] * 35], "x must have values of one length"),
        ([[0.0] * 36, [None] * 36], "x must not have missing values"),
    ],
)
def test_bad_inputs_fail_by_name(values, message, session, corpus):
    frame = session.createDataFrame([(row,) for row in values], "x array<float>").repartition(1)
    result = spark.encode(frame, corpus["folder"] / "hasher.onnx", "x")
    with pytest.raises(Exception, match=message):
        result.collect()


def test_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyspark.sql", None)
    with pytest.raises(ImportError, match=r'pyspark is needed for this: pip install "keras-ae\['):
        spark.encode(None, "hasher.onnx", "x")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([0.5] * 35, r"v must have 36 values a row, for inputs of shape \(36,\). Received: 35"),
        ([float("nan")] * 36, "v must have finite values"),
        ([None] * 36, "v must not have missing values"),
    ],
)
def test_an_input_that_is_none_fails_its_task(value, message, session, corpus):
    frame = session.createDataFrame([(value,)], "v array<double>")
    result = spark.encode(frame, corpus["folder"] / "hasher.onnx", "v")
    with pytest.raises(Exception, match=message):
        result.collect()
