"""Python reads the vectors that Java and JavaScript read."""

import json
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from safetensors.numpy import load_file

from keras_ae import HammingIndex

FOLDER = Path(__file__).parent


@pytest.mark.parametrize("bits", [24, 64, 136])
@pytest.mark.parametrize("mmap", [False, True])
def test_the_index_finds_what_brute_force_finds(bits, mmap):
    index = HammingIndex.load(FOLDER / f"index_{bits}.safetensors", mmap=mmap)
    found = load_file(FOLDER / f"found_{bits}.safetensors")
    assert (index.bits, index.variant, len(index)) == (bits, f"golden-{bits}", 300)
    for k in (1, 9, 300, 301):
        result = index.search(found["queries"], k)
        np.testing.assert_array_equal(result.ids, found["ids"][:, :k])
        np.testing.assert_array_equal(result.distances, found["distances"][:, :k])
    for i, query in enumerate(found["queries"]):
        (hits,) = index.radius_search(query[None], int(found["radii"][i]))
        np.testing.assert_array_equal(hits.ids, found["ids"][i, : found["within"][i]])
        np.testing.assert_array_equal(hits.distances, found["distances"][i, : found["within"][i]])


def test_the_bundle_has_the_codes_and_neighbours_of_its_samples():
    said = json.loads((FOLDER / "bundle/bundle.json").read_text())
    samples = load_file(FOLDER / "bundle/samples.safetensors")
    index = HammingIndex.load(FOLDER / "bundle/index.safetensors")
    entry = said["input"]
    encode = Interpreter(str(FOLDER / "bundle/model.tflite")).get_signature_runner("encode")
    x = samples["images"].astype("float32") / np.float32(entry["divisor"])
    assert len(x) == 500
    codes = np.concatenate([encode(x=row.reshape(entry["shape"]))[entry["output"]] for row in x])
    np.testing.assert_array_equal(codes, samples["codes"])
    result = index.search(codes, samples["ids"].shape[1])
    np.testing.assert_array_equal(result.ids, samples["ids"])
    np.testing.assert_array_equal(result.distances, samples["distances"])
