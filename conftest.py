"""What is not collected, because it needs another backend than the one that Keras runs on."""

import os
from collections.abc import Iterator

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import pytest

BACKEND = keras.backend.backend()
_NEED_TENSORFLOW = [
    "keras_ae/export/*",
    "keras_ae/ops/_tensorflow_*.py",
    "keras_ae/regularizers/prior_activity_regularizer.py",
    "tests/export/*",
    "tests/regularizers/prior_activity_regularizer_test.py",
    "tests/*two_devices.py",
]

# jax_test compares what both give.
collect_ignore_glob = {
    "tensorflow": ["keras_ae/ops/_jax_*.py", "tests/jax_test.py"],
    "jax": _NEED_TENSORFLOW,
}[BACKEND]


@pytest.fixture(scope="module", autouse=True)
def _code_let_go() -> Iterator[None]:
    """Compiled code of JAX would fill gigabytes in the course of all tests."""
    yield
    if BACKEND == "jax":
        import jax

        jax.clear_caches()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if BACKEND != "tensorflow":
        left_out = [item for item in items if item.get_closest_marker("tensorflow")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
