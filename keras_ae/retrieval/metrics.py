"""How good a ranking of labelled items is.

Every function takes the labels of the ranked items, `labels[result.ids]`, in the order in which the
search returned them. Distances play no part, so ties count as the search broke them: by distance,
then by lower id. An item is relevant to a query if their labels are equal.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from keras_ae._checks import check_integer


def precision_at_k(ranked_labels: npt.ArrayLike, query_labels: npt.ArrayLike, k: int) -> float:
    """Mean share of relevant items among the first `k`.

        precision@k = mean_q (1 / k) sum_{r <= k} [label of rank r = label of query q]

    Args:
        ranked_labels: `(q, n)` labels of the ranked items, best first, `n >= k`.
        query_labels: `(q,)` labels of the queries.
        k: Ranks to look at, from 1 to `n`.

    Returns:
        The mean over queries, from 0 to 1.

    Raises:
        ValueError: If the shapes do not match or `k` is out of range.

    Example:
        >>> from keras_ae.retrieval import precision_at_k
        >>> precision_at_k([[1, 0, 1], [2, 2, 2]], [1, 2], k=2)
        0.75
    """
    ranked, queries = _check_labels(ranked_labels, query_labels)
    k = _check_ranks("k", k, ranked)
    return float(np.mean(ranked[:, :k] == queries[:, None]))


def recall_at_k(
    ranked_labels: npt.ArrayLike, query_labels: npt.ArrayLike, k: int, relevant: npt.ArrayLike
) -> float:
    """Mean share of the relevant items that are among the first `k`.

        recall@k = mean_q (1 / N_q) sum_{r <= k} [label of rank r = label of query q]

    Args:
        ranked_labels: `(q, n)` labels of the ranked items, best first, `n >= k`.
        query_labels: `(q,)` labels of the queries.
        k: Ranks to look at, from 1 to `n`.
        relevant: `(q,)`, the numbers `N_q` of relevant items in the whole database, integers >= 0.
            A query without any is left out of the mean.

    Returns:
        The mean over queries, from 0 to 1.

    Raises:
        ValueError: If the shapes do not match, `k` is out of range, a query has more relevant items
            among the first `k` than there are, or none has any.

    Example:
        >>> from keras_ae.retrieval import recall_at_k
        >>> recall_at_k([[1, 0, 1], [2, 2, 2]], [1, 2], k=2, relevant=[2, 4])
        0.5
    """
    ranked, queries = _check_labels(ranked_labels, query_labels)
    k = _check_ranks("k", k, ranked)
    there = np.asarray(relevant)
    found = np.sum(ranked[:, :k] == queries[:, None], axis=1)
    if there.shape != queries.shape or there.dtype.kind not in "iu" or np.any(there < found):
        raise ValueError(
            f"relevant must be integers of shape {queries.shape}, at least the number of relevant "
            f"items among the first {k}. Received: relevant with dtype={there.dtype}, "
            f"shape={there.shape}" + (f", from {there.min()}" if there.size else "")
        )
    some = there > 0
    if not some.any():
        raise ValueError("relevant must not be 0 for every query. Received: zeros alone")
    return float(np.mean(found[some] / there[some]))


def precision_recall_curve(
    ranked_labels: npt.ArrayLike, query_labels: npt.ArrayLike
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Precision and recall at every rank of a whole database, as means over queries.

    Args:
        ranked_labels: `(q, n)` labels of all `n` items in the database, best first.
        query_labels: `(q,)` labels of the queries, of which each has a relevant item.

    Returns:
        Precision and recall, both `(n,)`, from 0 to 1; the recall rises to 1.

    Raises:
        ValueError: If the shapes do not match or a query has no relevant item.

    Example:
        >>> from keras_ae.retrieval import precision_recall_curve
        >>> precision, recall = precision_recall_curve([[1, 0, 1, 0]], [1])
        >>> precision.tolist(), recall.tolist()
        ([1.0, 0.5, 0.6666666666666666, 0.5], [0.5, 0.5, 1.0, 1.0])
    """
    ranked, queries = _check_labels(ranked_labels, query_labels)
    precision, recall = np.zeros(ranked.shape[1]), np.zeros(ranked.shape[1])
    ranks = np.arange(1, ranked.shape[1] + 1)
    # One query at a time, as below.
    for row, query in zip(ranked, queries, strict=True):
        found = np.cumsum(row == query)
        if not found[-1]:
            raise ValueError(
                "ranked_labels must hold an item with the label of each query. "
                f"Received: none with the label {query!r}"
            )
        precision += found / ranks
        recall += found / found[-1]
    return precision / len(queries), recall / len(queries)


def mean_average_precision(
    ranked_labels: npt.ArrayLike, query_labels: npt.ArrayLike, cutoff: int | None = None
) -> float:
    """Mean over queries of the average precision at the ranks of relevant items.

        AP_q = (1 / N_q) sum_{r <= R, rank r relevant} precision@r

    `R` is the cutoff and `N_q` the number of relevant items within it, as is common in the hashing
    literature: relevant items beyond the cutoff do not lower the value. Without a cutoff, rank the
    whole database: `N_q` is then the number of relevant items there are. A query with `N_q = 0`
    counts as 0.

    Args:
        ranked_labels: `(q, n)` labels of the ranked items, best first.
        query_labels: `(q,)` labels of the queries.
        cutoff: Ranks to look at, from 1 to `n`; all by default.

    Returns:
        The mean over queries, from 0 to 1.

    Raises:
        ValueError: If the shapes do not match or `cutoff` is out of range.

    Example:
        >>> from keras_ae.retrieval import mean_average_precision
        >>> mean_average_precision([[1, 0, 1]], [1])
        0.8333333333333333
    """
    ranked, queries = _check_labels(ranked_labels, query_labels)
    if cutoff is not None:
        ranked = ranked[:, : _check_ranks("cutoff", cutoff, ranked)]
    # One query at a time: precisions of a whole test set at once would not fit in memory.
    return float(
        np.mean(
            [_average_precision(row == query) for row, query in zip(ranked, queries, strict=True)]
        )
    )


def _average_precision(relevant: npt.NDArray[np.bool_]) -> float:
    ranks = np.flatnonzero(relevant) + 1
    return float(np.mean(np.arange(1, len(ranks) + 1) / ranks)) if len(ranks) else 0.0


def _check_labels(
    ranked_labels: npt.ArrayLike, query_labels: npt.ArrayLike
) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    ranked, queries = np.asarray(ranked_labels), np.asarray(query_labels)
    if queries.ndim != 1 or not len(queries):
        raise ValueError(
            "query_labels must have shape (q,), with at least one query. "
            f"Received: query_labels with shape={queries.shape}"
        )
    if ranked.ndim != 2 or len(ranked) != len(queries) or not ranked.shape[1]:
        raise ValueError(
            f"ranked_labels must have shape ({len(queries)}, n), a row for each query and n >= 1. "
            f"Received: ranked_labels with shape={ranked.shape}"
        )
    kinds = {"number" if x.dtype.kind in "biuf" else x.dtype.kind for x in (ranked, queries)}
    if len(kinds) > 1:  # A text equals no number: all would count as wrong.
        raise ValueError(
            "ranked_labels and query_labels must be of one kind. "
            f"Received: dtypes {ranked.dtype} and {queries.dtype}"
        )
    return ranked, queries


def _check_ranks(name: str, value: int, ranked: npt.NDArray[Any]) -> int:
    value = check_integer(name, value, minimum=1)
    if value > ranked.shape[1]:
        raise ValueError(
            f"{name} must be at most the number of ranked items, {ranked.shape[1]}. "
            f"Received: {name}={value}"
        )
    return value
