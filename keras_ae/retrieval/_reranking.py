"""Neighbours by code, put in the order of their vectors."""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Vectors: TypeAlias = tuple[npt.NDArray[Any], npt.NDArray[Any]]


def reranked(
    rows: npt.NDArray[np.int64], vectors: Vectors, count: int, k: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return the `k` rows of each query whose vectors are nearest, and their distances.

    Args:
        rows: `(q, candidates)`.
        vectors: Of the queries, `(q, d)`, and of all `count` codes.
        count: Codes in the index.
        k: Rows to return, or all.
    """
    near, all_vectors = _check_vectors(vectors, len(rows), count)
    shape = (len(rows), min(k, rows.shape[1]))
    result, distances = np.empty(shape, np.int64), np.empty(shape, np.float32)
    for q, query in enumerate(near):
        # In the order of rows, so that a mapped file is read forwards, and ties go to the first.
        found = np.sort(rows[q])
        there = np.asarray(all_vectors[found], np.float64)
        with np.errstate(over="ignore", invalid="ignore"):
            squares = np.square(there - np.asarray(query, np.float64)).sum(axis=1)
        if not np.isfinite(squares).all():
            raise ValueError(
                "rerank must have vectors whose differences are finite, and their squares too. "
                f"Received: rerank with others, for query {q}"
            )
        order = np.argsort(squares, kind="stable")[:k]
        result[q], distances[q] = found[order], np.sqrt(squares[order])
    return result, distances


def _check_vectors(
    vectors: Vectors, queries: int, count: int
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    if not isinstance(vectors, tuple) or len(vectors) != 2:
        raise ValueError(
            "rerank must be a tuple of two arrays, of the queries and of all codes, or None. "
            f"Received: rerank of {type(vectors)}"
        )
    near, every = (v if isinstance(v, np.ndarray) else np.asarray(v) for v in vectors)
    if (
        any(v.ndim != 2 or v.dtype.kind != "f" for v in (near, every))
        or near.shape != (queries, every.shape[1])
        or len(every) != count
    ):
        raise ValueError(
            f"rerank must be arrays of floats ({queries}, d) and ({count}, d). Received: "
            + " and ".join(f"{v.dtype} of shape {v.shape}" for v in (near, every))
        )
    return near, every
