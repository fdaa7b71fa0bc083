"""Measures of the whole ranking of a gallery."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from keras_ae.retrieval import (
    HammingIndex,
    mean_average_precision,
    precision_at_k,
    precision_recall_curve,
)

Pair: TypeAlias = Sequence[npt.NDArray[Any]]
Floats: TypeAlias = npt.NDArray[np.float64]
TOP = 1000
# In percent.
MEASURES = {"mAP": ".1f", f"mAP@{TOP}": ".1f", "P@100": ".1f"}
# Rankings of a whole gallery are large.
_QUERIES = 100


def hamming(codes: Pair, labels: Pair) -> list[float]:
    """Return the measures of the ranking by codes, ties by place in the gallery.

    Args:
        codes: Of the gallery and of the queries, uint8.
        labels: Likewise.
    """
    return _scores(_by_distance(codes), labels)


def precision_and_recall(codes: Pair, labels: Pair) -> tuple[Floats, Floats]:
    """Return the mean precision and recall of the first items, for ever more of them."""
    there, wanted = labels
    counts = np.unique(np.geomspace(1, len(there), 200).astype(int))
    sums = np.zeros((2, len(counts)))
    for ids, asked in zip(_by_distance(codes), _parts(wanted), strict=True):
        curves = precision_recall_curve(there[ids], asked)
        sums += len(asked) * np.array(curves)[:, counts - 1]
    precision, recall = sums / len(wanted)
    return precision, recall


def index_of(codes: npt.NDArray[np.uint8]) -> HammingIndex:
    """Return an index of codes."""
    index = HammingIndex(8 * codes.shape[1])
    index.add(codes)
    return index


def _by_distance(codes: Pair) -> Iterator[npt.NDArray[Any]]:
    gallery, queries = codes
    index = index_of(gallery)
    for part in _parts(queries):
        yield index.search(part, len(gallery)).ids


def cosine(vectors: Pair, labels: Pair) -> list[float]:
    """Return the measures of the ranking by the cosine of vectors, as `hamming` does."""
    gallery, queries = map(unit, vectors)
    rankings = (np.argsort(-part @ gallery.T, axis=1, kind="stable") for part in _parts(queries))
    return _scores(rankings, labels)


def unit(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return rows of length 1, or of zeros."""
    result: npt.NDArray[Any] = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-9)
    return result


def _scores(rankings: Iterable[npt.NDArray[Any]], labels: Pair) -> list[float]:
    there, wanted = labels
    found = []
    for ids, asked in zip(rankings, _parts(wanted), strict=True):
        ranked = there[ids]
        values = (
            mean_average_precision(ranked, asked),
            mean_average_precision(ranked, asked, cutoff=min(TOP, ranked.shape[1])),
            precision_at_k(ranked, asked, 100),
        )
        found.append(np.array(values) * len(asked))
    return [float(100 * value) for value in np.sum(found, axis=0) / len(wanted)]


def _parts(x: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
    return [x[i : i + _QUERIES] for i in range(0, len(x), _QUERIES)]
