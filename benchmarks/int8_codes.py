"""Codes in int8: how many stay as they are, and how well they find, with and without hidden noise.

    python benchmarks/int8_codes.py --data mnist.npz

Trains `SemanticHasher.dense` with each amount of noise in its hidden layers, exports it to TFLite
in int8, and searches the training images with the test images: with codes of Keras, and with
queries and database both encoded by the file.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

import keras_ae
from keras_ae.retrieval import precision_at_k

Array = npt.NDArray[np.float32]
Codes = npt.NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--data", type=Path, required=True, help="Keras's mnist.npz")
    parser.add_argument("--noise", type=float, nargs="+", default=[0.0, 0.05, 0.1])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--bits", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=1)
    arguments = parser.parse_args()
    with np.load(arguments.data) as file:
        x, x_test = (
            file[name].reshape(-1, 784) / np.float32(255) for name in ("x_train", "x_test")
        )
        y, y_test = file["y_train"], file["y_test"]
    print(
        "| hidden noise | seed | P@10, P@100 in Keras | in int8 | bits equal | codes equal "
        "| neighbours in common | training, s |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for noise in arguments.noise:
        for seed in range(arguments.seeds):
            keras.utils.set_random_seed(seed)
            hasher = keras_ae.SemanticHasher.dense(
                784, bits=arguments.bits, contraction=1e-4, hidden_noise=noise
            )
            hasher.compile("adam", "binary_crossentropy")
            start = time.perf_counter()
            hasher.fit(x, epochs=arguments.epochs, batch_size=256, verbose=0)
            seconds = time.perf_counter() - start
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder, "int8.tflite")
                parity = keras_ae.export.to_tflite(
                    hasher, path, x_test, quantize="int8", calibration=x[:500]
                ).parity
                encode = Interpreter(str(path)).get_signature_runner("encode")
                small = [
                    np.concatenate(
                        [encode(x=part[i : i + 1000])["codes"] for i in range(0, len(part), 1000)]
                    )
                    for part in (x, x_test)
                ]
            whole = [hasher.encode(part, batch_size=2048) for part in (x, x_test)]
            cells = [
                f"{noise:g}",
                f"{seed}",
                *(quality(codes, y, y_test) for codes in (whole, small)),
                *(
                    f"{share:.2%}"
                    for share in (parity.equal_bits, parity.equal_codes, parity.neighbour_overlap)
                ),
                f"{seconds:.0f}",
            ]
            print(f"| {' | '.join(cells)} |", flush=True)


def quality(codes: list[Codes], y: npt.NDArray[Any], y_test: npt.NDArray[Any]) -> str:
    database, queries = codes
    index = keras_ae.HammingIndex(8 * database.shape[1])
    index.add(database)
    labels = y[index.search(queries, 100).ids]
    return ", ".join(f"{precision_at_k(labels, y_test, k):.4f}" for k in (10, 100))


if __name__ == "__main__":
    main()
