"""The bundle, read by its format page alone: JSON, safetensors and the .tflite file."""

import hashlib
import json
import subprocess
import sys
import zlib
from pathlib import Path

import keras
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

import keras_ae
from keras_ae import export

ROOT = Path(__file__).parents[2]


def tensors(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """By hand: a third reader has no library."""
    raw = path.read_bytes()
    start = 8 + int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:start])
    metadata = header.pop("__metadata__", {})
    types = {"U8": "u1", "I32": "<i4", "I64": "<i8"}
    found = {}
    for name, entry in header.items():
        first, last = (start + offset for offset in entry["data_offsets"])
        values = np.frombuffer(raw[first:last], types[entry["dtype"]])
        found[name] = values.reshape(entry["shape"])
    return found, metadata


def check(folder: Path) -> dict:
    """Do what a device does with every sample, and return the description."""
    said = json.loads((folder / "bundle.json").read_text())
    assert (said["format"], said["version"]) == ("keras_ae.bundle", 1)
    assert {file.name for file in folder.iterdir()} == {"bundle.json", *said["files"]}
    # A web server that is not their owner reads them all.
    assert len({file.stat().st_mode for file in folder.iterdir()}) == 1
    for name, entry in said["files"].items():
        content = (folder / name).read_bytes()
        assert len(content) == entry["bytes"]
        assert hashlib.sha256(content).hexdigest() == entry["sha256"]
    index, metadata = tensors(folder / "index.safetensors")
    samples, _ = tensors(folder / "samples.safetensors")
    items, _ = tensors(folder / "items.safetensors")
    for name in ("codes", "ids"):
        assert int(metadata[f"crc32_{name}"]) == zlib.crc32(index[name].tobytes())
    described = export.read_metadata(folder / "model.tflite")
    assert said["variant"] == metadata["variant"] == described["variant"]
    assert int(metadata["bits"]) == said["bits"]
    np.testing.assert_array_equal(index["ids"], np.arange(said["count"]))
    assert len(items["thumbnails"]) == said["count"]

    entry = said["input"]
    encode = Interpreter(str(folder / "model.tflite")).get_signature_runner(entry["signature"])
    for i, image in enumerate(samples["images"]):
        assert image.shape == tuple(said["image"].values())
        values = [
            np.float32(np.float32(p) / np.float32(entry["divisor"])) + np.float32(entry["offset"])
            for p in image.ravel()
        ]
        x = np.array(values, "float32").reshape(entry["shape"])
        (code,) = encode(**{entry["name"]: x})[entry["output"]]
        np.testing.assert_array_equal(code, samples["codes"][i])
        distances = np.unpackbits(index["codes"] ^ code, axis=1).sum(axis=1)
        k = samples["ids"].shape[1]
        nearest = np.lexsort((index["ids"], distances))[:k]
        np.testing.assert_array_equal(samples["ids"][i], index["ids"][nearest])
        np.testing.assert_array_equal(samples["distances"][i], distances[nearest])
    return said


@pytest.fixture(scope="module")
def images(x) -> np.ndarray:
    return np.rint(255 * x).astype("uint8").reshape(-1, 8, 8)


@pytest.mark.parametrize("quantize", ["float32", "int8"])
def test_a_device_finds_what_it_says(quantize, model, images, tmp_path):
    folder = tmp_path / "bundle"
    result = export.to_device_bundle(
        model,
        folder,
        images[:80],
        np.arange(80) % 3,
        make_index=keras_ae.HammingIndex,
        samples=images[80:],
        label_names=["a", "b", "c", "d"],
        quantize=quantize,
        k=5,
    )
    said = check(folder)
    assert (said["bits"], said["count"], said["labels"]) == (32, 80, ["a", "b", "c", "d"])
    assert said["input"]["shape"] == [1, 64]
    items, _ = tensors(folder / "items.safetensors")
    np.testing.assert_array_equal(items["thumbnails"], images[:80, :, :, None])
    np.testing.assert_array_equal(items["labels"], np.arange(80) % 3)
    samples, _ = tensors(folder / "samples.safetensors")
    np.testing.assert_array_equal(samples["images"], images[80:, :, :, None])
    assert result.size == sum(file.stat().st_size for file in folder.iterdir())
    # The index is of the file that encodes the queries, which int8 makes another than Keras.
    index = keras_ae.HammingIndex.load(folder / "index.safetensors", mmap=False)
    equal = np.mean(index.reconstruct(index.ids) == model.encode(images[:80].reshape(80, 64) / 255))
    assert (equal == 1) == (quantize == "float32")
    assert equal > 0.9


def test_colour_other_ranges_and_large_images(tmp_path):
    keras.utils.set_random_seed(0)
    encoder = keras.Sequential(
        [
            keras.Input((48, 40, 3)),
            keras.layers.AveragePooling2D(8),
            keras.layers.Flatten(),
            keras.layers.Dense(16),
        ]
    )
    decoder = keras.Sequential([keras.Input((16,)), keras.layers.Dense(48 * 40 * 3)])
    hasher = keras_ae.SemanticHasher(encoder, decoder, bits=16)
    hasher.build((None, 48, 40, 3))
    images = np.random.default_rng(0).integers(0, 256, (30, 48, 40, 3), dtype="uint8")
    folder = tmp_path / "bundle"
    export.to_device_bundle(
        hasher,
        folder,
        images,
        make_index=keras_ae.HammingIndex,
        divisor=127.5,
        offset=-1.0,
        thumbnail=24,
    )
    said = check(folder)
    assert said["labels"] is None
    assert said["image"] == {"height": 48, "width": 40, "channels": 3}
    items, _ = tensors(folder / "items.safetensors")
    assert list(items) == ["thumbnails"]
    means = images.reshape(30, 24, 2, 20, 2, 3).mean(axis=(2, 4))
    assert np.abs(items["thumbnails"] - means).max() <= 0.5
    samples, _ = tensors(folder / "samples.safetensors")
    np.testing.assert_array_equal(samples["images"], images[:16])


def test_the_script_writes_a_bundle_or_says_why_not(model, images, tmp_path):
    model.save(tmp_path / "hasher.keras")
    arrays = {"x_train": images[:80] / 255, "y_train": np.arange(80) % 10, "x_test": images[80:]}
    np.savez(tmp_path / "data.npz", **arrays)
    np.savez(tmp_path / "short.npz", x_train=images)
    np.savez(tmp_path / "plain.npz", x_train=arrays["x_train"], x_test=arrays["x_test"])
    arrays["y_train"] = arrays["y_train"][:, None]
    np.savez(tmp_path / "column.npz", **arrays)

    def script(data: str) -> subprocess.CompletedProcess:
        command = ["-m", "export.to_device_bundle", "--count", "70", "--samples", "5"]
        paths = ["--model", tmp_path / "hasher.keras", "--data", tmp_path / data]
        return subprocess.run(
            [sys.executable, *command, *paths, "--out", tmp_path / "bundle"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )

    done = script("data.npz")
    assert done.returncode == 0, done.stderr
    assert "100.00% and 100.00% are equal" in done.stdout
    said = check(tmp_path / "bundle")
    assert (said["count"], said["labels"]) == (70, [str(i) for i in range(10)])
    before = (tmp_path / "bundle" / "bundle.json").read_bytes()
    failed = script("short.npz")
    assert failed.returncode == 1
    assert "No bundle was written: 'x_test" in failed.stdout
    assert (tmp_path / "bundle" / "bundle.json").read_bytes() == before
    for data, labels in (("column.npz", said["labels"]), ("plain.npz", None)):
        assert script(data).returncode == 0
        assert check(tmp_path / "bundle")["labels"] == labels


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": np.zeros((9, 8, 8))}, "images must be a uint8 array .* dtype=float64"),
        ({"images": np.zeros((9, 64), "uint8")}, r"images must be .* shape=\(9, 64\)"),
        ({"images": np.zeros((0, 8, 8), "uint8")}, r"n >= 1 .* shape=\(0, 8, 8\)"),
        ({"images": np.zeros((9, 4, 8, 2), "uint8")}, "1 or 3 channels"),
        ({"images": np.zeros((9, 8, 9), "uint8")}, "one input of 72 values"),
        ({"images": np.zeros((1, 4097, 4096), "uint8")}, "at most 16777216 values each"),
        ({"samples": np.zeros((9, 8, 9), "uint8")}, "samples must be of the size of images"),
        ({"labels": [1] * 95}, r"labels must be integers >= 0 of shape \(96,\)"),
        ({"labels": [-1] * 96}, "labels must be integers >= 0"),
        ({"labels": [2**31] * 96}, "labels must be integers >= 0 .* at most 65535"),
        ({"labels": [0.5] * 96}, "labels must be integers"),
        ({"labels": [1] * 96, "label_names": ["a"]}, "one for each of 2 classes"),
        ({"label_names": ["a"]}, "label_names must be None without labels"),
        ({"divisor": 0}, "divisor must be a finite number >= 1e-30"),
        ({"divisor": 1e39}, "and <= 1e.30"),
        ({"make_index": None}, "make_index must be keras_ae.HammingIndex"),
        ({"labels": [1] * 96, "label_names": "abc"}, "label_names must be texts"),
        ({"offset": float("nan")}, "offset must be a finite number"),
        ({"k": 0}, "k must be an integer >= 1"),
        ({"thumbnail": 0}, "thumbnail must be an integer >= 1"),
        ({"quantize": "int4"}, "quantize must be one of"),
    ],
)
def test_refuses_bad_arguments(changes, message, model, images, tmp_path):
    given = {"images": images, "make_index": keras_ae.HammingIndex, **changes}
    with pytest.raises(ValueError, match=message):
        export.to_device_bundle(model, tmp_path / "bundle", **given)
    assert not list(tmp_path.iterdir())


def test_refuses_a_model_without_codes_and_a_file_in_its_place(model, images, tmp_path):
    plain = keras.Sequential([keras.Input((64,)), keras.layers.Dense(16)])
    make = {"make_index": keras_ae.HammingIndex}
    with pytest.raises(ValueError, match="model must return codes"):
        export.to_device_bundle(plain, tmp_path / "bundle", images, **make)
    (tmp_path / "bundle").write_text("mine")
    with pytest.raises(ValueError, match="path must be free, an empty folder or a bundle"):
        export.to_device_bundle(model, tmp_path / "bundle", images, **make)
    assert (tmp_path / "bundle").read_text() == "mine"
    with pytest.raises(ValueError, match="path must be free, an empty folder or a bundle"):
        export.to_device_bundle(model, tmp_path, images, **make)
    assert [file.name for file in tmp_path.iterdir()] == ["bundle"]
