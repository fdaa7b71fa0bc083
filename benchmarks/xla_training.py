"""What a training step costs, on each backend, with XLA and without.

    python benchmarks/xla_training.py                                  # ten minutes on a CPU
    python benchmarks/xla_training.py --dtype mixed_bfloat16 --batches 1024 4096 16384   # a GPU
    python benchmarks/xla_training.py --quick                          # tiny models, minutes

Every model sees 784 inputs and is trained with Adam; the encoders are 784-1000-64, sigmoid and
linear. A step is the one that `fit` runs, forward, backward and update, on a batch that is on the
device already. Each kind of step lives in a process of its own, which tells its peak memory, and
takes turns with the others of its backend: figures are medians of the rounds. "over plain" compares
with the same model without a penalty. The first step compiles; what it takes longer than others is
the time for that.

Writes `<out>.json` and `<out>.md` after each backend.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

# The name of each model, and of the one that it is compared with.
MODELS = {
    "autoencoder": None,
    "autoencoder, contractive layers": "autoencoder",
    "autoencoder, contractive, exact": "autoencoder",
    "autoencoder, contractive, Hutchinson": "autoencoder",
    "predictive sparse decomposition": None,
    "hasher": None,
    "hasher, contractive layers": "hasher",
}
ROUND_SECONDS = 0.3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backends", nargs="+", default=["tensorflow", "jax"])
    parser.add_argument("--jit", nargs="+", choices=["on", "off"], default=["on", "off"])
    parser.add_argument("--batches", nargs="+", type=int)
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS))
    parser.add_argument("--dtype", default="float32", help="a Keras dtype policy")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path, default=Path("xla_training"))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.rounds = 1
    if arguments.batches is None:
        arguments.batches = [16, 32, 64] if arguments.quick else [128, 512, 2048]
    if arguments.serve:
        serve(arguments)
        return
    rows: list[dict[str, Any]] = []
    for backend in arguments.backends:
        for jit in arguments.jit:
            rows += measure(backend, jit, arguments)
            write(rows, arguments)


def measure(backend: str, jit: str, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Return a row for each model and batch size."""
    processes = {name: start(backend, jit, name) for name in arguments.models}
    rows = []
    try:
        for batch in arguments.batches:
            first = {name: ask(process, batch=batch) for name, process in processes.items()}
            rounds: dict[str, list[float]] = {name: [] for name in processes}
            for _ in range(arguments.rounds):
                for name, process in processes.items():
                    rounds[name].append(ask(process, steps=first[name]["steps"])["seconds"])
            seconds = {name: statistics.median(times) for name, times in rounds.items()}
            for name, process in processes.items():
                plain = seconds.get(MODELS[name] or "")
                about = ask(process)
                rows.append(
                    {
                        "model": name,
                        "backend": backend,
                        "device": about["device"],
                        "jit_compile": jit,
                        "batch": batch,
                        "ms a step": 1000 * seconds[name],
                        "examples a second": batch / seconds[name],
                        "over plain": plain and seconds[name] / plain,
                        "compile, s": max(first[name]["seconds"] - seconds[name], 0),
                        "peak memory, MB": about["bytes"] / 1e6,
                    }
                )
                print(cells(rows[-1]), flush=True)
    finally:
        for process in processes.values():
            process.kill()
            process.wait()
    return rows


def start(backend: str, jit: str, name: str) -> "subprocess.Popen[str]":
    environment = {
        **os.environ,
        "KERAS_BACKEND": backend,
        "TF_CPP_MIN_LOG_LEVEL": "3",
        # Several processes share the device.
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",
        "TF_FORCE_GPU_ALLOW_GROWTH": "true",
    }
    command = [sys.executable, *sys.argv, "--serve", name, "--jit", jit]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )


def ask(process: "subprocess.Popen[str]", **question: int) -> dict[str, Any]:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(json.dumps(question) + "\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        raise SystemExit("A process ended; what it printed is above.")
    return json.loads(answer)


def serve(arguments: argparse.Namespace) -> None:
    """Answer questions from the standard input: a new batch, some steps, or how much memory."""
    import keras

    keras.config.set_dtype_policy(arguments.dtype)
    sizes = (20, 8, 16) if arguments.quick else (784, 1000, 64)
    model = build(arguments.serve, *sizes)
    run: Callable[[int], float]  # Of the batch that came last; one comes first.
    for line in sys.stdin:
        question = json.loads(line)
        if "batch" in question:
            run = runner(model, question["batch"], sizes[0], arguments.jit == ["on"])
            seconds = run(1)
            answer = {"seconds": seconds, "steps": max(1, round(ROUND_SECONDS / run(2)))}
        elif "steps" in question:
            answer = {"seconds": run(question["steps"])}
        else:
            answer = memory_and_device()
        print(json.dumps(answer), flush=True)


def build(name: str, inputs: int, hidden: int, code: int) -> Any:
    import keras

    import keras_ae

    if name == "predictive sparse decomposition":
        model = keras_ae.PredictiveSparseDecomposition(
            inputs, 4 * code, sparsity=0.1, prediction=1.0
        )
        model.compile("adam")
        return model
    if name.startswith("hasher"):
        contraction = 0.001 if "contractive" in name else 0.0
        model = keras_ae.SemanticHasher.dense(inputs, (hidden,), code, contraction=contraction)
        model.compile("adam", "binary_crossentropy")
        return model
    kind = keras_ae.ContractiveDense if "contractive layers" in name else keras.layers.Dense
    layers = [kind(hidden, "sigmoid"), kind(code)]
    encoder = keras.Sequential([keras.Input((inputs,)), *layers])
    if "exact" in name or "Hutchinson" in name:
        estimator = "exact" if "exact" in name else "hutchinson"
        encoder = keras_ae.Contractive(encoder, keras_ae.ContractiveRegularizer(0.1, estimator))
    decoder = keras.Sequential(
        [
            keras.Input((code,)),
            keras.layers.Dense(hidden, "sigmoid"),
            keras.layers.Dense(inputs, "sigmoid"),
        ]
    )
    model = keras_ae.Autoencoder(encoder, decoder)
    model.compile("adam", "binary_crossentropy")
    return model


def runner(model: Any, batch: int, inputs: int, jit_compile: bool) -> Callable[[int], float]:
    """Return what runs training steps on one batch, and returns the seconds that one took."""
    import keras
    import numpy as np

    x = np.random.default_rng(0).random((batch, inputs), "float32")
    model.build(x.shape)
    model.optimizer.build(model.trainable_variables)
    run = of_jax if keras.backend.backend() == "jax" else of_tensorflow
    return run(model, x, jit_compile)


def of_tensorflow(model: Any, x: Any, jit_compile: bool) -> Callable[[int], float]:
    import tensorflow as tf

    batch = tf.constant(x)
    step = tf.function(lambda: model.train_step((batch,)), jit_compile=jit_compile)

    def run(steps: int) -> float:
        start = time.perf_counter()
        for _ in range(steps):
            logs = step()
        float(logs["loss"])
        return (time.perf_counter() - start) / steps

    return run


def of_jax(model: Any, x: Any, jit_compile: bool) -> Callable[[int], float]:
    import jax

    data = (jax.device_put(x),)
    step = jax.jit(model.train_step, donate_argnums=0) if jit_compile else model.train_step
    parts = (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )
    # Copies: a step gives the memory of its state away.
    state = tuple([jax.numpy.copy(variable.value) for variable in part] for part in parts)

    def run(steps: int) -> float:
        nonlocal state
        start = time.perf_counter()
        for _ in range(steps):
            logs, state = step(state, data)
        float(logs["loss"])
        return (time.perf_counter() - start) / steps

    return run


def memory_and_device() -> dict[str, Any]:
    """Return the peak of the device's memory, or on a CPU of the whole process."""
    import resource

    import keras

    name, peak = cpu(), 0
    if keras.backend.backend() == "jax":
        import jax

        device = jax.devices()[0]
        if device.platform != "cpu":
            name, peak = device.device_kind, device.memory_stats()["peak_bytes_in_use"]
    else:
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
        if gpus:
            name = tf.config.experimental.get_device_details(gpus[0])["device_name"]
            peak = tf.config.experimental.get_memory_info("GPU:0")["peak"]
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "device": name,
        "bytes": peak or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit,
    }


def cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next(line.split(": ")[1] for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = "CPU"
    return f"{os.cpu_count()} cores, {name}"


def cells(row: dict[str, Any]) -> str:
    forms = {
        "ms a step": ".2f",
        "examples a second": ",.0f",
        "over plain": ".2f",
        "compile, s": ".1f",
        "peak memory, MB": ",.0f",
    }
    shown = [
        "" if value is None else f"{value:{forms[key]}}" if key in forms else str(value)
        for key, value in row.items()
        if key != "device"
    ]
    return f"| {' | '.join(shown)} |"


def write(rows: list[dict[str, Any]], arguments: argparse.Namespace) -> None:
    names = ["keras-ae", "keras", *arguments.backends]
    about = {
        "devices": sorted({row["device"] for row in rows}),
        "dtype": arguments.dtype,
        "rounds": arguments.rounds,
        "versions": {name: version(name) for name in names},
    }
    text = json.dumps({**about, "rows": rows}, indent=1)
    arguments.out.with_suffix(".json").write_text(text + "\n")
    columns = [key for key in rows[0] if key != "device"]
    lines = [
        f"On {', '.join(about['devices'])}; {arguments.dtype}.",
        "",
        f"| {' | '.join(columns)} |",
        "|---" * len(columns) + "|",
        *map(cells, rows),
    ]
    arguments.out.with_suffix(".md").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
