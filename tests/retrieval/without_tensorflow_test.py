"""Searching needs neither TensorFlow nor Keras."""

import subprocess
import sys

SCRIPT = """
import sys
sys.modules["tensorflow"] = sys.modules["keras"] = None
import numpy as np
import keras_ae.retrieval
index = keras_ae.retrieval.HammingIndex(bits=64)
index.add(np.arange(24, dtype="uint8").reshape(3, 8))
print(index.search(np.arange(8, dtype="uint8")[None], k=1).ids.tolist())
"""


def test_retrieval_works_without_them():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[[0]]"
