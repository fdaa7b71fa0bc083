"""What drawing noise takes on TensorFlow: by Keras, which leaves the algorithm open, and as here.

    python benchmarks/xla_draws.py

400,000 numbers at a time; medians of runs that take turns.
"""

import os
import statistics
import time
from collections.abc import Callable
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf

from keras_ae.ops import random

SHAPE, RUNS = (512, 784), 21
DRAWS: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "normal": (
        lambda seed: keras.random.normal(SHAPE, seed=seed),
        lambda seed: random.normal(SHAPE, seed),
    ),
    "uniform": (
        lambda seed: keras.random.uniform(SHAPE, seed=seed),
        lambda seed: random.uniform(SHAPE, seed),
    ),
}


def main() -> None:
    print("| numbers | jit_compile | Keras, ms | here, ms | ratio |")
    print("|---|---|---|---|---|")
    for name, draws in DRAWS.items():
        for jit_compile in (True, False):
            functions = [compiled(draw, jit_compile) for draw in draws]
            times: list[list[float]] = [[], []]
            for _ in range(RUNS):
                for function, record in zip(functions, times, strict=True):
                    start = time.perf_counter()
                    function().numpy()
                    record.append(1000 * (time.perf_counter() - start))
            theirs, ours = map(statistics.median, times)
            jit = "on" if jit_compile else "off"
            print(f"| {name} | {jit} | {theirs:.1f} | {ours:.1f} | {theirs / ours:.1f} |")


def compiled(draw: Callable[[Any], Any], jit_compile: bool) -> Callable[[], Any]:
    """Return a graph that draws, made and run once."""
    seed = keras.random.SeedGenerator(0)
    function = tf.function(lambda: draw(seed), jit_compile=jit_compile)
    function()
    return function


if __name__ == "__main__":
    main()
