import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

import keras_ae
from keras_ae import LabelConsistency, ViewConsistency
from keras_ae.retrieval import HammingIndex, precision_at_k


def oracle(first, second, labels, temperature):
    codes = 2 * np.concatenate([first, second]).astype("float64") - 1
    codes /= np.linalg.norm(codes, axis=1, keepdims=True)
    count, n = len(codes), len(first)
    total = 0.0
    for i in range(count):
        others = [j for j in range(count) if j != i]
        norm = np.log(sum(np.exp(codes[i] @ codes[j] / temperature) for j in others))
        same = [
            j
            for j in others
            if j % n == i % n or (labels[j % n] == labels[i % n] and labels[i % n] >= 0)
        ]
        total -= np.mean([codes[i] @ codes[p] / temperature - norm for p in same])
    return total / count


@pytest.mark.parametrize("labels", [[0, 1, 2, 0, 0, 1], [-1, 0, -1, 0, -2, -2], [3] * 6])
@pytest.mark.parametrize("kind", ["int32", "int8", "int64"])
def test_it_is_the_cross_entropy_of_its_docstring(labels, kind):
    first, second = np.random.default_rng(0).random((2, 6, 16)).astype("float32")
    for shape in ((6,), (6, 1)):
        actual = LabelConsistency(0.7, 0.3).between(
            first, second, np.array(labels, kind).reshape(shape)
        )
        assert float(actual) == pytest.approx(0.7 * oracle(first, second, labels, 0.3), abs=1e-5)


@pytest.mark.parametrize("labels", [range(9), [-1] * 9])
def test_without_common_labels_it_is_the_consistency_of_views(labels):
    first, second = np.random.default_rng(0).random((2, 9, 8)).astype("float32")
    actual = LabelConsistency().between(first, second, np.array(labels))
    np.testing.assert_allclose(actual, ViewConsistency().between(first, second), rtol=1e-6)


def test_unsigned_labels_and_an_empty_batch():
    bits = np.random.default_rng(0).random((4, 8)).astype("float32")
    unsigned = LabelConsistency().between(bits, bits, np.array([0, 1, 0, 255], "uint8"))
    signed = LabelConsistency().between(bits, bits, np.array([0, 1, 0, 7]))
    assert float(unsigned) == pytest.approx(float(signed))
    assert float(LabelConsistency().between(bits[:0], bits[:0], np.zeros(0, "int32"))) == 0.0


@pytest.mark.parametrize("labels", [np.zeros(4), np.zeros((4, 2), "int32"), np.array([True] * 4)])
def test_refuses_what_is_no_label(labels):
    bits = np.zeros((4, 8), "float32")
    with pytest.raises(ValueError, match="labels must be integers, one an example"):
        LabelConsistency().between(bits, bits, labels)


def test_labels_of_64_bits_and_of_another_number():
    bits = np.random.default_rng(0).random((4, 8)).astype("float32")
    large = np.array([0, 1, 0, 2], "uint64") + np.uint64(2**63)
    expected = LabelConsistency().between(bits, bits, np.array([0, 1, 0, 2]))
    assert float(LabelConsistency().between(bits, bits, large)) == pytest.approx(float(expected))
    with pytest.raises(ValueError, match="labels must be one an example, of which there are 4"):
        LabelConsistency().between(bits, bits, large[:3])


def test_it_is_no_activity_regularizer():
    with pytest.raises(ValueError, match="LabelConsistency must be given to SemanticHasher"):
        keras.layers.Dense(4, activity_regularizer=LabelConsistency())(np.ones((2, 3)))


def hasher(consistency=0.5, **kwargs):
    keras.utils.set_random_seed(0)
    return keras_ae.SemanticHasher.dense(
        64, hidden=(64,), bits=16, stddev=0.3, consistency=consistency, **kwargs
    )


def test_labels_make_codes_of_a_class_near():
    digits = load_digits()
    x, y = (digits.data / 16).astype("float32"), digits.target
    found = {}
    for consistency in (ViewConsistency(), LabelConsistency()):
        model = hasher(consistency)
        model.compile(keras.optimizers.Adam(3e-3), "binary_crossentropy", jit_compile=True)
        labelled = isinstance(consistency, LabelConsistency)
        model.fit(x[:1200], y[:1200] if labelled else None, epochs=15, verbose=0)
        codes = model.encode(x)
        index = HammingIndex(16)
        index.add(codes[:1200])
        ids = index.search(codes[1200:], 50).ids
        found[labelled] = precision_at_k(y[ids], y[1200:], 50)
    assert found[True] > found[False] + 0.05


def test_the_history_evaluation_and_targets():
    rng = np.random.default_rng(0)
    x, y = rng.random((64, 64)).astype("float32"), rng.integers(3, size=64)
    model = hasher(LabelConsistency(0.5))
    model.compile("sgd", "mse", metrics=["mae"], code_metrics=[keras_ae.metrics.DeadFraction()])
    history = model.fit(x, y, validation_data=(x, y), verbose=0).history
    logs = {name: value[0] for name, value in history.items()}
    total = logs["reconstruction"] + logs["contraction"] + logs["consistency"]
    assert logs["loss"] == pytest.approx(total, rel=1e-5)
    shown = {"loss", "reconstruction", "mae", "dead_fraction"}
    assert set(model.evaluate(x, y, verbose=0, return_dict=True)) == shown
    # Targets of one's own, beside the labels.
    zeros = np.zeros_like(x)
    apart = model.evaluate(x, (y, zeros), verbose=0, return_dict=True)
    expected = np.mean(model.predict(x, verbose=0) ** 2)
    assert apart["reconstruction"] == pytest.approx(expected, rel=1e-5)
    model.fit(x, (y, zeros), verbose=0)
    for wrong in (None, (y,), (y, x, y), {"labels": y}):
        with pytest.raises(ValueError, match=r"y must be labels, or \(labels, targets\)"):
            model.fit(x, wrong, verbose=0)
    assert model.evaluate(x, verbose=0) == pytest.approx(model.evaluate(x, y, verbose=0))


def test_a_saved_hasher_goes_on(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.random((64, 64)).astype("float32"), rng.integers(3, size=64)
    model = hasher(LabelConsistency(0.5, 0.2), code=keras_ae.TanhCode(0.1))
    model.compile("sgd", "mse")
    model.fit(x, y, verbose=0)
    model.save(tmp_path / "hasher.keras")
    loaded = keras.saving.load_model(tmp_path / "hasher.keras")
    assert loaded.consistency.get_config() == {"strength": 0.5, "temperature": 0.2}
    assert int(loaded.code.steps) == 2
    np.testing.assert_array_equal(loaded.encode(x), model.encode(x))
    assert "consistency" in loaded.fit(x, y, verbose=0).history
