"""What every layer must do, whatever it computes."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from keras.src import testing

import keras_ae


def built_dense() -> keras.layers.Dense:
    layer = keras.layers.Dense(6)
    layer.build((None, 16))
    return layer


@dataclass(frozen=True)
class Case:
    name: str
    layer: type[keras.layers.Layer]
    arguments: Callable[[], dict[str, Any]] = dict
    input_shape: tuple[int, ...] = (5, 16)
    output_shape: tuple[int, ...] = (5, 16)
    second_shape: tuple[int, ...] | None = None  # Of a second input.
    differentiable: bool = True
    random: bool = False
    checks: dict[str, Any] = field(default_factory=dict)

    def make(self, **kwargs: Any) -> keras.layers.Layer:
        return self.layer(**self.arguments(), **kwargs)


def encoder(*parts: keras.layers.Layer) -> keras.Sequential:
    return keras.Sequential([*parts])


def contractive(estimator: str, **kwargs: Any) -> Callable[[], dict[str, Any]]:
    return lambda: {
        "units": 3,
        "activation": "tanh",
        "contraction": keras_ae.ContractiveRegularizer(0.1, estimator, seed=3),
        **kwargs,
    }


CASES = [
    *(
        Case(f"{name}_corruption_{suffix}", layer, lambda arguments=arguments: arguments, shape,
             shape, random=True, checks={"expected_num_seed_generators": 1,
                                         "expected_num_non_trainable_weights": 1})
        for name, layer, arguments in (
            ("gaussian", keras_ae.GaussianCorruption, {"stddev": 0.5, "seed": 3}),
            ("range", keras_ae.RangeCorruption, {"fraction": 0.5, "seed": 3}),
            ("masking", keras_ae.MaskingCorruption, {"rate": 0.4, "seed": 3}),
            ("salt_and_pepper", keras_ae.SaltAndPepperCorruption,
             {"rate": 0.4, "low": -1, "high": 2, "seed": 3}),
        )
        for suffix, shape in (("rank_2", (5, 16)), ("rank_4", (5, 4, 3, 2)))
    ),
    *(
        Case(f"affine_corruption_{name}", keras_ae.AffineCorruption,
             lambda arguments=arguments: {**arguments, "seed": 3}, shape, shape, random=True,
             checks={"expected_num_seed_generators": 1})
        for name, arguments, shape in (("images", {}, (5, 6, 4, 3)),
                                       ("flat", {"image_shape": (4, 2, 2)}, (5, 16)))
    ),
    Case("contractive_dense", keras_ae.ContractiveDense,
         lambda: {"units": 3, "activation": "sigmoid"}, output_shape=(5, 3),
         checks={"expected_num_trainable_weights": 2}),
    Case("contractive_dense_rank_3", keras_ae.ContractiveDense,
         lambda: {"units": 3, "activation": "gelu", "use_bias": False}, (5, 4, 16), (5, 4, 3)),
    Case("contractive_dense_jacobian", keras_ae.ContractiveDense, contractive("jacobian"),
         output_shape=(5, 3)),
    Case("contractive_dense_softmax", keras_ae.ContractiveDense,
         contractive("jacobian", activation="softmax"), output_shape=(5, 3)),
    Case("contractive_dense_hutchinson", keras_ae.ContractiveDense, contractive("hutchinson"),
         output_shape=(5, 3), checks={"expected_num_seed_generators": 1}),
    Case("contractive_dense_curvature", keras_ae.ContractiveDense,
         lambda: {"units": 3, "activation": "tanh",
                  "contraction": keras_ae.ContractiveRegularizer(0.1, curvature=0.1, seed=3)},
         output_shape=(5, 3), checks={"expected_num_seed_generators": 1}),
    Case("contractive_stack", keras_ae.Contractive,
         lambda: {"layer": encoder(
             keras.layers.Dense(6, "tanh"), keras.layers.BatchNormalization(),
             keras.layers.Dense(3, "sigmoid"))}, output_shape=(5, 3),
         # The layer inside has a policy of its own, which decides.
         checks={"run_mixed_precision_check": False}),
    Case("contractive_convolution", keras_ae.Contractive,
         lambda: {"layer": encoder(
             keras.layers.Conv1D(3, 2, activation="tanh"), keras.layers.Dropout(0.2, seed=1)),
             "contraction": keras_ae.ContractiveRegularizer(
                 0.1, "hutchinson", curvature=0.1, seed=3)},
         (5, 4, 16), (5, 3, 3),
         checks={"expected_num_seed_generators": 2, "run_mixed_precision_check": False}),
    Case("tangent_propagated", keras_ae.TangentPropagated,
         lambda: {"layer": encoder(
             keras.layers.Dense(6, "tanh"), keras.layers.BatchNormalization(),
             keras.layers.Dropout(0.2, seed=1), keras.layers.Dense(3))},
         output_shape=(5, 3), second_shape=(5, 2, 16),
         checks={"run_mixed_precision_check": False}),
    Case("tied_dense", keras_ae.TiedDense, lambda: {"tied_to": built_dense()}, (5, 6),
         checks={"expected_num_trainable_weights": 2}),
    Case("tied_dense_rank_3", keras_ae.TiedDense,
         lambda: {"tied_to": built_dense(), "activation": "relu", "use_bias": False},
         (5, 4, 6), (5, 4, 16), checks={"expected_num_trainable_weights": 1}),
    Case("binary_code", keras_ae.BinaryCode),
    Case("binary_code_noisy", keras_ae.BinaryCode,
         lambda: {"gradient": "noisy", "stddev": 2.0, "seed": 3}, random=True,
         checks={"expected_num_seed_generators": 1}),
    Case("binary_code_noisy_bits", keras_ae.BinaryCode,
         lambda: {"gradient": "noisy_bits", "stddev": 0.5, "seed": 3}, random=True,
         checks={"expected_num_seed_generators": 1}),
    Case("tanh_code", keras_ae.TanhCode, lambda: {"growth": 0.5}, random=True,
         checks={"expected_num_non_trainable_weights": 1}),
    Case("pack_bits", keras_ae.PackBits, output_shape=(5, 2), differentiable=False,
         checks={"expected_output_dtype": "uint8"}),
    Case("pack_bits_rank_3", keras_ae.PackBits, dict, (5, 4, 16), (5, 4, 2), differentiable=False,
         checks={"expected_output_dtype": "uint8"}),
    Case("psd_predictor_tanh", keras_ae.PSDPredictor, lambda: {"units": 3}, output_shape=(5, 3),
         checks={"expected_num_trainable_weights": 3}),
    Case("psd_predictor_lista", keras_ae.PSDPredictor, lambda: {"units": 3, "kind": "lista"},
         (5, 4, 16), (5, 4, 3), checks={"expected_num_trainable_weights": 3}),
    Case("top_k", keras_ae.TopK, lambda: {"k": 3}),
    Case("batch_top_k_rank_3", keras_ae.BatchTopK, lambda: {"k": 3}, (5, 4, 16), (5, 4, 16),
         checks={"expected_num_non_trainable_weights": 1}),
    Case("jump_relu", keras_ae.JumpReLU, lambda: {"sparsity": 0.1},
         checks={"expected_num_trainable_weights": 1}),
    Case("gated_relu", keras_ae.GatedReLU, lambda: {"sparsity": 0.1},
         checks={"expected_num_trainable_weights": 2}),
]  # fmt: skip

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def both(case: Case, make: Callable[[tuple[int, ...]], Any]) -> Any:
    """What `make` gives for the shape of the input, and in a pair for that of a second one."""
    first = make(case.input_shape[1:])
    return first if case.second_shape is None else (first, make(case.second_shape[1:]))


def data(case: Case, examples: int = 5) -> Any:
    generator = np.random.default_rng(0)
    return both(case, lambda shape: generator.normal(size=(examples, *shape)).astype("float32"))


def as_model(case: Case) -> keras.Model:
    """The layer between two trainable ones, with the output of an integer layer on the side."""
    inputs = both(case, keras.Input)
    first, *others = keras.tree.flatten(inputs)
    hidden = keras.layers.Dense(case.input_shape[-1])(first)
    output = case.make(name="layer")([hidden, *others] if others else hidden)
    if not case.differentiable:
        return keras.Model(inputs, {"y": keras.layers.Dense(2)(hidden), "side": output})
    return keras.Model(inputs, {"y": keras.layers.Dense(2)(output)})


def fit(case: Case, model: keras.Model) -> list[float]:
    # 11 examples in batches of 4: the last batch is partial.
    x = data(case, 11)
    y = np.zeros((11, *case.output_shape[1:-1], 2), "float32")
    model.compile(keras.optimizers.SGD(0.01), loss={"y": "mse"}, jit_compile=False)
    losses: list[float] = model.fit(x, {"y": y}, epochs=2, batch_size=4, verbose=0).history["loss"]
    return losses


def test_every_public_layer_is_in_the_harness() -> None:
    public = {
        value
        for name in dir(keras_ae.layers)
        if isinstance(value := getattr(keras_ae.layers, name), type)
        and issubclass(value, keras.layers.Layer)
    }
    assert public == {case.layer for case in CASES}


@every_case
def test_passes_the_layer_test_of_keras(case: Case) -> None:
    testing.TestCase().run_layer_test(
        case.layer,
        case.arguments(),
        input_shape=both(case, lambda shape: (5, *shape)),
        expected_output_shape=case.output_shape,
        run_training_check=case.differentiable,
        supports_masking=True,
        **case.checks,
    )


@every_case
def test_config_round_trip(case: Case) -> None:
    layer = case.make(name="given", dtype="mixed_float16")
    copy = case.layer.from_config(layer.get_config())
    assert copy.get_config() == layer.get_config()
    assert (copy.name, copy.dtype_policy.name) == ("given", "mixed_float16")


@every_case
def test_saved_and_loaded_with_equal_outputs(case: Case, tmp_path: Path) -> None:
    model = as_model(case)
    fit(case, model)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    ours, theirs = model.predict(data(case), verbose=0), loaded.predict(data(case), verbose=0)
    for name in ours:
        np.testing.assert_array_equal(ours[name], theirs[name])


@every_case
def test_symbolic_and_eager_calls_agree(case: Case) -> None:
    layer = case.make()
    inputs = both(case, keras.Input)
    model = keras.Model(inputs, layer(inputs))
    assert model.output_shape == (None, *case.output_shape[1:])
    for examples in (1, 7):
        x = data(case, examples)
        np.testing.assert_allclose(
            model.predict(x, verbose=0), layer(x, training=False), rtol=1e-5, atol=1e-6
        )


@every_case
def test_trains_in_mixed_precision(case: Case) -> None:
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = as_model(case)
        before = [w.copy() for w in model.get_weights()]
        losses = fit(case, model)
    finally:
        keras.config.set_dtype_policy("float32")
    assert np.isfinite(losses).all()
    assert any(not np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


@every_case
def test_seeds_reproduce(case: Case) -> None:
    x = data(case)
    if case.random:
        layer = case.make()
        first, second = layer(x, training=True), layer(x, training=True)
        assert not np.array_equal(first, second)
        np.testing.assert_array_equal(first, case.make()(x, training=True))
    layer = case.make()
    np.testing.assert_array_equal(layer(x, training=False), layer(x, training=False))
