"""What a contractive penalty adds to a training step, against the same step without one.

    python benchmarks/contractive.py                # a minute
    python benchmarks/contractive.py --jacobian     # also the whole Jacobian where it is slowest

The whole Jacobian of 1000 units takes seconds a step and gigabytes; under XLA, that of any of these
encoders takes minutes a step. `--jacobian` runs both, each step once.

A step is forward, backward and Adam on an encoder and its tied decoder, batch 128, 784 inputs.
Times
are medians of runs that take turns, so that a slow moment of the machine hits all of them.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import keras_ae
from keras_ae import ContractiveRegularizer

BATCH, INPUTS = 128, 784
Step = Callable[[], float]


def autoencoder(units: list[int], contraction: ContractiveRegularizer | None) -> keras.Model:
    """A sigmoid encoder, a tied decoder, and the penalty on the whole encoder."""
    keras.utils.set_random_seed(0)
    if contraction is not None and len(units) == 1:
        layers = [keras_ae.ContractiveDense(units[0], "sigmoid", contraction=contraction)]
    else:
        layers = [keras.layers.Dense(n, "sigmoid") for n in units]
    encoder = keras.Sequential([keras.Input((INPUTS,)), *layers])
    tied = [keras_ae.TiedDense(layer, "sigmoid") for layer in reversed(layers)]
    decoder = keras.Sequential([keras.Input((units[-1],)), *tied])
    if contraction is not None and len(units) > 1:
        encoder = keras_ae.Contractive(encoder, contraction)
    return keras_ae.Autoencoder(encoder, decoder)


def training_step(model: keras.Model, jit_compile: bool) -> Step:
    model.compile("adam", "mse", jit_compile=jit_compile)
    x = np.random.default_rng(0).random((BATCH, INPUTS), dtype="float32")
    return lambda: float(model.train_on_batch(x)[0])


def measure(units: list[int], estimators: list[str | None], jit_compile: bool, runs: int) -> None:
    steps: dict[str, Step] = {}
    for estimator in estimators:
        contraction = None if estimator is None else ContractiveRegularizer(0.1, estimator)
        step = training_step(autoencoder(units, contraction), jit_compile)
        start = time.perf_counter()
        step()
        name = estimator or "no penalty"
        print(f"    {name}: first step {time.perf_counter() - start:.1f} s", flush=True)
        steps[name] = step
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(runs):
        for name, step in steps.items():
            # Seconds and minutes need no repetition.
            if sum(times[name]) > 10_000:
                continue
            start = time.perf_counter()
            step()
            times[name].append(1000 * (time.perf_counter() - start))
    medians = {name: statistics.median(record) for name, record in times.items()}
    for name, median in medians.items():
        print(
            f"| {'-'.join(map(str, [INPUTS, *units]))} | {'on' if jit_compile else 'off'} "
            f"| {name} | {median:.1f} | {median / medians['no penalty']:.2f} "
            f"| {median / medians['exact']:.2f} |",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jacobian", action="store_true", help="run the slowest estimators too")
    parser.add_argument("--runs", type=int, default=101, help="steps of each kind")
    parser.add_argument("--jit", choices=["on", "off", "both"], default="both")
    arguments = parser.parse_args()
    print("| encoder | jit_compile | estimator | ms a step | over no penalty | over exact |")
    print("|---|---|---|---|---|---|")
    for jit_compile in {"on": [True], "off": [False], "both": [False, True]}[arguments.jit]:
        estimators: list[str | None] = [None, "exact", "hutchinson"]
        for units in ([1000], [512, 256, 32]):
            fast = len(units) > 1 and not jit_compile
            last: list[str | None] = ["jacobian"] if fast or arguments.jacobian else []
            measure(units, [*estimators, *last], jit_compile, arguments.runs)


if __name__ == "__main__":
    main()
