"""Unsupervised hashing of texts: 20 Newsgroups by date, beside TF-IDF and LSA.

    python benchmarks/tables/hashing_text.py --data newsgroups_bow2000.npz
    python benchmarks/tables/hashing_text.py --quick          # made-up topics, seconds

Test documents query the training set; an item is relevant if its group is the query's. The data are
counts of words as the parts of sparse matrices: `train_data`, `train_indices`, `train_indptr`,
`y_train`, and the same for `test`. Two views of a text are two random halves of its words. Writes
`<out>.json` and `<out>.md` as it goes.
"""

import argparse
import os
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import numpy.typing as npt
import scipy.sparse
from sklearn.decomposition import TruncatedSVD
from table import Table, cosine, hamming, unit

import keras_ae
from keras_ae.retrieval import ITQ

Floats = npt.NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help=".npz as above")
    parser.add_argument("--bits", type=int, nargs="+", default=[32, 64, 128])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--out", type=Path, default=Path("hashing_text"))
    parser.add_argument("--quick", action="store_true", help="made-up topics, one seed")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.bits, arguments.seeds, arguments.epochs = [32], 1, 5
    elif not arguments.data:
        parser.error("--data is needed, or --quick")
    counts, labels = topics() if arguments.quick else load(arguments.data)
    documents = np.maximum(np.count_nonzero(counts[0], axis=0), 1)
    weights = np.log(len(counts[0]) / documents).astype(np.float32)
    texts = [np.log1p(part) * weights for part in counts]
    print(f"{len(texts[0]):,} texts, {len(texts[1]):,} queries", flush=True)
    table = Table(arguments.out, vars(arguments))
    table.add("cosine of TF-IDF", 0, 0, cosine(texts, labels))
    for bits in arguments.bits:
        lsa = TruncatedSVD(bits, random_state=0).fit(unit(texts[0]))
        vectors = [lsa.transform(unit(part)) for part in texts]
        table.add(f"cosine of LSA-{bits}", 0, 0, cosine(vectors, labels))
        itq = ITQ(bits, seed=0).fit(vectors[0])
        codes = [itq.transform(part) for part in vectors]
        table.add("LSA and ITQ", bits, 0, hamming(codes, labels))
        for seed in range(arguments.seeds):
            codes, seconds = learned(counts[0], texts, bits, seed, arguments.epochs)
            found = hamming(codes, labels)
            table.add("SemanticHasher with views", bits, seed, found, seconds)


def load(path: Path) -> tuple[list[Floats], list[npt.NDArray[np.int64]]]:
    """Return the counts and groups of the training and of the test documents."""
    with np.load(path) as file:
        counts, labels = [], []
        for part in ("train", "test"):
            parts = [file[f"{part}_{name}"] for name in ("data", "indices", "indptr")]
            matrix = scipy.sparse.csr_matrix(tuple(parts), (len(parts[2]) - 1, len(file["vocab"])))
            counts.append(matrix.toarray().astype(np.float32))
            labels.append(file[f"y_{part}"].astype(np.int64))
    return counts, labels


def topics() -> tuple[list[Floats], list[npt.NDArray[np.int64]]]:
    """Return texts of forty words, each of one of ten topics."""
    rng = np.random.default_rng(0)
    words = rng.dirichlet(np.full(200, 1.0), size=10)
    labels = [rng.integers(10, size=n) for n in (1000, 200)]
    counts = [rng.multinomial(40, words[part]).astype(np.float32) for part in labels]
    return counts, labels


def learned(
    counts: Floats, texts: list[Floats], bits: int, seed: int, epochs: int
) -> tuple[list[npt.NDArray[np.uint8]], float]:
    """Train a hasher; return the codes of training and test texts, and seconds."""
    keras.utils.set_random_seed(seed)
    size = texts[0].shape[1]
    encoder = keras.Sequential(
        [
            keras.Input((size,)),
            keras.layers.UnitNormalization(),
            keras.layers.Dense(512, use_bias=False),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.Dense(bits, use_bias=False),
            keras.layers.BatchNormalization(center=False, scale=False, momentum=0.95),
        ]
    )
    hasher = keras_ae.SemanticHasher(
        encoder,
        keras.Sequential([keras.Input((bits,)), keras.layers.Dense(size, "softmax")]),
        bits,
        corruption=keras_ae.MaskingCorruption(0.5),
        code=keras_ae.BinaryCode("noisy_bits", stddev=0.25),
        consistency=keras_ae.ViewConsistency(temperature=0.3),
    )
    steps = epochs * -(-len(counts) // 512)
    schedule = keras.optimizers.schedules.CosineDecay(1e-3, steps)
    # With shares of words as the target, it is the multinomial likelihood of the text.
    hasher.compile(keras.optimizers.Adam(schedule), "categorical_crossentropy")
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    start = time.perf_counter()
    hasher.fit(texts[0], shares, epochs=epochs, batch_size=512, verbose=0)
    return [hasher.encode(part, 2048) for part in texts], time.perf_counter() - start


if __name__ == "__main__":
    main()
