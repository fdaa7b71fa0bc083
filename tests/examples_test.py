"""The example's data loading and the README's code. `make demo` runs the example itself."""

import importlib.util
import re
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def data():
    spec = importlib.util.spec_from_file_location("example_data", ROOT / "examples" / "data.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["example_data"] = module
    spec.loader.exec_module(module)
    return module


def arrays(**changes):
    generator = np.random.default_rng(0)
    return {
        "x_train": generator.integers(0, 256, (7, 4, 4), dtype=np.uint8),
        "y_train": np.arange(7),
        "x_test": generator.integers(0, 256, (3, 4, 4), dtype=np.uint8),
        "y_test": np.arange(3),
        **changes,
    }


def test_digits_need_no_download(data):
    images = data.load("digits", None)
    assert len(images.x_train) + len(images.x_test) == 1797
    assert (images.x_train.min(), images.x_train.max()) == (0, 1)
    assert not {x.tobytes() for x in images.x_train} & {x.tobytes() for x in images.x_test}


def test_a_file_of_the_form_of_mnist(data, tmp_path):
    written = arrays()
    np.savez(tmp_path / "file.npz", **written)
    images = data.load("digits", str(tmp_path / "file.npz"))
    np.testing.assert_allclose(images.x_train, written["x_train"].reshape(7, 16) / 255, rtol=1e-6)
    np.testing.assert_array_equal(images.y_test, [0, 1, 2])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y_test": None}, "must be an .npz file with the arrays"),
        ({"y_train": np.arange(6)}, "one label for each"),
        ({"x_test": np.zeros((0, 4, 4), np.uint8), "y_test": np.zeros(0)}, "one label for each"),
        ({"x_train": np.full((7, 4, 4), 2.0)}, "integers from 0 to 255 or floats from 0 to 1"),
        ({"x_train": np.full((7, 4, 4), np.nan)}, "integers from 0 to 255 or floats from 0 to 1"),
        ({"x_test": np.zeros((3, 5, 5))}, "of one size"),
    ],
)
def test_a_file_of_another_form_is_an_error(data, tmp_path, changes, message):
    written = {name: value for name, value in arrays(**changes).items() if value is not None}
    np.savez(tmp_path / "file.npz", **written)
    with pytest.raises(ValueError, match=message):
        data.load("digits", str(tmp_path / "file.npz"))


def test_what_is_not_a_file_or_a_data_set_is_an_error(data, tmp_path):
    (tmp_path / "letter.npz").write_text("dear")
    for path in ("letter.npz", "missing.npz", "."):
        with pytest.raises(ValueError, match=r"data must be an \.npz file with the arrays"):
            data.load("digits", str(tmp_path / path))
    with pytest.raises(ValueError, match=r"dataset must be one of .* Received: dataset='cifar'"):
        data.load("cifar", None)


BLOCKS = re.findall(r"^```python\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)


def test_the_readme_has_code():
    assert BLOCKS


@pytest.mark.parametrize("block", BLOCKS, ids=[f"block_{i}" for i in range(len(BLOCKS))])
def test_the_readme_runs(block, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(block, "README.md", "exec"), {"__name__": "__main__"})
