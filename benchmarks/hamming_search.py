"""Exact Hamming search: HammingIndex against FAISS IndexBinaryFlat, both on one thread.

    python benchmarks/hamming_search.py --rows 1000000

Times are medians of runs that take turns, so that a slow moment of the machine hits both. Needs
`pip install faiss-cpu`.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from keras_ae.retrieval import HammingIndex

NEIGHBOURS = 10
REPEATS = {1: 51, 32: 11, 1000: 3}


def import_faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise SystemExit("This benchmark compares with FAISS: pip install faiss-cpu") from error
    faiss.omp_set_num_threads(1)
    return faiss


def medians(repeats: int, *functions: Callable[[], Any]) -> list[float]:
    """Milliseconds of each function, which take turns."""
    for function in functions:
        function()
    times: list[list[float]] = [[] for _ in functions]
    for _ in range(repeats):
        for function, record in zip(functions, times, strict=True):
            start = time.perf_counter()
            function()
            record.append(1000 * (time.perf_counter() - start))
    return [statistics.median(record) for record in times]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--bits", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--queries", type=int, nargs="+", default=[1, 32, 1000])
    arguments = parser.parse_args()
    faiss = import_faiss()
    rng = np.random.default_rng(0)

    print(f"{arguments.rows} random codes, {NEIGHBOURS} neighbours, one thread")
    print("bits  queries   FAISS ms  HammingIndex ms  ratio")
    for bits in arguments.bits:
        codes = rng.integers(0, 256, size=(arguments.rows, bits // 8), dtype=np.uint8)
        flat = faiss.IndexBinaryFlat(bits)
        flat.add(codes)
        index = HammingIndex(bits)
        index.add(codes)
        for count in arguments.queries:
            queries = rng.integers(0, 256, size=(count, bits // 8), dtype=np.uint8)
            expected, _ = flat.search(queries, NEIGHBOURS)
            if not np.array_equal(index.search(queries, NEIGHBOURS).distances, expected):
                raise SystemExit("HammingIndex and FAISS disagree on distances")
            theirs, ours = medians(
                REPEATS.get(count, 5),
                partial(flat.search, queries, NEIGHBOURS),
                partial(index.search, queries, NEIGHBOURS),
            )
            print(f"{bits:4}  {count:7}  {theirs:9.2f}  {ours:15.2f}  {ours / theirs:5.2f}")


if __name__ == "__main__":
    main()
