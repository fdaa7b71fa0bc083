"""The same answers where numba cannot be installed."""

import subprocess
import sys

import numpy as np
import pytest

from keras_ae.retrieval import _nearest, _numpy_scan, _within

SCRIPT = """
import sys
sys.modules["numba"] = None
import numpy as np
from keras_ae.retrieval import HammingIndex
index = HammingIndex(bits=64, method="multi_index")
codes = np.random.default_rng(0).integers(0, 3, (500, 8), dtype="uint8")
index.add(codes)
result, hits = index.search(codes[:50], k=7), index.radius_search(codes[:50], 9)
for i, code in enumerate(codes[:50]):
    distances = np.unpackbits(codes ^ code, axis=1).sum(axis=1)
    order = np.argsort(distances, kind="stable")
    assert result.ids[i].tolist() == order[:7].tolist()
    assert hits[i].ids.tolist() == [j for j in order if distances[j] <= 9]
print(index.why, "numba.core" in sys.modules)
"""


def test_retrieval_works_without_it():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "scan: numba is not installed False"


@pytest.mark.parametrize("words", [1, 2, 5])
@pytest.mark.parametrize("kind", ["random", "ties", "equal"])
@pytest.mark.parametrize("n", [1, 700, 2 * _numpy_scan._BLOCK + 3])
def test_it_returns_what_the_compiled_scans_do(n, kind, words):
    rng = np.random.default_rng(n + words)
    top = {"random": 2**63, "ties": 4, "equal": 1}[kind]
    planes = rng.integers(0, top, (words, n + 9), dtype=np.uint64)
    if words == 1:  # Wherever in memory they begin.
        planes = planes[:, rng.integers(9) :]
    planes = planes[:, : n + (words > 1)]
    planes = np.require(planes, requirements=["C"])
    queries = rng.integers(0, top, (3, words), dtype=np.uint64)
    for array in (planes, queries):
        array.flags.writeable = False
    for k in {1, min(n, 10), min(n, 900)}:
        for a, b in zip(
            _nearest.nearest(planes, n, queries, 64 * words, k),
            _numpy_scan.nearest(planes, n, queries, 64 * words, k),
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == b.dtype
    for radius in (0, 1, 30 * words):
        for a, b in zip(
            _within.within(planes, n, queries, radius),
            _numpy_scan.within(planes, n, queries, radius),
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)
            assert a.dtype == b.dtype
