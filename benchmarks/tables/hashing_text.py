"""Hashing of texts: 20 Newsgroups by date, beside TF-IDF and LSA.

    python benchmarks/tables/hashing_text.py --data newsgroups_bow2000.npz
    python benchmarks/tables/hashing_text.py --data newsgroups_bow2000.npz --labels
    python benchmarks/tables/hashing_text.py --data newsgroups_bow2000.npz --ablation
    python benchmarks/tables/hashing_text.py --quick          # made-up topics, seconds

Test documents query the training set; an item is relevant if its group is the query's. The data are
counts of words as the parts of sparse matrices: `train_data`, `train_indices`, `train_indptr`,
`y_train`, and the same for `test`. Two views of a text are two random halves of its words.

`--labels` trains with the groups of the training set. `--ablation` changes settings one at a time,
and then the best of them together: a tenth of the training set queries the others, and the test
documents are not looked at. Writes `<out>.json` and `<out>.md` as it goes, and takes up a run that
was stopped.
"""

import argparse
import os
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any, TypeAlias

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import numpy.typing as npt
import scipy.sparse
from decaying_adam import decaying_adam
from hashing_pictures import draw_codes
from ranking import MEASURES, Pair, cosine, hamming, index_of, unit
from sklearn.decomposition import TruncatedSVD
from table import Table

import keras_ae
from keras_ae.retrieval import ITQ

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]
Texts: TypeAlias = tuple[list[Floats], list[Labels], npt.NDArray[np.str_]]
CHOSEN: dict[str, Any] = {"contraction": 1e-2, "code": keras_ae.TanhCode}
ABLATION: dict[str, dict[str, Any]] = {
    "the start": {},
    "without consistency": {"strength": 0.0, "bit_noise": 0.5},
    "the decoder at a hundredth": {"strength": 100.0},
    "temperature 0.2": {"temperature": 0.2},
    "temperature 0.5": {"temperature": 0.5},
    "a third of the words masked": {"masked": 0.33},
    "two thirds of the words masked": {"masked": 0.67},
    "bits without noise": {"bit_noise": 0.0},
    "bits with noise 0.5": {"bit_noise": 0.5},
    "straight-through bits": {"code": keras_ae.BinaryCode},
    "tanh continuation": {"code": keras_ae.TanhCode},
    "balance 0.1": {"bits_to": {"balance": 0.1}},
    "decorrelation 0.01": {"bits_to": {"decorrelation": 0.01}},
    "Poisson likelihood": {"loss": "poisson"},
    "1,024 hidden units": {"hidden": 1024},
    "dropout 0.3": {"dropout": 0.3},
    "not normalised": {"contraction": 0.0},
    "not normalised, contraction 0.001": {"contraction": 1e-3},
    "not normalised, contraction 0.01": {"contraction": 1e-2},
    "not normalised, contraction 0.1": {"contraction": 0.1},
    "not normalised, contraction 0.01, tanh": CHOSEN,
    "not normalised, contraction 0.03, tanh, 1,024 hidden units": {
        "contraction": 0.03,
        "code": keras_ae.TanhCode,
        "hidden": 1024,
    },
    "with labels": {"labelled": True},
    "with labels, dropout 0.5": {"labelled": True, "dropout": 0.5},
    "with labels, not normalised, contraction 0.01, tanh": {**CHOSEN, "labelled": True},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help=".npz as above")
    parser.add_argument("--bits", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--labels", action="store_true", help="train with labels")
    parser.add_argument("--ablation", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("hashing_text"))
    parser.add_argument("--quick", action="store_true", help="made-up topics, one seed")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.bits, arguments.seeds, arguments.epochs = [32], 1, 5
    elif not arguments.data:
        parser.error("--data is needed, or --quick")
    counts, labels, words = topics() if arguments.quick else load(arguments.data)
    if arguments.ablation:
        chosen = np.random.default_rng(0).permutation(len(labels[0]))
        parts = np.split(chosen, [9 * len(chosen) // 10])
        counts, labels = [counts[0][part] for part in parts], [labels[0][part] for part in parts]
    documents = np.maximum(np.count_nonzero(counts[0], axis=0), 1)
    weights = np.log(len(counts[0]) / documents).astype(np.float32)
    texts = [np.log1p(part) * weights for part in counts]
    print(f"{len(texts[0]):,} texts, {len(texts[1]):,} queries", flush=True)
    table = Table(arguments.out, vars(arguments), ("method", "bits"), MEASURES)
    drawn: dict[str, Pair] = {}
    if not (arguments.labels or arguments.ablation):
        drawn = classical(table, texts, labels, arguments.bits)
    name = f"SemanticHasher with {'labels' if arguments.labels else 'views'}"
    plan: dict[str, dict[str, Any]] = {name: {**CHOSEN, "labelled": arguments.labels}}
    sizes, seeds = arguments.bits, arguments.seeds
    if arguments.ablation:
        plan, sizes = ABLATION, [max(arguments.bits)]
        seeds = min(seeds, 2)
    for name, changes in list(plan.items())[: 2 if arguments.quick else None]:
        for bits, seed in product(sizes, range(seeds)):
            if not table.has(name, bits, seed=seed):
                codes, seconds = learned(
                    counts[0], texts, labels[0], bits, seed, arguments.epochs, **changes
                )
                found = hamming(codes, labels)
                table.add(name, bits, values=found, seed=seed, seconds=seconds)
                if bits == max(sizes):
                    drawn[f"{name}, {bits} bits"] = codes
    if drawn and not arguments.ablation:
        draw_codes(drawn, labels).savefig(arguments.out.with_suffix(".png"))
        listing = neighbours(list(drawn.values())[-1], texts, words)
        Path(f"{arguments.out}_neighbours.md").write_text(listing)


def neighbours(codes: Pair, texts: list[Floats], words: npt.NDArray[np.str_]) -> str:
    """Return the weightiest words of some queries and of their nearest texts, as Markdown."""
    chosen = np.linspace(0, len(codes[1]) - 1, 8).astype(int)
    found = index_of(codes[0]).search(codes[1][chosen], k=2)

    def main_words(text: Floats) -> str:
        return " ".join(words[np.argsort(-text, kind="stable")[:8]])

    lines = ["| words of a query | of the nearest text | of the next |", "|---|---|---|"]
    for query, ids in zip(chosen, found.ids, strict=True):
        cells = [main_words(texts[1][query]), *(main_words(texts[0][i]) for i in ids)]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def classical(
    table: Table, texts: list[Floats], labels: list[Labels], sizes: list[int]
) -> dict[str, Pair]:
    """Add the rows of what needs no training by gradients; return the longest codes."""
    drawn: dict[str, Pair] = {}
    if not table.has("cosine of TF-IDF", 0):
        table.add("cosine of TF-IDF", 0, values=cosine(texts, labels))
    for bits in sizes:
        if table.has("LSA and ITQ", bits):
            continue
        lsa = TruncatedSVD(bits, random_state=0).fit(unit(texts[0]))
        vectors = [lsa.transform(unit(part)) for part in texts]
        table.add(f"cosine of LSA-{bits}", 0, values=cosine(vectors, labels))
        itq = ITQ(bits, seed=0).fit(vectors[0])
        codes = [itq.transform(part) for part in vectors]
        table.add("LSA and ITQ", bits, values=hamming(codes, labels))
        if bits == max(sizes):
            drawn[f"LSA and ITQ, {bits} bits"] = codes
    return drawn


def load(path: Path) -> Texts:
    """Return the counts and groups of the training and of the test documents, and the words."""
    with np.load(path) as file:
        counts, labels = [], []
        for part in ("train", "test"):
            parts = [file[f"{part}_{name}"] for name in ("data", "indices", "indptr")]
            matrix = scipy.sparse.csr_matrix(tuple(parts), (len(parts[2]) - 1, len(file["vocab"])))
            counts.append(matrix.toarray().astype(np.float32))
            labels.append(file[f"y_{part}"].astype(np.int64))
        return counts, labels, file["vocab"].astype(str)


def topics() -> Texts:
    """Return texts of forty words, each of one of ten topics."""
    rng = np.random.default_rng(0)
    words = rng.dirichlet(np.full(200, 1.0), size=10)
    labels = [rng.integers(10, size=n) for n in (1000, 200)]
    counts = [rng.multinomial(40, words[part]).astype(np.float32) for part in labels]
    return counts, labels, np.array([f"word{i}" for i in range(200)])


def learned(
    counts: Floats,
    texts: list[Floats],
    labels: Labels,
    bits: int,
    seed: int,
    epochs: int,
    *,
    labelled: bool = False,
    strength: float = 1.0,
    temperature: float = 0.3,
    masked: float = 0.5,
    hidden: int = 512,
    dropout: float = 0.0,
    contraction: float | None = None,
    code: Callable[[], keras.layers.Layer] | None = None,
    bit_noise: float = 0.25,
    bits_to: dict[str, float] | None = None,
    loss: str = "categorical_crossentropy",
) -> tuple[list[npt.NDArray[np.uint8]], float]:
    """Train a hasher; return the codes of training and test texts, and seconds."""
    keras.utils.set_random_seed(seed)
    size = texts[0].shape[1]
    if contraction is None:
        first = [
            keras.layers.Dense(hidden, use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
        ]
    else:
        first = [keras_ae.ContractiveDense(hidden, "relu", contraction=contraction)]
    encoder = keras.Sequential(
        [
            keras.Input((size,)),
            keras.layers.UnitNormalization(),
            *first,
            keras.layers.Dropout(dropout),
            keras.layers.Dense(bits, use_bias=False),
            keras.layers.BatchNormalization(
                center=False,
                scale=False,
                momentum=0.95,
                activity_regularizer=bits_to and keras_ae.BitRegularizer(**bits_to),
            ),
        ]
    )
    # Shares of words with a softmax are the multinomial likelihood of a text; counts with an
    # exponential are the Poisson one.
    poisson = loss == "poisson"
    targets = counts if poisson else counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    last = keras.layers.Dense(size, "exponential" if poisson else "softmax")
    contrast = keras_ae.LabelConsistency if labelled else keras_ae.ViewConsistency
    hasher = keras_ae.SemanticHasher(
        encoder,
        keras.Sequential([keras.Input((bits,)), last]),
        bits,
        corruption=keras_ae.MaskingCorruption(masked),
        code=code() if code else keras_ae.BinaryCode("noisy_bits", stddev=bit_noise),
        consistency=contrast(strength, temperature),
    )
    hasher.compile(decaying_adam(1e-3, len(counts), 512, epochs), loss)
    start = time.perf_counter()
    y = (labels, targets) if labelled else targets
    hasher.fit(texts[0], y, epochs=epochs, batch_size=512, verbose=0)
    return [hasher.encode(part, 2048) for part in texts], time.perf_counter() - start


if __name__ == "__main__":
    main()
