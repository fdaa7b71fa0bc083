"""Every export, run in its own runtime by this test too, and made to fail."""

from pathlib import Path

import keras
import numpy as np
import onnx
import onnxruntime
import pytest
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

import keras_ae
from keras_ae import export
from keras_ae.export import onnx_export, saved_model_export, tflite_export

EXPORTS = {
    "tflite": (export.to_tflite, tflite_export),
    "onnx": (export.to_onnx, onnx_export),
    "saved_model": (export.to_saved_model, saved_model_export),
}
every_export = pytest.mark.parametrize("kind", EXPORTS)


def run_tflite(path: Path, name: str, x: np.ndarray) -> np.ndarray:
    (output,) = Interpreter(str(path)).get_signature_runner(name)(x=x).values()
    return output


def run_onnx(path: Path, name: str, x: np.ndarray) -> np.ndarray:
    return onnxruntime.InferenceSession(path).run(None, {"x": x})[0]


def run_saved_model(path: Path, name: str, x: np.ndarray) -> np.ndarray:
    newest = path / str(max(int(version.name) for version in path.iterdir()))
    (output,) = tf.saved_model.load(newest).signatures[name](x=tf.constant(x)).values()
    return output.numpy()


RUNNERS = {"tflite": run_tflite, "onnx": run_onnx, "saved_model": run_saved_model}


@pytest.fixture(scope="module")
def plain(images) -> keras.Model:
    """The model of the README: noise and a penalty inside a Sequential, trained with XLA."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((20,)),
            keras_ae.GaussianCorruption(0.3),
            keras_ae.ContractiveDense(8, activation="sigmoid"),
            keras.layers.Dense(20),
        ]
    )
    model.compile("adam", "mse", jit_compile=True)
    model.fit(images, images, verbose=0)
    return model


@pytest.fixture(scope="module")
def wide() -> keras_ae.SemanticHasher:
    """A hasher whose weights outweigh everything else in a file: 1.6 MB, half in the encoder."""
    return keras_ae.SemanticHasher.dense(784, hidden=(256,), bits=8)


@every_export
def test_hasher_gives_equal_codes_in_the_runtime(kind, hasher, images, tmp_path):
    path = tmp_path / "hasher"
    result = EXPORTS[kind][0](hasher, path, images)
    codes = RUNNERS[kind](path, "encode", images[:7])
    assert codes.dtype == np.uint8
    np.testing.assert_array_equal(codes, hasher.encode(images[:7]))
    assert result.path == (path / "1" if kind == "saved_model" else path)
    assert result.signatures[0] == "encode"
    parity = result.parity
    assert (parity.examples, parity.equal_bits, parity.equal_codes) == (64, 1.0, 1.0)
    assert parity.flipped_margin is None
    assert parity.distinct_codes == len(np.unique(hasher.encode(images), axis=0)) > 8
    assert parity.microseconds > 0


@every_export
def test_sequential_with_noise_and_penalty_exports_unchanged(kind, plain, images, tmp_path):
    result = EXPORTS[kind][0](plain, tmp_path / "model")
    y = RUNNERS[kind](tmp_path / "model", "serve", images[:3])
    np.testing.assert_allclose(y, plain.predict(images[:3], verbose=0), rtol=1e-5, atol=1e-6)
    assert result.parity.max_abs_error < 1e-5
    assert result.parity.equal_bits is None
    assert not any("RANDOM" in name.upper() for name in result.operators)


def test_noise_and_penalty_leave_no_trace(plain, tmp_path):
    assert export.to_tflite(plain, tmp_path / "a").operators == ("FULLY_CONNECTED", "LOGISTIC")
    assert export.to_onnx(plain, tmp_path / "b").operators == ("Add", "MatMul", "Sigmoid")


@pytest.mark.parametrize("kind", ["tflite", "onnx"])
@pytest.mark.parametrize(
    "layer",
    [
        keras_ae.TopK(3),
        keras_ae.BatchTopK(3),
        keras_ae.JumpReLU(threshold=0.2, sparsity=0.1),
        keras_ae.GatedReLU(sparsity=0.1),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_sparse_activations_export(kind, layer, images, tmp_path):
    model = keras.Sequential([keras.Input((20,)), keras.layers.Dense(16), layer])
    model(images, training=True)
    EXPORTS[kind][0](model, tmp_path / "model", images)
    y = RUNNERS[kind](tmp_path / "model", "serve", images[:7])
    np.testing.assert_allclose(y, model.predict(images[:7], verbose=0), rtol=1e-5, atol=1e-6)
    assert 0 < (y != 0).mean() < 0.5


@pytest.mark.parametrize("kind", ["tflite", "onnx"])
def test_a_penalised_encoder_is_exported_as_the_encoder(kind, tmp_path):
    encoder = keras.Sequential(
        [
            keras.Input((4, 4, 1)),
            keras.layers.Conv2D(2, 3, activation="relu"),
            keras.layers.Dropout(0.5),
            keras.layers.Flatten(),
        ]
    )
    penalty = keras_ae.ContractiveRegularizer(0.1, "hutchinson", curvature=0.1)
    penalised = keras.Sequential([keras.Input((4, 4, 1)), keras_ae.Contractive(encoder, penalty)])
    plain, wrapped = (
        EXPORTS[kind][0](model, tmp_path / f"{number}")
        for number, model in enumerate((encoder, penalised))
    )
    assert wrapped.operators == plain.operators
    assert wrapped.parity.max_abs_error < 1e-6


@pytest.mark.parametrize(
    "corruption",
    [
        keras_ae.GaussianCorruption(0.3),
        keras_ae.MaskingCorruption(0.3),
        keras_ae.SaltAndPepperCorruption(0.3),
    ],
    ids=lambda layer: layer.name,
)
def test_a_corruption_leaves_a_dense_layer_and_nothing_else(corruption, tmp_path):
    dense = keras.layers.Dense(8, activation="sigmoid", use_bias=False)
    model = keras.Sequential([keras.Input((20,)), corruption, dense])
    assert export.to_tflite(model, tmp_path / "a").operators == ("FULLY_CONNECTED", "LOGISTIC")
    assert export.to_onnx(model, tmp_path / "b").operators == ("MatMul", "Sigmoid")
    # The kernel, and not the level of the noise.
    assert len(onnx.load(tmp_path / "b").graph.initializer) == 1


def test_tflite_of_many_signatures_shares_the_weights(wide, tmp_path):
    x = np.random.default_rng(0).random((5, 784)).astype("float32")
    names = ("encode", "logits", "reconstruct")
    result = export.to_tflite(wide, tmp_path / "wide.tflite", x, names)
    assert result.signatures == names
    assert result.size < 1.02 * 4 * wide.count_params()
    for name, expected in zip(names, (wide.encode, wide.logits, wide.reconstruct), strict=True):
        y = run_tflite(tmp_path / "wide.tflite", name, x)
        np.testing.assert_allclose(y, expected(x), rtol=1e-4, atol=1e-5)


def test_saved_model_has_every_function_and_a_default(wide, tmp_path):
    wide.compile("adam", "mse")
    wide.optimizer.build(wide.trainable_variables)
    x = np.random.default_rng(0).random((5, 784)).astype("float32")
    result = export.to_saved_model(wide, tmp_path / "model", x)
    assert result.signatures == ("encode", "logits", "reconstruct")
    codes = run_saved_model(tmp_path / "model", "serving_default", x)
    np.testing.assert_array_equal(codes, wide.encode(x))
    # The weights are there once, and the optimizer's state is not.
    assert result.size < 1.1 * 4 * wide.count_params()


def test_onnx_has_named_ends_and_a_dynamic_batch(hasher, tmp_path):
    export.to_onnx(hasher, tmp_path / "hasher.onnx")
    graph = onnx.load(tmp_path / "hasher.onnx").graph
    assert [x.name for x in graph.input] == ["x"]
    assert [y.name for y in graph.output] == ["codes"]
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_value == 0


def test_an_encoder_that_packs_its_bits_exports_as_codes(hasher, images, tmp_path):
    encoder = keras.Sequential([keras.Input((20,)), hasher.encoder, keras_ae.PackBits()])
    result = export.to_tflite(encoder, tmp_path / "encoder.tflite", images)
    assert result.parity.equal_codes == 1.0
    codes = run_tflite(tmp_path / "encoder.tflite", "serve", images)
    np.testing.assert_array_equal(codes, hasher.encode(images))


def test_a_convolutional_autoencoder_exports(tmp_path):
    encoder = keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            keras.layers.Conv2D(2, 3, 2, "same", activation="relu"),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
        ]
    )
    decoder = keras.Sequential(
        [keras.Input((4, 4, 2)), keras.layers.Conv2DTranspose(1, 3, 2, "same")]
    )
    model = keras_ae.Autoencoder(encoder, decoder)
    model.build((None, 8, 8, 1))
    x = np.random.default_rng(0).random((3, 8, 8, 1)).astype("float32")
    for kind, (function, _) in EXPORTS.items():
        assert function(model, tmp_path / kind, x).parity.max_abs_error < 1e-5
        y = RUNNERS[kind](tmp_path / kind, "encode", x)
        np.testing.assert_allclose(y, model.encode(x), rtol=1e-4, atol=1e-5)


@every_export
def test_a_runtime_that_disagrees_is_an_error_and_the_old_file_stays(
    kind, hasher, images, tmp_path, monkeypatch
):
    function, module = EXPORTS[kind]
    function(hasher, tmp_path / "hasher", images)
    before = RUNNERS[kind](tmp_path / "hasher", "encode", images)
    run = module._run

    def wrong(*args):
        outputs, *rest = run(*args)
        return ({name: value ^ np.uint8(1) for name, value in outputs.items()}, *rest)

    monkeypatch.setattr(module, "_run", wrong)
    name = "encode" if kind == "onnx" else ("encode",)
    with pytest.raises(export.ExportError, match="'encode' flips a bit whose logit in Keras is"):
        function(hasher, tmp_path / "hasher", images, name)
    np.testing.assert_array_equal(RUNNERS[kind](tmp_path / "hasher", "encode", images), before)
    assert {p.name for p in tmp_path.iterdir()} <= {"hasher", "hasher.json"}


@keras.saving.register_keras_serializable("tests")
class DigammaLayer(keras.layers.Layer):
    """Uses an operator that neither TFLite's builtins nor ONNX have."""

    def call(self, inputs):
        import tensorflow as tf

        return tf.math.digamma(inputs + 1.0)


@pytest.mark.parametrize("kind", ["tflite", "onnx"])
def test_an_unsupported_operator_is_an_error_and_leaves_no_file(kind, tmp_path):
    model = keras.Sequential([keras.Input((4,)), DigammaLayer()])
    with pytest.raises(export.ExportError, match="cannot be converted to"):
        EXPORTS[kind][0](model, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@keras.saving.register_keras_serializable("tests")
class BernoulliSampler(keras.layers.Layer):
    """Draws at inference too, where an encoder should not."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seed_generator = keras.random.SeedGenerator(0)

    def call(self, inputs):
        shape = keras.ops.shape(inputs)
        draw = keras.random.uniform(shape, seed=self.seed_generator)
        return keras.ops.cast(draw < keras.ops.sigmoid(inputs), "float32")


class Own(keras.Model):
    """Without a configuration, so that it cannot be saved."""

    def __init__(self, units):
        super().__init__()
        self.dense = keras.layers.Dense(units)

    def call(self, inputs):
        return self.dense(inputs)


@every_export
def test_an_encoder_that_cannot_be_saved_can_be_exported(kind, images, tmp_path):
    decoder = keras.Sequential([keras.Input((8,)), keras.layers.Dense(20)])
    model = keras_ae.Autoencoder(Own(8), decoder)
    model(images)
    assert EXPORTS[kind][0](model, tmp_path / "model", images).parity.max_abs_error < 1e-5


@every_export
def test_a_sampler_at_inference_is_an_error_and_the_old_file_stays(kind, images, tmp_path):
    path = tmp_path / "model"
    plain = keras.Sequential([keras.Input((20,)), keras.layers.Dense(8)])
    EXPORTS[kind][0](plain, path, images)
    before = contents(tmp_path)
    model = keras.Sequential([keras.Input((20,)), keras.layers.Dense(8), BernoulliSampler()])
    with pytest.raises(
        export.ExportError, match=r"cannot be converted|random numbers at inference"
    ):
        EXPORTS[kind][0](model, path, images)
    assert contents(tmp_path) == before


class TinyNoise(keras.layers.Layer):
    """Too small to show in codes."""

    def call(self, inputs):
        return inputs + 1e-9 * tf.random.normal(tf.shape(inputs))


@pytest.mark.parametrize("kind", ["tflite", "onnx"])
def test_a_draw_that_changes_nothing_is_an_error_too(kind, images, tmp_path):
    model = keras.Sequential([keras.Input((20,)), keras.layers.Dense(8), TinyNoise()])
    with pytest.raises(export.ExportError, match="draws random numbers at inference: "):
        EXPORTS[kind][0](model, tmp_path / "model", images)
    assert not list(tmp_path.iterdir())


@every_export
def test_a_full_disk_leaves_the_old_file(kind, model, x, tmp_path):
    resource = pytest.importorskip("resource", reason="limits of a process are Unix's")
    path = tmp_path / "model"
    EXPORTS[kind][0](model, path, x)
    before = contents(tmp_path)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            EXPORTS[kind][0](model, path, x)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert contents(tmp_path) == before


def contents(folder: Path) -> dict[str, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


@every_export
def test_refuses_bad_arguments(kind, hasher, images, tmp_path):
    function = EXPORTS[kind][0]
    with pytest.raises(ValueError, match="path must lie in an existing, writable folder"):
        function(hasher, tmp_path / "missing" / "hasher", images)
    with pytest.raises(ValueError, match=r"model must be a keras\.Model"):
        function(keras.layers.Dense(3), tmp_path / "model")
    with pytest.raises(ValueError, match="model must be built"):
        function(keras.Sequential([keras.layers.Dense(3)]), tmp_path / "model")
    with pytest.raises(ValueError, match=r"inputs must have the shape \(None, 20\).*\(64, 19\)"):
        function(hasher, tmp_path / "hasher", images[:, :19])
    with pytest.raises(ValueError, match=r"inputs must have the shape .* at least one example"):
        function(hasher, tmp_path / "hasher", images[:0])
    with pytest.raises(ValueError, match="inputs must be finite"):
        function(hasher, tmp_path / "hasher", np.full((2, 20), np.nan))
    with pytest.raises(ValueError, match="inputs must be finite"):
        function(hasher, tmp_path / "hasher", np.full((2, 20), 1e300))
    name = "encod" if kind == "onnx" else ("encod",)
    with pytest.raises(ValueError, match=r"signatures must name some of \('encode'"):
        function(hasher, tmp_path / "hasher", images, name)
    a, b = keras.Input((2,)), keras.Input((2,))
    with pytest.raises(ValueError, match="model must have one input"):
        function(keras.Model([a, b], a + b), tmp_path / "model")
    with pytest.raises(ValueError, match="model must have one output"):
        function(keras.Model(a, [a + 1, a + 2]), tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@every_export
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_refuses_other_precisions_by_name(kind, policy, tmp_path):
    hasher = keras_ae.SemanticHasher.dense(20, (8,), 8, dtype=policy)
    with pytest.raises(ValueError, match=f"compute in float32 .* dtype policy '{policy}'"):
        EXPORTS[kind][0](hasher, tmp_path / "hasher")
    assert list(tmp_path.iterdir()) == []


def test_an_output_in_a_list_is_one_output(tmp_path):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, [keras.layers.Dense(3)(inputs)])
    assert export.to_onnx(model, tmp_path / "model.onnx").parity.max_abs_error < 1e-5


def test_onnx_holds_one_function(hasher, tmp_path):
    with pytest.raises(ValueError, match="signature must be one name or None"):
        export.to_onnx(hasher, tmp_path / "hasher.onnx", signature=["encode"])


def test_a_result_cannot_be_changed(hasher, tmp_path):
    result = export.to_tflite(hasher, tmp_path / "hasher.tflite")
    with pytest.raises(AttributeError):
        result.size = 0
