"""The commands of the tables run: their figures are made by hand, with the full data."""

import json
import runpy
import sys
from pathlib import Path

import pytest

TABLES = Path(__file__).parents[1] / "benchmarks" / "tables"


@pytest.fixture
def quick(tmp_path, monkeypatch):
    """Return a function that runs a table's quick form, and returns its rows."""

    def run(name, *arguments):
        out = tmp_path / "out"
        monkeypatch.syspath_prepend(TABLES)
        script = TABLES / f"{name}.py"
        monkeypatch.setattr(sys, "argv", [str(script), "--quick", "--out", str(out), *arguments])
        runpy.run_path(str(script), run_name="__main__")
        rows = json.loads(out.with_suffix(".json").read_text())["rows"]
        # Every row has a line, below the two of the head: a quick form has one seed.
        assert len(out.with_suffix(".md").read_text().splitlines()) == 2 + len(rows)
        return rows

    return run


@pytest.mark.parametrize("name", ["hashing_images", "hashing_text"])
@pytest.mark.parametrize("option", [None, "--labels", "--ablation"])
def test_hashing(name, option, quick, tmp_path):
    rows = quick(name, *[option] * (option is not None))
    methods = [row["method"] for row in rows]
    if option is None:
        assert any(method.startswith("cosine of") for method in methods)
    wanted = {None: "SemanticHasher with views", "--labels": "SemanticHasher with labels"}
    assert wanted.get(option, "the start") in methods
    for row in rows:
        # Ten classes: chance is a tenth.
        assert 10 < row["P@100"] < 100
        assert 10 < row["mAP"] < 100
    assert (tmp_path / "out.png").exists() == (option != "--ablation")


def test_deep_autoencoder(quick, tmp_path):
    pca, autoencoder = quick("deep_autoencoder")
    # The mean image has an error of 7.2.
    assert 0 < pca["squared error, test"] < 1
    assert 0 < autoencoder["squared error, test"] < 6
    assert (tmp_path / "out.png").exists()


def test_contractive_pretraining(quick, tmp_path):
    rows = quick("contractive_pretraining")
    assert [row["method"] for row in rows] == ["no pretraining", "CAE+H"]
    for row in rows:
        assert 0 < row["test error, %"] < 80
        assert row["mean Jacobian norm, 1e-4"] > 0
    assert (tmp_path / "out.png").exists()


def test_manifold_tangents(quick):
    rows = quick("manifold_tangents")
    assert [(row["method"], row["layers"]) for row in rows] == [
        ("no pretraining", 1),
        ("CAE+H, tangents 0.01", 1),
        ("CAE+H, tangents 0.001", 2),
    ]
    for row in rows:
        assert 0 < row["test error, %"] < 85
        assert 0 < row["validation error, %"] < 85


def test_sparse_codes(quick, tmp_path):
    for row in quick("sparse_codes"):
        assert 1 < row["L0"] < 256
        assert 0 < row["normalised MSE"] < 3
        assert 0 <= row["dead, %"] < 100
    assert (tmp_path / "out.png").exists()


def test_sparse_prediction(quick, tmp_path):
    rows = quick("sparse_prediction")
    assert len(rows) == 4
    for row in rows:
        assert row["SNR, dB"] > 0
        if row["data"] == "images":
            assert 50 < row["accuracy, %"] < 100
    (solvers,) = json.loads((tmp_path / "out_solvers.json").read_text())["rows"]
    assert solvers["excess"] < 1e-5


def test_denoising_score(quick):
    for row in quick("denoising_score"):
        assert 0.8 < row["cosine"] <= 1
        assert 0 < row["relative error"] < 1


def test_rows_that_are_there_are_not_made_again(quick, tmp_path):
    first = quick("denoising_score")
    path = tmp_path / "out.json"
    marked = json.loads(path.read_text())
    marked["rows"][1]["cosine"] = 0.123
    del marked["rows"][2]
    path.write_text(json.dumps(marked))
    again = quick("denoising_score")
    assert again[:2] == [first[0], {**first[1], "cosine": 0.123}]
    assert len(again) == len(first)
    # Of other settings, they are.
    marked["settings"]["seeds"] = 7
    path.write_text(json.dumps(marked))
    assert quick("denoising_score")[1]["cosine"] != 0.123
