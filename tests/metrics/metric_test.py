"""What every metric must do, whatever it measures."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import sklearn.metrics
from backends import FLOAT64, compiled

from keras_ae import metrics

Oracle = Callable[[np.ndarray, np.ndarray, np.ndarray], float]


@dataclass(frozen=True)
class Case:
    """A metric, and what it is by NumPy or scikit-learn of `(n, size)` arrays in float64."""

    make: Callable[..., keras.metrics.Metric]
    oracle: Oracle
    needs_target: bool = False


def l0(y: np.ndarray, h: np.ndarray, w: np.ndarray) -> float:
    return float(np.average((np.abs(h) > 0.5).sum(axis=1), weights=w))


def saturation(y: np.ndarray, h: np.ndarray, w: np.ndarray) -> float:
    return float(np.average(((h < -0.9) | (h > 1.1)).mean(axis=1), weights=w))


def dead_fraction(y: np.ndarray, h: np.ndarray, w: np.ndarray) -> float:
    # The last axis of the data below has 3 units.
    return float(np.mean([(h[w > 0, j::3] <= 1.3).all() for j in range(3)]))


def explained_variance(y: np.ndarray, h: np.ndarray, w: np.ndarray) -> float:
    return sklearn.metrics.explained_variance_score(
        y, h, sample_weight=w, multioutput="variance_weighted"
    )


def normalized_error(y: np.ndarray, h: np.ndarray, w: np.ndarray) -> float:
    return 1 - sklearn.metrics.r2_score(y, h, sample_weight=w, multioutput="variance_weighted")


CASES = {
    "l0": Case(lambda **k: metrics.L0(0.5, **k), l0),
    "saturation": Case(lambda **k: metrics.Saturation(-0.9, 1.1, **k), saturation),
    "dead_fraction": Case(lambda **k: metrics.DeadFraction(1.3, **k), dead_fraction),
    "explained_variance": Case(metrics.ExplainedVariance, explained_variance, True),
    "normalized_mean_squared_error": Case(
        metrics.NormalizedMeanSquaredError, normalized_error, True
    ),
}

every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)

SHAPES = [(13, 3), (13, 2, 3), (13, 2, 2, 3)]


def data(shape: tuple[int, ...] = (13, 3)) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Targets, predictions and weights. Unit 0 is only active in an example of weight 0."""
    generator = np.random.default_rng(0)
    y = generator.normal(1.0, 2.0, shape).astype("float32")
    h = (0.2 * y + generator.normal(0.3, 0.5, shape)).clip(-1.2, 1.25).astype("float32")
    h[5, ..., 0], h[7, ..., 1] = 3.0, 2.0
    weights = generator.uniform(0.5, 2.0, shape[0]).astype("float32")
    weights[5] = 0
    return y, h, weights


def flat(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1).astype("float64")


def run(
    metric: keras.metrics.Metric,
    y: np.ndarray,
    h: np.ndarray,
    w: np.ndarray | None = None,
    size: int = 100,
) -> float:
    for i in range(0, len(y), size):
        batch = slice(i, i + size)
        metric.update_state(y[batch], h[batch], None if w is None else w[batch])
    return float(metric.result())


@every_case
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("size", [100, 4, 1])
def test_is_what_it_says_at_any_batch_size(
    case: Case, shape: tuple[int, ...], weighted: bool, size: int
) -> None:
    y, h, w = data(shape)
    expected = case.oracle(flat(y), flat(h), w if weighted else np.ones(len(w)))
    assert expected not in {0.0, 1.0}
    value = run(case.make(), y, h, w if weighted else None, size)
    assert value == pytest.approx(expected, rel=1e-5)


@every_case
def test_weights_may_be_a_column(case: Case) -> None:
    y, h, w = data()
    assert run(case.make(), y, h, w[:, None]) == run(case.make(), y, h, w)


@every_case
def test_a_result_of_nothing_is_not_a_number(case: Case) -> None:
    y, h, w = data()
    metric = case.make()
    assert np.isnan(float(metric.result()))
    metric.update_state(y[:0], h[:0])
    assert np.isnan(float(metric.result()))
    metric.update_state(y, h, 0 * w)
    assert np.isnan(float(metric.result()))
    assert run(metric, y, h, w) == run(case.make(), y, h, w)


@every_case
def test_a_reset_forgets_everything(case: Case) -> None:
    y, h, w = data()
    metric = case.make()
    run(metric, 5 * y, 7 * h, w)
    metric.reset_state()
    assert np.isnan(float(metric.result()))
    assert run(metric, y, h, w) == run(case.make(), y, h, w)


@every_case
def test_not_a_number_stays_so(case: Case) -> None:
    y, h, _ = data()
    h[3, 1] = np.nan
    metric = case.make()
    assert np.isnan(run(metric, y, h, size=4))
    if case.needs_target:
        y, h, _ = data()
        y[3, 1] = np.nan
        assert np.isnan(run(case.make(), y, h, size=4))


@every_case
@pytest.mark.parametrize("dtype", ["int32", "uint8", "bool", "float16", "float64"])
def test_takes_numbers_of_any_type(case: Case, dtype: str) -> None:
    y, h, w = data()
    y, h = ((abs(x) > 1 if dtype == "bool" else abs(x)).astype(dtype) for x in (y, h))
    w = w.astype(dtype)
    expected = case.oracle(flat(y), flat(h), w.astype("float64"))
    assert run(case.make(), y, h, w, 4) == pytest.approx(expected, rel=1e-5)


@every_case
@pytest.mark.parametrize("dtype", [None, "float16", "mixed_float16", "bfloat16", "float32"])
def test_adds_up_in_float32_whatever_its_dtype(case: Case, dtype: str | None) -> None:
    # Several thousand examples are more than a sum in half precision can count.
    y, h, w = (np.tile(x, (300, *[1] * (x.ndim - 1))) for x in data())
    expected = case.oracle(flat(y), flat(h), w)
    metric = case.make(dtype=dtype)
    assert run(metric, y, h, w, 1000) == pytest.approx(expected, rel=1e-4)
    assert {variable.dtype for variable in metric.variables} == {"float32"}


@pytest.mark.tensorflow
@every_case
def test_double_precision_is_kept(case: Case) -> None:
    y, h, w = data()
    expected = case.oracle(flat(y), flat(h), w.astype("float64"))
    value = run(case.make(dtype="float64"), flat(y), flat(h), w.astype("float64"), 4)
    assert value == pytest.approx(expected, rel=1e-12)


@every_case
@pytest.mark.parametrize("dtype", ["float16", FLOAT64])
def test_config_round_trip(case: Case, dtype: str) -> None:
    metric = case.make(name="given", dtype=dtype)
    config = keras.saving.serialize_keras_object(metric)
    copy = keras.saving.deserialize_keras_object(config)
    assert type(copy) is type(metric)
    assert copy.get_config() == metric.get_config()
    assert (copy.name, copy.dtype) == ("given", dtype)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_in_evaluate_and_fit_and_after_loading(jit_compile: bool, tmp_path: Path) -> None:
    """All at once, since compiling takes long: 13 examples in batches of 4, the last partial."""
    y, _, w = data()
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(3)])
    model.compile(
        keras.optimizers.SGD(0.0),
        "mse",
        weighted_metrics=[case.make() for case in CASES.values()],
        jit_compile=jit_compile,
    )
    expected = {
        name: pytest.approx(case.oracle(flat(y), flat(model.predict(y, verbose=0)), w), rel=1e-4)
        for name, case in CASES.items()
    }
    # Before `fit`, so the first update is in a traced step, which makes the lazy variables.
    logs = model.evaluate(y, y, 4, sample_weight=w, verbose=0, return_dict=True)
    assert {name: logs[name] for name in CASES} == expected
    if not jit_compile:
        history = model.fit(y, y, 4, epochs=2, sample_weight=w, verbose=0).history
        assert {name: history[name][1] for name in CASES} == expected
        model.save(tmp_path / "model.keras")
        model = keras.models.load_model(tmp_path / "model.keras")
        logs = model.evaluate(y, y, 4, sample_weight=w, verbose=0, return_dict=True)
        assert {name: logs[name] for name in CASES} == expected


def test_not_a_number_survives_compilation() -> None:
    y, h, _ = data()
    every = [case.make() for case in CASES.values()]

    # Some variables come with the first update; on JAX a graph has to be given them.
    for metric in every:
        metric.update_state(y, h)
        metric.reset_state()

    def results(h: Any) -> list[Any]:
        for metric in every:
            metric.update_state(y, h)
        return [metric.result() for metric in every]

    update = compiled(results, [variable for metric in every for variable in metric.variables])
    assert np.isfinite(update(h)).all()
    h[3, 1] = np.nan
    assert np.isnan(update(h)).all()


@every_case
def test_refuses_weights_that_are_not_of_examples(case: Case) -> None:
    y, h, _ = data((13, 2, 3))
    with pytest.raises(ValueError, match=r"sample_weight must have the shape \(n,\).*\(13, 2\)"):
        case.make().update_state(y, h, np.ones((13, 2)))
    with pytest.raises(ValueError, match=r"sample_weight must have the shape \(n,\).*=\(\)"):
        case.make().update_state(y, h, np.float32(1))


@every_case
def test_refuses_a_single_number(case: Case) -> None:
    with pytest.raises(ValueError, match="must have one example a row"):
        case.make().update_state(np.float32(1), np.float32(1))
