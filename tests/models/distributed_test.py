"""Training on two devices, and by two processes, beside training on one."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

pytestmark = pytest.mark.tensorflow

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def histories() -> dict:
    script = Path(__file__).parents[1] / "two_devices.py"
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


PENALTIES = {
    "hasher": "contraction",
    "consistent": "consistency",
    "exact": "contraction",
    "jacobian": "contraction",
    "hutchinson": "contraction",
    "curvature": "curvature",
    "laplace": "sparsity",
    "top_k": "revival",
    "jump_relu": "sparsity",
    "gated_relu": "gate",
    "psd": "prediction",
    "tangents": "loss",
}


# Each device draws directions of its own, or counts the examples that it has seen itself.
TOLERANCE = {("hutchinson", "contraction"): 0.1, ("curvature", "curvature"): 0.3}
RANDOM = {"hutchinson", "curvature"}
# A sum in another order can turn a unit on or off.
THRESHOLDS = {"top_k", "jump_relu", "gated_relu", "hasher"}


@pytest.mark.parametrize("model", PENALTIES)
def test_two_devices_train_as_one_does(model, histories):
    history = histories[model]
    # Each loss by name, over three epochs: a penalty of twice the weight changes the second.
    assert any(PENALTIES[model] in name for name in history), history.keys()
    for name, (one, two) in history.items():
        other = 0.02 if model in THRESHOLDS else 2e-3 if model in RANDOM else 1e-4
        tolerance = TOLERANCE.get((model, name), other)
        np.testing.assert_allclose(two, one, rtol=tolerance, atol=1e-6, err_msg=name)
    assert history["loss"][0][-1] < history["loss"][0][0]


def free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def test_two_processes_train_as_one_does(tmp_path):
    def train(workers: int) -> list[float]:
        addresses = [f"127.0.0.1:{port}" for port in free_ports(workers)]
        out = tmp_path / str(workers)
        command = [sys.executable, ROOT / "examples" / "multi_worker.py", "--workers", *addresses]
        command += ["--epochs", "2", "--out", out]
        started = [
            subprocess.Popen([*command, "--index", str(i)], stderr=subprocess.PIPE, text=True)
            for i in range(workers)
        ]
        try:
            for process in started:
                _, errors = process.communicate(timeout=300)
                assert process.returncode == 0, errors
        finally:
            for process in started:
                process.kill()
        losses = [json.loads((out / f"worker{i}.json").read_text()) for i in range(workers)]
        models = [keras.saving.load_model(out / f"worker{i}.keras") for i in range(workers)]
        for a, b in zip(models[0].get_weights(), models[-1].get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        return losses[0]

    one, two = train(1), train(2)
    np.testing.assert_allclose(two, one, rtol=1e-4)
    assert two[1] < two[0]
