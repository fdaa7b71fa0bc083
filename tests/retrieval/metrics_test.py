"""Retrieval metrics against scikit-learn and a slow oracle."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from keras_ae.retrieval import (
    mean_average_precision,
    precision_at_k,
    precision_recall_curve,
    recall_at_k,
)


def oracle_average_precision(labels, query, cutoff):
    hits, total = 0, 0.0
    for rank, label in enumerate(labels[:cutoff], start=1):
        if label == query:
            hits += 1
            total += hits / rank
    return total / hits if hits else 0.0


rankings = st.integers(1, 30).flatmap(
    lambda n: st.lists(
        st.tuples(st.lists(st.integers(0, 3), min_size=n, max_size=n), st.integers(0, 3)),
        min_size=1,
        max_size=5,
    )
)


@given(rankings, st.data())
def test_equals_the_oracle(rows, data):
    ranked, queries = [row for row, _ in rows], [query for _, query in rows]
    n = len(ranked[0])
    k = data.draw(st.integers(1, n))
    expected = np.mean([sum(label == query for label in row[:k]) / k for row, query in rows])
    assert precision_at_k(ranked, queries, k) == pytest.approx(expected)
    for cutoff in (None, k):
        expected = np.mean([oracle_average_precision(row, query, cutoff) for row, query in rows])
        value = mean_average_precision(np.array(ranked, np.uint8), queries, cutoff)
        assert value == pytest.approx(expected)


def test_equals_scikit_learn():
    rng = np.random.default_rng(0)
    scores, labels = (
        rng.permuted(np.tile(np.arange(200.0), (20, 1)), axis=1),
        rng.integers(3, size=(20, 200)),
    )
    ranked = np.take_along_axis(labels, np.argsort(-scores, axis=1), axis=1)
    queries = rng.integers(3, size=20)
    expected = np.mean(
        [
            average_precision_score(row == q, s)
            for row, s, q in zip(labels, scores, queries, strict=True)
        ]
    )
    assert mean_average_precision(ranked, queries) == pytest.approx(expected, rel=1e-12)


@given(rankings, st.data())
def test_recall_and_curve_equal_a_slow_count(rows, data):
    ranked, queries = [row for row, _ in rows], [query for _, query in rows]
    k = data.draw(st.integers(1, len(ranked[0])))
    more = data.draw(st.integers(0, 2))
    there = [row.count(query) + more for row, query in rows]
    shares = [
        sum(label == query for label in row[:k]) / n
        for (row, query), n in zip(rows, there, strict=True)
        if n
    ]
    if shares:
        assert recall_at_k(ranked, queries, k, there) == pytest.approx(np.mean(shares))
    else:
        with pytest.raises(ValueError, match="not be 0 for every query"):
            recall_at_k(ranked, queries, k, there)
    if all(query in row for row, query in rows):
        precision, recall = precision_recall_curve(ranked, queries)
        assert precision[k - 1] == pytest.approx(precision_at_k(ranked, queries, k))
        counts = [row.count(query) for row, query in rows]
        assert recall[k - 1] == pytest.approx(recall_at_k(ranked, queries, k, counts))
    else:
        with pytest.raises(ValueError, match="none with the label"):
            precision_recall_curve(ranked, queries)


@pytest.mark.parametrize("relevant", [[1.0], [0], [1, 1], 1])
def test_recall_refuses_numbers_of_relevant_items(relevant):
    with pytest.raises(ValueError, match=r"relevant must be integers of shape \(1,\)"):
        recall_at_k([[1, 2]], [1], 2, relevant)


def test_a_query_without_relevant_items_counts_as_zero():
    assert mean_average_precision([[1, 1], [0, 0]], [1, 1]) == 0.5
    assert mean_average_precision([[0, 1]], [1], cutoff=1) == 0.0


def test_labels_may_be_text():
    ranked = np.array([["cat", "dog"], ["dog", "cat"]])
    assert precision_at_k(ranked, np.array(["cat", "cat"]), 1) == 0.5
    assert mean_average_precision(ranked, np.array(["cat", "cat"])) == 0.75


@pytest.mark.parametrize("labels", [["1"], [b"1"], [None]])
def test_refuses_labels_of_two_kinds(labels):
    for measure in (
        lambda *given: precision_at_k(*given, 1),
        lambda *given: recall_at_k(*given, 1, [2]),
        mean_average_precision,
        precision_recall_curve,
    ):
        with pytest.raises(ValueError, match=r"must be of one kind. Received: dtypes int64 and "):
            measure([[1, 1]], np.array(labels))


@pytest.mark.parametrize("k", [0, -1, 1.0, True, None])
def test_refuses_k(k):
    with pytest.raises(ValueError, match=r"k must be an integer >= 1. Received: k="):
        precision_at_k([[1, 2]], [1], k)


def test_refuses_more_ranks_than_there_are():
    with pytest.raises(ValueError, match=r"k must be at most the number of ranked items, 2. Rec"):
        precision_at_k([[1, 2]], [1], 3)
    with pytest.raises(ValueError, match=r"cutoff must be at most .* Received: cutoff=3"):
        mean_average_precision([[1, 2]], [1], cutoff=3)
    with pytest.raises(ValueError, match=r"cutoff must be an integer >= 1. Received: cutoff=0"):
        mean_average_precision([[1, 2]], [1], cutoff=0)


@pytest.mark.parametrize(
    ("ranked", "queries", "name"),
    [
        ([[1, 2]], [1, 2], "ranked_labels"),
        ([1, 2], [1], "ranked_labels"),
        (np.empty((1, 0)), [1], "ranked_labels"),
        ([[1, 2]], 1, "query_labels"),
        ([[1, 2]], [[1]], "query_labels"),
        (np.empty((0, 2)), [], "query_labels"),
    ],
)
def test_refuses_shapes(ranked, queries, name):
    with pytest.raises(ValueError, match=f"{name} must have shape .* Received: {name} with shape="):
        mean_average_precision(ranked, queries)
    with pytest.raises(ValueError, match=f"{name} must have shape"):
        precision_at_k(ranked, queries, 1)
