"""What a nearest-neighbour search returns."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, eq=False)
class SearchResult:
    """Neighbours, nearest first; at equal distance the lower id comes first.

    Attributes:
        ids: int64 ids, `(q, k)` for a batch of queries, `(hits,)` for one of them.
        distances: int32 Hamming distances in bits, same shape; of a search with `rerank`, float32
            Euclidean distances.

    Example:
        >>> import numpy as np
        >>> from keras_ae import HammingIndex
        >>> index = HammingIndex(bits=8)
        >>> index.add(np.array([[0], [1], [255]], dtype="uint8"))
        >>> index.search(np.array([[3]], dtype="uint8"), k=2).ids
        array([[1, 0]])
    """

    ids: npt.NDArray[np.int64]
    distances: npt.NDArray[np.int32] | npt.NDArray[np.float32]
