"""What a radius search returns."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from keras_ae.retrieval.search_result import SearchResult


@dataclass(frozen=True, eq=False)
class RadiusResult:
    """The hits of every query, one after the other, as queries differ in how many they have.

    Query `i` owns `ids[offsets[i]:offsets[i + 1]]`, which `result[i]` returns. Its hits are ordered
    by distance, then id. The result has the length of the batch and iterates over its queries.

    Attributes:
        ids: int64 ids of all hits, `(hits,)`.
        distances: int32 Hamming distances in bits, `(hits,)`.
        offsets: int64 `(q + 1,)`, from 0 to the number of hits.

    Example:
        >>> import numpy as np
        >>> from keras_ae import HammingIndex
        >>> index = HammingIndex(bits=8)
        >>> index.add(np.array([[0], [1], [255]], dtype="uint8"))
        >>> result = index.radius_search(np.array([[0], [254]], dtype="uint8"), radius=1)
        >>> [hits.ids.tolist() for hits in result]
        [[0, 1], [2]]
    """

    ids: npt.NDArray[np.int64]
    distances: npt.NDArray[np.int32]
    offsets: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, query: int) -> SearchResult:
        starts, stops = self.offsets[:-1], self.offsets[1:]
        hits = slice(starts[query], stops[query])
        return SearchResult(self.ids[hits], self.distances[hits])

    def __iter__(self) -> Iterator[SearchResult]:
        return (self[query] for query in range(len(self)))
