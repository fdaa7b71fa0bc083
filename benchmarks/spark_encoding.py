"""Codes on Spark: images a second and core, from Parquet to Parquet, by each runtime.

    python benchmarks/spark_encoding.py

Random images of 784 bytes, an encoder 784-512-256-64, Spark on this machine. The first pass of each
runtime starts the workers and loads the model; the better of two is reported. Needs
`pip install "keras-ae[export,spark]"` and Java.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import SparkSession

import keras_ae
from keras_ae.retrieval import spark

PIXELS = 784


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    hasher = keras_ae.SemanticHasher.dense(PIXELS, bits=64)
    images = rng.integers(0, 256, (arguments.rows, PIXELS), dtype="uint8")
    with tempfile.TemporaryDirectory() as folder:
        table = pa.table({"pixels": pa.array([row.tobytes() for row in images], pa.binary())})
        pq.write_table(table, Path(folder, "images.parquet"), row_group_size=20_000)
        x = images[:256].astype("float32") / 255
        keras_ae.export.to_tflite(hasher, Path(folder, "hasher.tflite"), x)
        keras_ae.export.to_onnx(hasher, Path(folder, "hasher.onnx"), x)
        builder = SparkSession.builder.master(f"local[{arguments.cores}]")
        for key, value in {
            "spark.ui.enabled": "false",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            "spark.driver.memory": "4g",
            "spark.sql.files.maxPartitionBytes": "40m",
        }.items():
            builder = builder.config(key, value)
        session = builder.getOrCreate()
        session.sparkContext.setLogLevel("OFF")
        print(f"{arguments.rows:,} images, {arguments.cores} cores\n")
        print("| artefact | seconds | images a second and core |\n|---|---|---|")
        for name in ("hasher.onnx", "hasher.tflite"):
            seconds = min(encode(session, folder, name) for _ in range(2))
            rate = arguments.rows / seconds / arguments.cores
            print(f"| {name} | {seconds:.1f} | {rate:,.0f} |")
        session.stop()


def encode(session: SparkSession, folder: str, name: str) -> float:
    start = time.perf_counter()
    images = session.read.parquet(f"{folder}/images.parquet")
    codes = spark.encode(images, f"{folder}/{name}", "pixels", divisor=255)
    codes.select("code").write.mode("overwrite").parquet(f"{folder}/codes")
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
