"""A corpus from Parquet to a search: codes on Spark, an index in Milvus, a query.

    python examples/corpus.py                   # two executors and a file, on this machine
    python examples/corpus.py --master spark://host:7077 --uri http://milvus:19530

Needs `pip install "keras-ae[demo,milvus,spark]"` and Java. Only the two addresses differ between
this machine and a cluster.
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# The workers run the Python that runs this, and find one another on this machine.
os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")

import keras
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from data import command_line, start
from pyspark.sql import SparkSession

import keras_ae
from keras_ae.retrieval import MilvusIndex, precision_at_k, spark

BITS = 64


def main() -> None:
    parser = command_line(__doc__)
    parser.add_argument("--master", default="local-cluster[2,1,1024]", help="Spark's address")
    parser.add_argument("--uri", help="Milvus's address; a file in the folder by default")
    arguments, images = start(parser)
    out = arguments.out.resolve()
    keras.utils.set_random_seed(0)

    print("== Train on a part, and export")
    hasher = keras_ae.SemanticHasher.dense(images.x_train.shape[1], bits=BITS)
    hasher.compile("adam", "binary_crossentropy")
    hasher.fit(images.x_train, epochs=20, batch_size=64, verbose=0)
    keras_ae.export.to_onnx(hasher, out / "hasher.onnx", images.x_test)
    rows = {"id": pa.array(np.arange(len(images.x_train))), "x": pa.array(list(images.x_train))}
    pq.write_table(pa.table(rows), out / "images.parquet")

    print("== Encode on Spark, from Parquet to Parquet")
    session = SparkSession.builder.master(arguments.master).getOrCreate()
    corpus = session.read.parquet(str(out / "images.parquet")).repartition(8)
    codes = spark.encode(corpus, out / "hasher.onnx", "x").select("id", "code")
    codes.write.mode("overwrite").parquet(str(out / "codes"))
    session.stop()

    print("== Index in Milvus, and search")
    table = pq.read_table(out / "codes")
    content = np.frombuffer(b"".join(table["code"].to_pylist()), np.uint8)
    file = out / "corpus.db"
    file.unlink(missing_ok=True)
    index = MilvusIndex(arguments.uri or str(file), "corpus", BITS)
    index.add(content.reshape(-1, BITS // 8), table["id"].to_numpy())
    found = index.search(hasher.encode(images.x_test), k=10)
    precision = precision_at_k(images.y_train[found.ids], images.y_test, 10)
    print(
        f"{len(index)} codes; of the 10 nearest to a test image, {precision:.1%} are of its class"
    )


if __name__ == "__main__":
    main()
