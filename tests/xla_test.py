"""Every layer and model through XLA: traced no more than it has to be, and random at every step."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from backends import BACKEND
from every_model import MODELS, RANDOM_MODELS, data_of, loss_of, make
from layer_test import CASES, Case, as_model, data

# TensorFlow traces a step for any batch size; to JAX, a last partial batch is another shape.
TRACES = {"tensorflow": 1, "jax": 2}[BACKEND]


def train(model: keras.Model, random: bool, *data: Any, **compiled: Any) -> None:
    """Three epochs with a last partial batch, and before it three in which only draws differ."""
    model.compile(optimizer=keras.optimizers.SGD(0.0), jit_compile=True, **compiled)
    step, traces = model.train_step, 0

    def counting(*args: Any) -> Any:
        nonlocal traces
        traces += 1
        return step(*args)

    object.__setattr__(model, "train_step", counting)
    settings = {"epochs": 3, "batch_size": 4, "shuffle": False, "verbose": 0}
    if random:
        losses = model.fit(*data, **settings).history["loss"]
        assert len(set(losses)) == 3, "draws were made when it was traced"
    model.optimizer.learning_rate = 0.01
    before = model.get_weights()
    losses = model.fit(*data, **settings).history["loss"]
    assert np.isfinite(losses).all()
    assert traces == TRACES
    changed = zip(before, model.get_weights(), strict=True)
    assert any(not np.array_equal(old, new) for old, new in changed)


@pytest.mark.parametrize("name", {**MODELS, **RANDOM_MODELS})
def test_a_model_is_traced_once(name: str) -> None:
    x = np.random.default_rng(0).random((11, 12)).astype("float32")
    random = name in RANDOM_MODELS and name != "batch_top_k"
    train(make(name), random, *data_of(name, x), **loss_of(name))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_layer_is_traced_once(case: Case) -> None:
    y = np.zeros((11, *case.output_shape[1:-1], 2), "float32")
    random = case.random and case.name != "tanh_code"
    train(as_model(case), random, data(case, 11), {"y": y}, loss={"y": "mse"})


def test_the_benchmark_tells_what_a_step_costs(tmp_path: Path) -> None:
    script = Path(__file__).parents[1] / "benchmarks" / "xla_training.py"
    options = f"--quick --backends {BACKEND} --jit on --batches 16 32 --out".split()
    models = ["hasher", "hasher, contractive layers"]
    command = [sys.executable, script, *options, tmp_path / "out", "--models", *models]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = json.loads((tmp_path / "out.json").read_text())["rows"]
    assert [(row["model"], row["batch"]) for row in rows] == [
        (model, batch) for batch in (16, 32) for model in models
    ]
    for plain, contractive in zip(rows[::2], rows[1::2], strict=True):
        assert plain["over plain"] is None
        ratio = contractive["ms a step"] / plain["ms a step"]
        assert contractive["over plain"] == pytest.approx(ratio)
        for row in (plain, contractive):
            assert (row["backend"], row["jit_compile"]) == (BACKEND, "on")
            assert row["device"]
            rate = 1000 * row["batch"] / row["ms a step"]
            assert row["examples a second"] == pytest.approx(rate)
            assert row["compile, s"] > 0
            assert 50 < row["peak memory, MB"] < 20_000
