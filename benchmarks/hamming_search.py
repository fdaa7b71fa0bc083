"""Exact Hamming search: HammingIndex against FAISS IndexBinaryFlat, both on one thread.

    python benchmarks/hamming_search.py --rows 1000000
    python benchmarks/hamming_search.py --rows 10000000 --bits 64
    python benchmarks/hamming_search.py --data mnist.npz     # learned codes besides

Times are medians of runs that take turns, so that a slow moment of the machine hits all. FAISS runs
at the SIMD level at which it is fastest here, which is tried first. Answers are compared before
anything is timed. Needs `pip install faiss-cpu`.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_ae.retrieval import HammingIndex

Codes = npt.NDArray[np.uint8]
NEIGHBOURS = 10
REPEATS = {1: 51, 32: 11, 1000: 3}
LEVELS = ("", "generic", "avx2", "avx512")
ENGINES = ("FAISS", "scan", "multi_index")
PROBE = """
import sys, time, numpy, faiss
faiss.omp_set_num_threads(1)
codes = numpy.random.default_rng(0).integers(0, 256, (300_000, int(sys.argv[1]) // 8), "uint8")
index = faiss.IndexBinaryFlat(int(sys.argv[1]))
index.add(codes)
times = []
for _ in range(15):
    start = time.perf_counter()
    index.search(codes[:4], 10)
    times.append(time.perf_counter() - start)
print(min(times))
"""


def import_faiss(bits: int) -> tuple[Any, str]:
    """Return FAISS at its fastest level for such codes, which has to be set before the import."""
    seconds = {}
    for level in LEVELS:
        environment = {**os.environ, **({"FAISS_OPT_LEVEL": level} if level else {})}
        command = [sys.executable, "-c", PROBE, str(bits)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            seconds[level] = float(done.stdout)
    if not seconds:
        raise SystemExit("This benchmark compares with FAISS: pip install faiss-cpu")
    best = min(seconds, key=seconds.__getitem__)
    if best:
        os.environ["FAISS_OPT_LEVEL"] = best
    import faiss

    faiss.omp_set_num_threads(1)
    return faiss, best or "its own choice"


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
    parser.add_argument("--data", type=Path, help="Keras's mnist.npz, for learned codes")
    parser.add_argument("--memory", choices=ENGINES, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.memory:
        print(peak(arguments.memory, arguments.rows, arguments.bits[0]))
        return
    faiss, level = import_faiss(arguments.bits[0])
    print(f"{NEIGHBOURS} neighbours, one thread; FAISS {faiss.__version__}, SIMD level: {level}")

    print(f"\n{arguments.rows:,} random codes\n")
    print("| bits | queries | FAISS, ms | scan, ms | scan over FAISS |\n|---|---|---|---|---|")
    for bits in arguments.bits:
        codes, queries = random_codes(arguments.rows, bits), random_codes(1000, bits, seed=1)
        flat, index = flat_index(faiss, codes), filled(codes, "scan")
        for count in arguments.queries:
            compare(flat, index, queries[:count])
            theirs, ours = medians(
                REPEATS.get(count, 5),
                partial(flat.search, queries[:count], NEIGHBOURS),
                partial(index.search, queries[:count], NEIGHBOURS),
            )
            print(f"| {bits} | {count} | {theirs:.3f} | {ours:.3f} | {ours / theirs:.3f} |")

    print("\nCodes of 64 bits, one query at a time, microseconds a query\n")
    print("| codes | rows | FAISS | scan | multi_index | auto | auto over FAISS | auto chose |")
    print("|---|---|---|---|---|---|---|---|")
    kinds = {
        "clustered": clustered_codes(arguments.rows),
        "random": (random_codes(arguments.rows, 64), random_codes(1000, 64, seed=1)),
    }
    if arguments.data:
        kinds["MNIST, learned"] = learned_codes(arguments.data)
    for kind, (codes, queries) in kinds.items():
        flat = flat_index(faiss, codes)
        indexes = [filled(codes, method) for method in ("scan", "multi_index", "auto")]
        indexes[2].search(queries[:1000], NEIGHBOURS)  # So many, and it makes its choice.
        for index in indexes:
            compare(flat, index, queries[:200])
        functions = [
            partial(one_by_one, search, queries[:50])
            for search in (flat.search, *(index.search for index in indexes))
        ]
        times = [20 * milliseconds for milliseconds in medians(5, *functions)]
        cells = [kind, f"{len(codes):,}", *(f"{time:.1f}" for time in times)]
        cells += [f"{times[3] / times[0]:.3f}", indexes[2].why.split(":")[0]]
        print(f"| {' | '.join(cells)} |", flush=True)

    print("\nPeak memory above that of the codes alone, bytes a code, 64 bits\n")
    print("| FAISS | scan | multi_index |\n|---|---|---|")
    cells = []
    for engine in ENGINES:
        command = [sys.executable, __file__, "--memory", engine, "--bits", "64"]
        command += ["--rows", str(arguments.rows)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        cells.append(f"{float(done.stdout):.0f}")
    print(f"| {' | '.join(cells)} |")


def random_codes(rows: int, bits: int, seed: int = 0) -> Codes:
    return np.random.default_rng(seed).integers(0, 256, (rows, bits // 8), dtype=np.uint8)


def clustered_codes(rows: int) -> tuple[Codes, Codes]:
    """A thousand codes a cluster, each bit of a centre flipped with probability 0.08."""
    rng = np.random.default_rng(0)
    centres = random_codes(max(1, rows // 1000), 64, seed=2)

    def draw(count: int) -> Codes:
        flips = np.packbits(rng.random((count, 64), dtype=np.float32) < 0.08, axis=1)
        return np.asarray(centres[rng.integers(len(centres), size=count)] ^ flips)

    return np.concatenate([draw(min(100_000, rows)) for _ in range(0, rows, 100_000)]), draw(1000)


def learned_codes(path: Path) -> tuple[Codes, Codes]:
    """Training images to be found, test images as queries."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    import keras_ae

    with np.load(path) as file:
        x, y = (file[name].reshape(-1, 784) / np.float32(255) for name in ("x_train", "x_test"))
    keras.utils.set_random_seed(0)
    hasher = keras_ae.SemanticHasher.dense(784, bits=64)
    hasher.compile("adam", "binary_crossentropy")
    hasher.fit(x, epochs=10, batch_size=256, verbose=0)
    return hasher.encode(x, 2048), hasher.encode(y[:1000], 2048)


def flat_index(faiss: Any, codes: Codes) -> Any:
    index = faiss.IndexBinaryFlat(8 * codes.shape[1])
    index.add(codes)
    return index


def filled(codes: Codes, method: str) -> HammingIndex:
    index = HammingIndex(8 * codes.shape[1], method=method)
    index.add(codes)
    return index


def compare(flat: Any, index: HammingIndex, queries: Codes) -> None:
    expected, _ = flat.search(queries, NEIGHBOURS)
    if not np.array_equal(index.search(queries, NEIGHBOURS).distances, expected):
        raise SystemExit("HammingIndex and FAISS disagree on distances")


def one_by_one(search: Callable[[Codes, int], Any], queries: Codes) -> None:
    for i in range(len(queries)):
        search(queries[i : i + 1], NEIGHBOURS)


def peak(engine: str, rows: int, bits: int) -> float:
    """Return the memory that a process takes for an index and a search, besides the codes."""
    small = random_codes(100_000, bits)
    codes = random_codes(rows, bits)

    def search(codes: Codes) -> Any:
        if engine == "FAISS":
            index = flat_index(import_faiss(bits)[0], codes)
            index.search(codes[:1], NEIGHBOURS)
        else:
            index = filled(codes, engine)
            index.search(codes[:1], NEIGHBOURS)
        return index

    search(small)  # Libraries and compiled code are no part of it.
    # Linux's way to forget the peak so far.
    Path("/proc/self/clear_refs").write_text("5")
    before = kibibytes("VmRSS")
    search(codes)
    return 1024 * (kibibytes("VmHWM") - before) / rows


def kibibytes(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(name)).split()[1])


if __name__ == "__main__":
    main()
