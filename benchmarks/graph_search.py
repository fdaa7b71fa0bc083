"""Search inside a .tflite file beside an index in a file of its own: size and time, one thread.

    python benchmarks/graph_search.py

Random codes of 64 bits, 10 neighbours, one query at a time: the signature `search` of the file,
which encodes as well, against `HammingIndex.search` on a code that is there.
"""

import argparse
import os
import tempfile
from functools import partial
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from ai_edge_litert.interpreter import Interpreter

import keras_ae
from keras_ae.export import _tflite_search
from keras_ae.export._timing import seconds_of


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument(
        "--rows", type=int, nargs="+", default=[10_000, 100_000, 250_000, 1_000_000]
    )
    parser.add_argument("--quantize", default="int8", help="float32, float16, dynamic or int8")
    arguments = parser.parse_args()
    # To show what lies above the bound as well.
    _tflite_search._MOST_CODES = max(arguments.rows)
    rng = np.random.default_rng(0)
    x = rng.random((256, 784), dtype="float32")
    hasher = keras_ae.SemanticHasher.dense(784, bits=64)
    print("| codes | search in the graph, ms | its file, MiB | HammingIndex, ms | its file, MiB |")
    print("|---|---|---|---|---|")
    for rows in arguments.rows:
        index = keras_ae.HammingIndex(64)
        index.add(rng.integers(0, 256, (rows, 8), dtype="uint8"))
        with tempfile.TemporaryDirectory() as folder:
            path, beside = Path(folder, "search.tflite"), Path(folder, "index.safetensors")
            keras_ae.export.to_tflite(
                hasher,
                path,
                x[:16],
                quantize=arguments.quantize,
                calibration=x if arguments.quantize == "int8" else None,
                batch=1,
                index=index,
            )
            index.save(beside)
            sizes = [file.stat().st_size / 2**20 for file in (path, beside)]
            search = Interpreter(str(path), num_threads=1).get_signature_runner("search")
            code = hasher.encode(x[:1])
            times = [
                1000 * seconds_of(call, repeats=200)
                for call in (partial(search, x=x[:1]), partial(index.search, code, 10))
            ]
        cells = (times[0], sizes[0], times[1], sizes[1])
        print(f"| {rows:,} | {' | '.join(f'{cell:.3f}' for cell in cells)} |", flush=True)


if __name__ == "__main__":
    main()
