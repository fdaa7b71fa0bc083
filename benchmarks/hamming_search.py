"""Exact Hamming search: HammingIndex against FAISS IndexBinaryFlat and USearch, on one thread.

    python benchmarks/hamming_search.py --rows 1000000
    python benchmarks/hamming_search.py --rows 10000000 --bits 64
    python benchmarks/hamming_search.py --data mnist.npz     # learned codes besides

Times are medians of runs that take turns, so that a slow moment of the machine hits all. FAISS runs
at the SIMD level at which it is fastest here, which is tried first. Answers are compared before
anything is timed. USearch searches exactly in the first table, and by its graph of neighbours
(HNSW), whose recall stands beside its time, in the second. Needs `pip install faiss-cpu usearch`.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_ae.retrieval import HammingIndex

Codes = npt.NDArray[np.uint8]
NEIGHBOURS = 10
REPEATS = {1: 51, 32: 11, 1000: 3}
# Beyond these it takes too long.
MOST_QUERIES_OF_USEARCH = 32
MOST_ROWS_IN_GRAPH = 1_000_000
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
    print(
        f"{NEIGHBOURS} neighbours, one thread; FAISS {faiss.__version__}, SIMD level: {level}; "
        f"USearch {version('usearch')}"
    )
    print(f"\n{arguments.rows:,} random codes\n")
    time_scans(faiss, arguments.rows, arguments.bits, arguments.queries)
    print("\nCodes of 64 bits, one query at a time, microseconds a query\n")
    time_methods(faiss, arguments.rows, arguments.data)
    print("\nPeak memory above that of the codes alone, bytes a code, 64 bits\n")
    print("| FAISS | scan | multi_index |\n|---|---|---|")
    cells = []
    for engine in ENGINES:
        command = [sys.executable, __file__, "--memory", engine, "--bits", "64"]
        command += ["--rows", str(arguments.rows)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        cells.append(f"{float(done.stdout):.0f}")
    print(f"| {' | '.join(cells)} |")


def time_scans(faiss: Any, rows: int, widths: list[int], counts: list[int]) -> None:
    print("| bits | queries | FAISS, ms | USearch, ms | scan, ms | scan over FAISS |")
    print("|---|---|---|---|---|---|")
    for bits in widths:
        codes, queries = random_codes(rows, bits), random_codes(1000, bits, seed=1)
        flat, index = flat_index(faiss, codes), filled(codes, "scan")
        for count in counts:
            asked = queries[:count]
            compare(flat, index.search(asked, NEIGHBOURS).distances, asked)
            theirs, ours = medians(
                REPEATS.get(count, 5),
                partial(flat.search, asked, NEIGHBOURS),
                partial(index.search, asked, NEIGHBOURS),
            )
            other = ""
            if count <= MOST_QUERIES_OF_USEARCH:
                compare(flat, usearch_exact(codes, asked), asked)
                other = f"{medians(3, partial(usearch_exact, codes, asked))[0]:.3f}"
            print(
                f"| {bits} | {count} | {theirs:.3f} | {other} | {ours:.3f} | {ours / theirs:.3f} |"
            )


def time_methods(faiss: Any, rows: int, data: Path | None) -> None:
    print(
        "| codes | rows | FAISS | USearch's graph | its recall | scan | multi_index | auto "
        "| auto over FAISS | auto chose |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    kinds = {
        "clustered": clustered_codes(rows),
        "random": (random_codes(rows, 64), random_codes(1000, 64, seed=1)),
    }
    if data:
        kinds["MNIST, learned"] = learned_codes(data)
    for kind, (codes, queries) in kinds.items():
        flat = flat_index(faiss, codes)
        indexes = [filled(codes, method) for method in ("scan", "multi_index", "auto")]
        indexes[2].search(queries[:1000], NEIGHBOURS)  # So many, and it makes its choice.
        for index in indexes:
            compare(flat, index.search(queries[:200], NEIGHBOURS).distances, queries[:200])
        searches = [flat.search, *(index.search for index in indexes)]
        recall = ""
        if len(codes) <= MOST_ROWS_IN_GRAPH:
            graph = usearch_graph(codes)
            expected, _ = flat.search(queries, NEIGHBOURS)
            found = graph(queries, NEIGHBOURS).distances
            recall = f"{np.mean(found <= expected[:, -1:]):.3f}"
            searches.append(graph)
        functions = [partial(one_by_one, search, queries[:50]) for search in searches]
        times = [20 * milliseconds for milliseconds in medians(5, *functions)]
        theirs, scan, tables, auto, *other = (f"{time:.1f}" for time in times)
        cells = [kind, f"{len(codes):,}", theirs, *(other or [""]), recall, scan, tables, auto]
        cells += [f"{times[3] / times[0]:.3f}", indexes[2].why.split(":")[0]]
        print(f"| {' | '.join(cells)} |", flush=True)


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
    hasher = keras_ae.SemanticHasher.dense(784, bits=64, contraction=1e-4)
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


def compare(flat: Any, distances: npt.NDArray[Any], queries: Codes) -> None:
    expected, _ = flat.search(queries, NEIGHBOURS)
    if not np.array_equal(distances, expected):
        raise SystemExit("An exact search and FAISS disagree on distances")


def usearch_exact(codes: Codes, queries: Codes) -> npt.NDArray[Any]:
    from usearch.index import MetricKind, search

    found = search(codes, queries, NEIGHBOURS, MetricKind.Hamming, exact=True, threads=1)
    return np.asarray(found.distances).reshape(len(queries), NEIGHBOURS)


def usearch_graph(codes: Codes) -> Callable[[Codes, int], Any]:
    """Return the search in a graph with USearch's default settings, built on all cores."""
    from usearch.index import Index, MetricKind

    index = Index(ndim=8 * codes.shape[1], metric=MetricKind.Hamming, dtype="b1")
    index.add(np.arange(len(codes)), codes)
    return partial(index.search, threads=1)


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
