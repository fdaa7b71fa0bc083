"""Run .tflite files in TensorFlow 2.16.1: `make old-runtime` calls it in two environments.

python tests/export/old_runtime.py write FOLDER    # with keras_ae
python tests/export/old_runtime.py check FOLDER    # with tensorflow-cpu 2.16.1 alone
"""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

SIGNATURES = ("encode", "logits", "reconstruct")


def write(folder: Path) -> None:
    import keras
    from ai_edge_litert.interpreter import Interpreter

    import keras_ae
    from keras_ae.export import _tflite_2_16

    keras.utils.set_random_seed(0)
    generator = np.random.default_rng(0)
    x = (generator.dirichlet(np.ones(6), 256) @ generator.random((6, 784))).astype("float32")
    dense = keras_ae.SemanticHasher.dense(784, hidden=(64,), bits=32)
    convolutional = keras_ae.SemanticHasher(
        keras.Sequential(
            [
                keras.Input((28, 28, 1)),
                keras.layers.Conv2D(8, 3, 2, activation="relu"),
                keras.layers.Conv2D(16, 3, 2, activation="gelu"),
                keras.layers.Flatten(),
                keras.layers.Dense(32),
            ]
        ),
        keras.Sequential(
            [
                keras.Input((32,)),
                keras.layers.Dense(784, "sigmoid"),
                keras.layers.Reshape((28, 28, 1)),
            ]
        ),
        bits=32,
    )
    convolutional.build((None, 28, 28, 1))
    codes = generator.integers(0, 256, (3000, 4), dtype="uint8")
    index = keras_ae.HammingIndex(32)
    index.add(codes)
    for name, model, images in (
        ("dense", dense, x),
        ("convolutional", convolutional, x.reshape(-1, 28, 28, 1)),
    ):
        model.compile("adam", "binary_crossentropy")
        model.fit(images, images, epochs=5, verbose=0)
        for quantize in ("float32", "float16", "dynamic", "int8"):
            path = folder / f"{name}-{quantize}.tflite"
            keras_ae.export.to_tflite(
                model,
                path,
                images,
                SIGNATURES,
                quantize=quantize,
                calibration=images if quantize == "int8" else None,
                index=index,
            )
            interpreter = Interpreter(str(path))
            outputs = {
                signature: next(
                    iter(interpreter.get_signature_runner(signature)(x=images).values())
                )
                for signature in SIGNATURES
            }
            np.savez(path.with_suffix(".npz"), x=images, codes=codes, **outputs)
    (folder / "versions.json").write_text(json.dumps(_tflite_2_16.VERSIONS))


def check(folder: Path) -> None:
    import tensorflow as tf

    assert tf.__version__ == "2.16.1", tf.__version__
    paths = sorted(folder.glob("*.tflite"))
    assert len(paths) == 8
    for path in paths:
        expected = np.load(path.with_suffix(".npz"))
        interpreter = tf.lite.Interpreter(str(path))
        found = {
            signature: next(
                iter(interpreter.get_signature_runner(signature)(x=expected["x"]).values())
            )
            for signature in SIGNATURES
        }
        flips = np.unpackbits(found["encode"] ^ expected["encode"])
        errors = [
            np.sqrt(np.mean((found[name] - expected[name]) ** 2) / np.mean(expected[name] ** 2))
            for name in ("logits", "reconstruct")
        ]
        print(f"{path.name:30} equal bits {1 - flips.mean():.4%}, error {max(errors):.1e}")
        near = interpreter.get_signature_runner("search")(x=expected["x"])
        for i, query in enumerate(found["encode"]):
            distances = np.unpackbits(query ^ expected["codes"], axis=1).sum(axis=1)
            nearest = np.argsort(distances, kind="stable")[:10]
            np.testing.assert_array_equal(near["ids"][i], nearest)
            np.testing.assert_array_equal(near["distances"][i], distances[nearest])
        # The rounding of an int8 kernel may differ between versions, by one step in 255.
        assert flips.mean() < 0.005
        assert max(errors) < 0.02
    newest_versions, versions = newest(), json.loads((folder / "versions.json").read_text())
    print(f"{len(newest_versions)} operators, {sum(newest_versions.values())} versions of them")
    assert newest_versions == versions, set(newest_versions.items()) ^ set(versions.items())


def newest() -> dict[str, int]:
    """Return the newest version that this runtime has of each operator, by asking for it."""
    import tensorflow as tf
    from tensorflow.lite.python import schema_py_generated as schema
    from tensorflow.lite.tools import flatbuffer_utils

    result: dict[str, int] = {}
    for name, number in vars(schema.BuiltinOperator).items():
        if name.startswith("_") or name in {"CUSTOM", "DELEGATE"}:
            continue
        for version in range(1, 16):
            code, operation = schema.OperatorCodeT(), schema.OperatorT()
            subgraph, model = schema.SubGraphT(), schema.ModelT()
            code.builtinCode, code.deprecatedBuiltinCode = number, min(number, 127)
            code.version = version
            operation.inputs, operation.outputs = [], []
            subgraph.tensors, subgraph.inputs, subgraph.outputs = [], [], []
            subgraph.operators = [operation]
            model.version, model.buffers = 3, [schema.BufferT()]
            model.operatorCodes, model.subgraphs = [code], [subgraph]
            try:
                tf.lite.Interpreter(
                    model_content=bytes(flatbuffer_utils.convert_object_to_bytearray(model)),
                    experimental_op_resolver_type=(
                        tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
                    ),
                )
            except ValueError as error:
                if "Didn't find op" in str(error):
                    continue
            result[name] = version
    return result


if __name__ == "__main__":
    {"write": write, "check": check}[sys.argv[1]](Path(sys.argv[2]))
