import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy

from keras_ae.retrieval import bit_balance, bit_correlation, code_entropy


@settings(deadline=None, max_examples=50)
@given(
    seed=st.integers(0, 999), n=st.integers(1, 60), width=st.integers(1, 9), top=st.integers(1, 256)
)
def test_they_equal_numpy_s_and_scipy_s(seed, n, width, top):
    codes = np.random.default_rng(seed).integers(0, top, (n, width)).astype("uint8")
    bits = [[int(byte) >> j & 1 for byte in code for j in range(8)] for code in codes]
    np.testing.assert_allclose(bit_balance(codes), np.mean(bits, axis=0))
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = np.corrcoef(np.array(bits).T) if n > 1 else np.full((8 * width,) * 2, np.nan)
    expected[np.isnan(expected)] = 0
    np.fill_diagonal(expected, 1)
    np.testing.assert_allclose(bit_correlation(codes), expected, atol=1e-12)
    texts = [code.tobytes() for code in codes]
    counts = [texts.count(text) for text in set(texts)]
    assert code_entropy(codes) == pytest.approx(entropy(counts, base=2), abs=1e-12)


def test_extremes():
    every = np.arange(256, dtype=np.uint8)[:, None]
    assert code_entropy(every) == 8.0
    np.testing.assert_array_equal(bit_balance(every), np.full(8, 0.5))
    np.testing.assert_allclose(bit_correlation(every), np.eye(8), atol=1e-12)
    assert str(code_entropy(every[:1])) == "0.0"


@pytest.mark.parametrize("function", [bit_balance, bit_correlation, code_entropy])
@pytest.mark.parametrize(
    "codes", [np.zeros((3, 2)), np.zeros(3, "uint8"), np.zeros((0, 2), "uint8")]
)
def test_they_refuse_other_arrays(function, codes):
    with pytest.raises(ValueError, match=r"codes must be a uint8 array of shape \(n, bits / 8\)"):
        function(codes)
