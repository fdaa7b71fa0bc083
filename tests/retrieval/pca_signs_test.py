import numpy as np
import pytest
from sklearn.decomposition import PCA

from keras_ae.retrieval import PCASigns


def test_codes_are_the_signs_of_scikit_learn_s_components():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(300, 30)) @ rng.normal(size=(30, 30)) + 2
    hasher = PCASigns(16).fit(x)
    bits = np.unpackbits(hasher.transform(x), axis=1, bitorder="little")
    projected = PCA(16).fit(x).transform(x)
    # A component is known but for its sign.
    same = np.mean(bits == (projected > 0), axis=0)
    assert np.minimum(same, 1 - same).max() == 0


def test_refuses_vectors():
    with pytest.raises(ValueError, match="at least 16 features"):
        PCASigns(16).fit(np.zeros((30, 9)))
    with pytest.raises(ValueError, match="transform must come after fit"):
        PCASigns(8).transform(np.zeros((30, 9)))
    with pytest.raises(ValueError, match=r"x must have shape \(n, 9\), as in fit"):
        PCASigns(8).fit(np.eye(9)).transform(np.zeros((30, 8)))
    with pytest.raises(ValueError, match="bits must be a positive multiple of 8"):
        PCASigns(9)
