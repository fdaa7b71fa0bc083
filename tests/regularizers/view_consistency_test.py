import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

import keras_ae
from keras_ae import ViewConsistency


def oracle(first, second, temperature):
    codes = 2 * np.concatenate([first, second]).astype("float64") - 1
    n = len(first)
    total = 0.0
    for i in range(2 * n):
        terms = {}
        for j in range(2 * n):
            if i != j:
                cosine = codes[i] @ codes[j] / np.linalg.norm(codes[i]) / np.linalg.norm(codes[j])
                terms[j] = np.exp(cosine / temperature)
        total -= np.log(terms[(i + n) % (2 * n)] / sum(terms.values()))
    return total / (2 * n)


@pytest.mark.parametrize("n", [1, 2, 7])
@pytest.mark.parametrize("temperature", [0.1, 0.5, 3.0])
def test_it_is_the_cross_entropy_of_its_docstring(n, temperature):
    first, second = np.random.default_rng(n).random((2, n, 16)).astype("float32")
    actual = ViewConsistency(0.7, temperature).between(first, second)
    assert float(actual) == pytest.approx(0.7 * oracle(first, second, temperature), abs=1e-5)


def test_an_empty_batch_has_none():
    empty = np.zeros((0, 16), "float32")
    assert float(ViewConsistency().between(empty, empty)) == 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"strength": -1}, "strength must be a finite number >= 0"),
        ({"temperature": 0}, "temperature must be a finite number > 0"),
        ({"temperature": None}, "temperature must be a finite number > 0"),
    ],
)
def test_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        ViewConsistency(**arguments)


def test_it_is_no_activity_regularizer():
    with pytest.raises(ValueError, match=r"must be given to SemanticHasher\(consistency=...\)"):
        keras.layers.Dense(4, activity_regularizer=ViewConsistency())(np.ones((2, 3)))


def hasher(consistency=0.5, **kwargs):
    keras.utils.set_random_seed(0)
    return keras_ae.SemanticHasher.dense(
        16, hidden=(12,), bits=8, consistency=consistency, **kwargs
    )


def test_a_hasher_shows_it_and_adds_it_to_the_loss():
    x = np.random.default_rng(0).random((64, 16)).astype("float32")
    model = hasher()
    model.compile("sgd", "mse", jit_compile=True)
    logs = {name: value[0] for name, value in model.fit(x, verbose=0).history.items()}
    assert set(logs) == {"loss", "reconstruction", "contraction", "consistency"}
    total = logs["reconstruction"] + logs["contraction"] + logs["consistency"]
    assert logs["loss"] == pytest.approx(total, rel=1e-5)
    assert 0.5 * 1 < logs["consistency"] < 0.5 * np.log(2 * 32) * 2
    # In training alone, as the noise is.
    assert set(model.evaluate(x, verbose=0, return_dict=True)) == {"loss", "reconstruction"}


def test_it_brings_the_codes_of_views_together_and_keeps_others_apart():
    x = (load_digits().data / 16).astype("float32")
    move = keras_ae.AffineCorruption(image_shape=(8, 8, 1), seed=0)
    shares = []
    for consistency in (None, 1.0):
        keras.utils.set_random_seed(0)
        model = keras_ae.SemanticHasher.dense(
            64, hidden=(128,), bits=32, consistency=consistency,
            corruption=keras_ae.AffineCorruption(image_shape=(8, 8, 1)),
        )  # fmt: skip
        model.compile(keras.optimizers.Adam(0.003), "binary_crossentropy")
        model.fit(x, epochs=12, batch_size=256, verbose=0)
        a, b = (model.encode(keras.ops.convert_to_numpy(move(x, training=True))) for _ in range(2))
        same = np.bitwise_count(a ^ b).sum(axis=1).mean()
        shares.append(same / np.bitwise_count(a ^ np.roll(b, 1, axis=0)).sum(axis=1).mean())
    assert shares[1] < 0.9 * shares[0]


def test_a_saved_hasher_keeps_it(tmp_path):
    model = hasher(ViewConsistency(0.3, 0.2))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.consistency.get_config() == {"strength": 0.3, "temperature": 0.2}
    assert hasher(None).consistency is None
    assert hasher(0.0).penalty_names == ()


def test_a_hasher_refuses_views_that_are_the_same():
    encoder = keras.Sequential([keras.Input((4,)), keras.layers.Dense(8)])
    with pytest.raises(ValueError, match="corruption must be given with consistency"):
        keras_ae.SemanticHasher(encoder, keras.layers.Dense(4), 8, consistency=1.0)
    with pytest.raises(ValueError, match="consistency must be a finite number >= 0"):
        hasher(-1.0)
