"""The scripts of export/, each in a process of its own, and what they return."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from keras_ae import export
from keras_ae.export import _command

SCRIPTS = Path(__file__).parents[2] / "export"


@pytest.fixture(scope="module")
def files(hasher, images, tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    hasher.save(folder / "hasher.keras")
    np.save(folder / "x.npy", images)
    np.savez(folder / "x.npz", x=images, y=np.arange(3))
    np.savez(folder / "two.npz", a=images, b=images)
    return folder


@pytest.mark.parametrize("script", ["to_tflite", "to_onnx", "to_saved_model"])
def test_a_script_writes_and_prints_a_table(script, files, hasher, images, tmp_path):
    process = subprocess.run(
        [
            sys.executable,
            str(SCRIPTS / f"{script}.py"),
            str(files / "hasher.keras"),
            str(tmp_path / "out"),
            "--inputs",
            str(files / "x.npz"),
            "--preprocessing",
            "none",
        ],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    row = process.stdout.splitlines()[-1].split("|")
    assert row[3].strip() == "100.00%"
    path = tmp_path / "out" / "1" if script == "to_saved_model" else tmp_path / "out"
    assert export.verify(path, hasher, images).equal_codes == 1.0
    assert export.read_metadata(path)["preprocessing"] == "none"


def run(files, out, write, *more):
    arguments = [str(files / "hasher.keras"), str(out), "--inputs", str(files / "x.npy"), *more]
    return _command.run(_command.parser("", "").parse_args(arguments), write)


def test_too_few_equal_bits_are_a_failure(files, tmp_path, capsys):
    def write(model, x, arguments):
        result = export.to_tflite(model, arguments.out, x)
        return replace(result, parity=replace(result.parity, equal_bits=0.98))

    assert run(files, tmp_path / "b", write, "--min-equal-bits", "0.97") == 0
    assert "of the bits are equal" not in capsys.readouterr().out
    assert run(files, tmp_path / "b", write, "--min-equal-bits", "0.981") == 1
    assert "98.0000% of the bits are equal, fewer than 98.1000%" in capsys.readouterr().out


def test_what_cannot_be_written_is_said(files, tmp_path, capsys):
    def write(model, x, arguments):
        return export.to_onnx(model, arguments.out, x)

    assert run(files, tmp_path / "missing" / "b", write) == 1
    for bad in ("two.npz", "missing.npy"):
        assert run(files, tmp_path / "b", write, "--inputs", str(files / bad)) == 1
    said = capsys.readouterr().out
    assert said.count("No artefact was written: ") == 3
    assert "--inputs must hold one array, or one with the name x" in said
    assert list(tmp_path.iterdir()) == []
